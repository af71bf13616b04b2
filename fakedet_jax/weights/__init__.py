# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Published weights: read without running any code, mapped onto networks, stored.

`formats` recognises and reads files, `mapping` turns their arrays into the variables of
a network, and `store` and `folder` keep the result.
"""

__all__ = [
    "caffe",
    "checkpoints",
    "dlib_files",
    "folder",
    "formats",
    "hub",
    "keras",
    "mapping",
    "onnx_files",
    "operations",
    "packaged",
    "pickle_values",
    "protobuf",
    "safetensors_files",
    "shards",
    "store",
    "tensors",
    "torch_files",
    "unpickling",
]

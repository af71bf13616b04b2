# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks as Flax Linen modules that map images to an output and layer outputs."""

__all__ = [
    "backbone",
    "backbones",
    "blocking",
    "channel_last",
    "convolution",
    "dtypes",
    "layers",
    "mobilefacenet",
    "parameters",
    "pooling",
    "preprocessing",
    "pretrained",
    "resnet",
    "resnet_caffe",
    "vgg16",
]

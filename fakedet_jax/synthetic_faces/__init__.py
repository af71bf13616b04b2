# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A generated dataset: drawn portraits, a simulated camera, and fakes.

It needs no download, so first runs, tests and tutorials have usable data. Format, size,
compression, EXIF tags, brightness and subjects are alike in all classes, so a detector
must find traces of cameras and of manipulation. Results on it say nothing about real
faces.

`loading` builds and reads the dataset; the other modules make its pictures.
"""

__all__ = [
    "backdrop",
    "builder",
    "camera",
    "examples",
    "exif",
    "fakes",
    "features",
    "head",
    "lens",
    "loading",
    "person",
    "scene",
    "texture",
    "worker",
]

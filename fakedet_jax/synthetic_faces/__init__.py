# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The embedded data set: drawn portraits, a simulated camera, and fakes.

It needs no download, so that the first run, the tests and the tutorials have honest
data: whoever learns it must find traces of cameras and of manipulation, because format,
size, compression, Exif tags, brightness and subjects are the same for all classes.
Results on it say nothing about real faces.
"""

from fakedet_jax.synthetic_faces.loading import (
    NAME,
    NUM_IDENTITIES,
    SyntheticFacesSource,
    load,
    load_source,
    prepare,
)

__all__ = [
    "NAME",
    "NUM_IDENTITIES",
    "SyntheticFacesSource",
    "load",
    "load_source",
    "prepare",
]

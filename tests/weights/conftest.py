# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Arrays for weight files of all formats."""

import numpy as np
import pytest

from fakedet_jax.weights import formats


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = {"conv1.weight": (4, 3, 3, 3), "conv1.bias": (4,), "fc.weight": (2, 16)}
    return {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}


@pytest.fixture
def read_bytes(tmp_path):
    """Writes bytes to a file without a telling name and reads its arrays."""

    def read(content):
        path = tmp_path / "weights"
        path.write_bytes(content)
        return formats.read(path)

    return read

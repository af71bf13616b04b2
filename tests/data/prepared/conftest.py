# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small prepared dataset."""

import pytest


@pytest.fixture
def data_dir(prepared_dir):
    """The output of a preparation. Not to be changed."""
    return prepared_dir

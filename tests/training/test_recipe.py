# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.recipe."""

import subprocess
import sys

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.training.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sdg"}, r"`optimizer`: expected caffe_sgd, sgd, .* 'sdg'"),
        ({"schedule": "linear"}, r"`schedule`: expected constant, cosine, .*'linear'"),
    ],
)
def test_unknown_names_are_refused_with_the_valid_ones(settings, message):
    with pytest.raises(RequestError, match=message):
        Recipe(**settings)


def test_neither_jax_nor_optax_is_imported():
    code = (
        "import sys, fakedet_jax.training.recipe; "
        "assert not {'jax', 'optax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.perturbation."""

import math

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb.perturbation import OPERATIONS, Perturbation


@pytest.mark.parametrize(
    ("operation", "strength"),
    [
        ("jpeg", -1),
        ("jpeg", 101),
        ("jpeg", 50.5),
        ("gaussian_blur", 0),
        ("gaussian_blur", -1),
        ("resize", 0),
        ("resize", 1.01),
        ("resize", -0.5),
        ("gaussian_noise", -0.001),
        *((operation, value) for operation in OPERATIONS for value in (math.nan,)),
        *((operation, value) for operation in OPERATIONS for value in (math.inf,)),
    ],
)
def test_a_strength_out_of_range_is_one_line(operation, strength):
    with pytest.raises(RequestError, match=f"^{operation}: expected .*, found") as info:
        Perturbation(operation, strength)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("operation", "strength"),
    [
        ("jpeg", 0),
        ("jpeg", 100.0),
        ("gaussian_blur", 1e-3),
        ("resize", 1),
        ("gaussian_noise", 0),
    ],
)
def test_the_ends_of_the_ranges_are_valid(operation, strength):
    assert Perturbation(operation, strength).kind is OPERATIONS[operation]


def test_an_unknown_operation_lists_the_valid_ones():
    with pytest.raises(RequestError, match=r"jpeg, gaussian_blur, .*'sharpen'"):
        Perturbation("sharpen", 1)


def test_every_operation_runs_somewhere():
    for kind in OPERATIONS.values():
        assert (kind.on_device is None) != (kind.on_host is None)

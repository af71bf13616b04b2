# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.perturbation."""

import collections
import math

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb.perturbation import OPERATIONS, Mix, Perturbation

_FILTERS = ("mean_filter", "median_filter", "gaussian_filter")


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
        *((name, size) for name in _FILTERS for size in (0, 1, 2, 4, 3.5, 9)),
        ("gamma_correction", 0),
        ("gamma_correction", 101),
        ("jpeg2000", 0.9),
        ("jpeg2000", 1001),
        ("scale_up", -1),
        ("scale_up", 101),
        ("scale_up", 2.5),
        ("scale_down", 100),
        ("scale_down", 0.5),
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
        *((name, size) for name in _FILTERS for size in (3, 7)),
        ("jpeg2000", 1),
        ("jpeg2000", 1000),
        ("scale_up", 100),
        ("scale_down", 99),
    ],
)
def test_the_ends_of_the_ranges_are_valid(operation, strength):
    assert Perturbation(operation, strength).kind is OPERATIONS[operation]


def test_an_unknown_operation_lists_the_valid_ones():
    with pytest.raises(RequestError, match=r"jpeg, gaussian_blur, .*'sharpen'"):
        Perturbation("sharpen", 1)


def test_every_operation_runs_somewhere():
    for kind in map(OPERATIONS.__getitem__, OPERATIONS.names()):
        assert (kind.on_device is None) != (kind.on_host is None)


def test_a_mix_is_named_after_its_operation():
    own = Mix((Perturbation("jpeg", 90), Perturbation("jpeg", 60)))
    both = Mix((*own.choices, Perturbation("mean_filter", 3)))
    names = [(mix.operation, mix.strength, str(mix)) for mix in (own, both)]
    assert names == [("jpeg", "mix", "jpeg-mix"), ("mix", "mix", "mix")]


def test_operations_are_equally_likely_and_so_are_their_strengths():
    few, many = Perturbation("mean_filter", 3), (90, 80, 70)
    mix = Mix((few, *(Perturbation("jpeg", quality) for quality in many)))
    counts = collections.Counter(mix.draw(number) for number in range(6))
    assert counts.pop(few) == 3
    assert {one.strength: number for one, number in counts.items()} == dict.fromkeys(
        many, 1
    )


def test_a_mix_of_nothing_is_refused():
    with pytest.raises(RequestError, match="expected at least one perturbation"):
        Mix(())

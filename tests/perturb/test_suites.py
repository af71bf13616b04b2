# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.suites."""

import collections

import jax
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import suites


def test_the_table_of_fakespotter_is_frozen():
    suite = suites.create("fakespotter")
    strengths = collections.defaultdict(list)
    for condition in suite.conditions:
        strengths[condition.operation].append(condition.strength)
    assert (suite.name, suite.version, suite.seed) == ("fakespotter", 1, 0)
    assert dict(strengths) == {
        "jpeg": [90, 70, 50, 30, 10],
        "gaussian_blur": [0.5, 1, 1.5, 2, 3],
        "resize": [0.9, 0.75, 0.5, 0.35, 0.25],
        "gaussian_noise": [0.001, 0.005, 0.01, 0.02, 0.05],
    }
    assert suite.operations == tuple(strengths)


def test_the_table_of_amten_is_frozen():
    suite = suites.create("amten")
    *single, overall = suite.conditions
    strengths = collections.defaultdict(list)
    for condition in single:
        strengths[condition.operation].append(condition.strength)
    assert (suite.name, suite.version, suite.seed) == ("amten", 1, 0)
    assert dict(strengths) == {
        "mean_filter": [3, 5, 7, "mix"],
        "median_filter": [3, 5, 7, "mix"],
        "gaussian_filter": [3, 5, 7, "mix"],
        "gamma_correction": [0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, "mix"],
        "jpeg": [90, 85, 80, 75, 70, 65, 60, "mix"],
        "jpeg2000": [2, 4, 6, 8, "mix"],
        "scale_up": [1, 3, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, "mix"],
        "scale_down": [1, 3, 5, 10, 15, 20, 25, 30, 35, 40, 45, "mix"],
    }
    assert suite.operations == tuple(strengths)
    assert str(overall) == "mix"
    assert overall.operations == suite.operations
    # Each mix is of the strengths that are tested one by one.
    fixed = [one for one in single if one.strength != "mix"]
    assert overall.choices == tuple(fixed)
    for mix in single[len(fixed) :]:
        own = [one for one in fixed if one.operation == mix.operation]
        assert mix.choices == tuple(own)


def test_every_condition_has_its_own_key_on_every_machine():
    suite = suites.create("fakespotter")
    bits = [
        tuple(jax.random.key_data(suite.key(index)).tolist())
        for index in range(len(suite.conditions))
    ]
    assert len(set(bits)) == len(bits)
    # Numbers that were published once depend on it.
    assert bits[0] == (1_797_259_609, 2_579_123_966)


def test_an_unknown_suite_lists_the_valid_ones():
    with pytest.raises(
        RequestError, match=r"`suite`: expected amten, fakespotter, .*'x'"
    ):
        suites.create("x")
    assert suites.names() == ["amten", "fakespotter"]

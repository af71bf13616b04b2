# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.peer that need no PyTorch."""

import sys

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import measurement, peer


def test_without_pytorch_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RequestError, match="`compare`: PyTorch cannot be imported"):
        peer.load()


@pytest.fixture
def turns(monkeypatch):
    """Three turns whose second was disturbed."""
    seconds = {"ours": [1.0, 4.0, 1.0], "eager": [2.0, 6.0, 3.0]}

    def runs_in_turns(calls, num_repeats):
        assert num_repeats == 3
        return {name: seconds[name] for name in calls}

    monkeypatch.setattr(measurement, "runs_in_turns", runs_in_turns)


def test_ratios_are_those_of_turns(turns):
    calls = {"ours": int, "eager": int, "compiled": None}
    found = peer.compare("train", "float32", calls, batch_size=8, num_repeats=3)
    assert found == {
        "torch_train_float32_ours_images_per_second": 8.0,
        "torch_train_float32_eager_images_per_second": 8 / 3,
        "torch_train_float32_eager_ratio": 2.0,
        "torch_train_float32_eager_ratio_lowest": 1.5,
        "torch_train_float32_eager_ratio_highest": 3.0,
        # The compiler does not work there.
        "torch_train_float32_compiled_images_per_second": None,
        "torch_train_float32_compiled_ratio": None,
        "torch_train_float32_compiled_ratio_lowest": None,
        "torch_train_float32_compiled_ratio_highest": None,
    }
    assert found.keys() <= {name for name, *_ in peer.rows({"train": "Training step"})}


def test_cpus_compare_what_was_asked_for():
    assert peer.formats("bfloat16") == ["bfloat16"]


def test_moments_of_caffe_are_divided_by_their_weight():
    sums = {"mean_sum": np.full(2, 4.0), "var_sum": np.full(2, 6.0), "weight": 2.0}
    mean, variance = peer._moments(sums)
    np.testing.assert_array_equal(mean, [2, 2])
    np.testing.assert_array_equal(variance, [3, 3])
    mean, variance = peer._moments({**sums, "weight": 0.0})
    np.testing.assert_array_equal([mean, variance], np.zeros((2, 2)))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.condition_scores."""

import numpy as np
import pytest

from fakedet_jax.evaluation.condition_scores import ConditionScores
from fakedet_jax.evaluation.scoring import Scored

SCORED = Scored(np.float32([[0.1, 0.9], [0.0, 0.0]]), np.array([True, False]))


@pytest.fixture
def results(tmp_path):
    return tmp_path / "evaluations" / "faces_amten"


def test_what_was_written_is_read_by_another_process(results):
    kept = ConditionScores(results, "abc")
    assert kept.missing([0, 7]) == [0, 7]
    kept.write(7, SCORED)
    found = ConditionScores(results, "abc")
    assert found.missing([0, 7]) == [0]
    np.testing.assert_array_equal(found.read(7).values, SCORED.values)
    np.testing.assert_array_equal(found.read(7).valid, SCORED.valid)
    assert ConditionScores(results, "other").missing([7]) == [7]
    # Results that are not complete have no folder.
    assert not results.exists()


@pytest.mark.parametrize("left", [0, 50, -1])
def test_a_damaged_file_is_missing(results, left):
    kept = ConditionScores(results, "abc")
    kept.write(0, SCORED)
    (path,) = results.parent.glob(".*/*.npz")
    path.write_bytes(path.read_bytes()[:left])
    assert kept.missing([0]) == [0]


def test_one_process_takes_the_scores_and_deletes_them(results):
    kept, other = (ConditionScores(results, "abc") for _ in range(2))
    kept.write(0, SCORED)
    with kept.taken() as is_mine, other.taken() as is_others:
        assert (is_mine, is_others) == (True, False)
        assert kept.read(0) is not None
    assert not list(results.parent.iterdir())


def test_scores_stay_where_results_cannot_be_written(results):
    kept = ConditionScores(results, "abc")
    kept.write(0, SCORED)
    with pytest.raises(OSError, match="full"), kept.taken():
        raise OSError("full")
    assert ConditionScores(results, "abc").read(0) is not None

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.fusion against SciPy, hand calculations and its promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from fakedet_jax import fusion
from fakedet_jax.evaluation import metrics
from fakedet_jax.fusion import fitting, folds, model

NUM_ROWS = 240


def table(seed=0, num_members=3):
    """Log-odds of members of unequal worth, labels, and groups: 5 real, 8 fake."""
    rng = np.random.default_rng(seed)
    fake = np.arange(NUM_ROWS) % 2 == 1
    values = rng.normal(size=(NUM_ROWS, num_members))
    values += fake[:, None] * np.linspace(0.5, 2, num_members)
    groups = [
        f"fake {row % 16}" if is_fake else f"real {row % 10}"
        for row, is_fake in enumerate(fake)
    ]
    return values, fake, groups


NAMES = ("first", "second", "third")


@pytest.fixture(scope="module")
def fitted():
    return fusion.fit(NAMES, *table())


def test_ranks_are_shares_of_the_rows_below():
    values = table()[0]
    knots = np.stack([fitting._knots(column) for column in values.T])
    found = model.ranks(knots, values)
    expected = np.stack([stats.rankdata(column) for column in values.T], 1) / NUM_ROWS
    assert np.abs(found - expected).max() < 0.08
    np.testing.assert_array_equal(model.ranks(knots, values * 0 - 99), 0)
    np.testing.assert_array_equal(model.ranks(knots, values * 0 + 99), 1)


def test_a_sum_by_hand():
    knots = np.tile(np.linspace(0, 8, 9), (2, 1))
    # Rank of the first member 0.5, of the second 0.25; half of a curve, a quarter.
    rows = model.inputs(knots, np.zeros(32), np.array([[4.0, 2.0]]))
    curves = rows[0].reshape(-1)
    half, quarter = [1.0] * 4 + [0.0] * 4, [1.0] * 2 + [0.0] * 6
    np.testing.assert_array_equal(
        curves[:-2].reshape(4, 8), [half, quarter, quarter, half]
    )
    np.testing.assert_array_equal(curves[-2:], 0)
    made = fusion.Fusion(
        ("a", "b"),
        tuple(map(tuple, knots.tolist())),
        (0.25,) * 32,
        tuple([1.0] * 8 + [2.0] * 8 + [0.5] * 16 + [-3.0, 7.0]),
        0.25,
    )
    assert made([[4.0, 2.0]]) == pytest.approx(0.25 + 4 + 4 + 1 + 2)
    # Without the second member there are means, and its constant.
    assert made([[4.0, np.nan]]) == pytest.approx(0.25 + 4 + 4 + 2 + 7)
    assert np.isnan(made([[np.nan, np.nan]]))


def test_more_evidence_of_a_member_never_lowers_the_fused_score(fitted):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(200, 3)) * 3
    lower = fitted.fusion(values)
    for member in range(3):
        more = values.copy()
        more[:, member] += rng.exponential(size=200)
        assert np.all(fitted.fusion(more) >= lower - 1e-12)


def test_the_same_on_devices(fitted):
    values = table(seed=2)[0]
    values[::7, 1] = np.nan
    parameters = {
        name: jnp.asarray(array, jnp.float32)
        for name, array in fitted.fusion.parameters.items()
    }
    compiled = jax.jit(lambda given: model.log_odds(parameters, given, jnp))
    found = compiled(jnp.asarray(values, jnp.float32))
    np.testing.assert_allclose(found, fitted.fusion(values), rtol=1e-4, atol=1e-4)


def test_it_is_about_as_good_as_the_model_that_made_the_rows(fitted):
    values, fake, _ = table(seed=3)
    # Normal rows of equal deviation: logistic regression is the right model of them.
    reference = LogisticRegression().fit(*table()[:2])
    best = metrics.auc(fake, reference.decision_function(values))
    assert metrics.auc(fake, fitted.fusion(values)) > best - 0.01
    assert fitted.auc == pytest.approx(best, abs=0.03)
    assert fitted.calibration_error < 0.06


def test_the_best_member_alone_is_worse(fitted):
    values, fake, _ = table(seed=3)
    alone = max(metrics.auc(fake, column) for column in values.T)
    assert metrics.auc(fake, fitted.fusion(values)) > alone


def test_a_row_is_judged_without_the_rows_of_its_fold(fitted):
    values, fake, groups = table()
    values[0] += 5
    changed = fusion.fit(NAMES, values, fake, groups)
    for before, after, dealt in zip(
        fitted.left_out, changed.left_out, fitted.folds, strict=True
    ):
        beside = np.flatnonzero(dealt.numbers == dealt.numbers[0])[1:]
        elsewhere = dealt.numbers != dealt.numbers[0]
        np.testing.assert_array_equal(after[beside], before[beside])
        assert np.any(after[elsewhere] != before[elsewhere])


def test_groups_are_in_one_fold():
    _, fake, groups = table()
    found = folds.leave_groups_out(fake, groups, seed=5)
    assert (found.real_groups, found.fake_groups) == (True, True)
    for name in set(groups):
        own = [row for row, group in enumerate(groups) if group == name]
        assert len(set(found.numbers[own])) == 1
    assert np.all(np.bincount(found.numbers[~fake]) == NUM_ROWS / 10)
    rows = folds.leave_groups_out(fake, groups, seed=5, real_groups=False)
    assert (rows.real_groups, rows.fake_groups) == (False, True)
    np.testing.assert_array_equal(rows.numbers[fake] >= 0, True)
    alone = folds.leave_groups_out(fake, ["one"] * NUM_ROWS)
    assert (alone.real_groups, alone.fake_groups) == (False, False)


def test_the_same_rows_give_the_same_fusion(fitted):
    assert fusion.fit(NAMES, *table()).fusion == fitted.fusion


def test_missing_members(fitted):
    values, fake, groups = table()
    values[::3, 2] = np.nan
    found = fusion.fit(NAMES, values, fake, groups)
    assert 0.5 < found.auc < fitted.auc
    values[:, 2] = np.nan
    without = fusion.fit(NAMES, values, fake, groups)
    assert without.auc == pytest.approx(
        fusion.fit(NAMES[:2], values[:, :2], fake, groups).auc, abs=0.01
    )


def test_a_member_that_was_never_missing_counts_as_its_mean(fitted):
    values = table(seed=6)[0]
    others = np.tile(values[:1], (NUM_ROWS, 1))
    others[:, 0] = values[:, 0]
    found = fitted.fusion(np.where([[True, False, False]], np.nan, values[:1]))
    spread = fitted.fusion(others)
    assert spread.min() < found[0] < spread.max()


def test_certain_and_constant_members_are_taken():
    values, fake, groups = table()
    values[:, 1] = 0.5
    values[:, 2] = np.where(fake, np.inf, -np.inf)
    found = fusion.fit(NAMES, values, fake, groups)
    assert found.auc == 1
    assert np.isfinite(found.fusion(values)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v, f, g: (v[:, :2], f, g), "3 members, 240 labels"),
        (lambda v, f, g: (v, f, g[1:]), "239 groups"),
        (lambda v, f, g: (v * np.nan, f, g), "no score of any member"),
        (lambda v, f, g: (v, f | True, g), "found one kind"),
    ],
)
def test_what_cannot_be_fused_is_an_error(change, words):
    with pytest.raises(ValueError, match=words):
        fusion.fit(NAMES, *change(*table()))


@pytest.mark.parametrize(
    "change",
    [
        {"members": ("a",)},
        {"weights": (1.0,)},
        {"knots": ((1.0,) * 9,) * 3},
        {"members": (), "knots": (), "weights": ()},
    ],
)
def test_what_does_not_belong_together_is_an_error(change, fitted):
    with pytest.raises(ValueError, match="knots"):
        dataclasses.replace(fitted.fusion, **change)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.table_training against the same training in NumPy."""

import dataclasses
import json
import signal

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems.fakespotter.classifier import CoverageClassifier
from fakedet_jax.training import loop, table_training, writers
from fakedet_jax.training.optim import Recipe

_RNG = np.random.default_rng(0)
_LABELS = _RNG.integers(0, 2, 22).astype(np.int32)
_FEATURES = (_RNG.standard_normal((22, 3)) + _LABELS[:, None]).astype(np.float32)
_MODEL = CoverageClassifier((4,))
# 22 rows are 3 steps per epoch, the last with 2 rows of the same epoch once more.
_RECIPE = Recipe(
    optimizer="sgd",
    learning_rate=0.1,
    schedule="time_decay",
    decay_per_step=0.05,
    momentum=0.9,
    batch_size=8,
    num_epochs=4,
)


class _Watch:
    """Says what validation is to say, and notes what it was asked."""

    def __init__(self, merits=None):
        self.merits = merits
        self.steps = []
        self.params = []

    def __call__(self, step, params):
        self.steps.append(step)
        self.params.append(jax.device_get(params))
        number = len(self.steps)
        merit = self.merits[number - 1] if self.merits else number
        return loop.Verdict({"validation/merit": merit}, merit, {"number": number})


def _train(
    recipe=_RECIPE, *, seed=0, features=_FEATURES, labels=_LABELS, watch=None, **more
):
    return table_training.train(
        _MODEL,
        features,
        labels,
        recipe=recipe,
        seed=seed,
        validate=watch or _Watch(),
        writer=more.get("writer", writers.Writer()),
        stop=more.get("stop", StopRequest()),
    )


def _bytes(params):
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path): np.asarray(x).tobytes() for path, x in leaves}


def _gradients(params, features, labels):
    """Of the mean cross-entropy, by hand: `[in, out]` kernels, float64."""
    (w1, b1), (w2, b2) = (
        (params[name]["kernel"], params[name]["bias"]) for name in ("fc1", "fc2")
    )
    before = features @ w1 + b1
    hidden = np.maximum(before, 0)
    logits = (hidden @ w2 + b2)[:, 0]
    wrong = ((1 / (1 + np.exp(-logits)) - labels) / len(labels))[:, None]
    back = (wrong @ w2.T) * (before > 0)
    return {
        "fc1": {"kernel": features.T @ back, "bias": back.sum(0)},
        "fc2": {"kernel": hidden.T @ wrong, "bias": wrong.sum(0)},
    }


def _trajectory(params, recipe, num_epochs):
    """Keras' rule: v ← μ v − rate / (1 + decay · t) · g, w ← w + v."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    velocity = jax.tree.map(np.zeros_like, params)
    step, course = 0, []
    for epoch in range(num_epochs):
        key = jax.random.fold_in(jax.random.key(0), epoch)
        order = np.asarray(jax.random.permutation(key, len(_LABELS)))
        for rows in np.split(np.r_[order, order[:2]], 3):
            rate = recipe.learning_rate / (1 + recipe.decay_per_step * step)
            gradients = _gradients(params, _FEATURES[rows], _LABELS[rows])
            velocity = jax.tree.map(
                lambda v, g, rate=rate: recipe.momentum * v - rate * g,
                velocity,
                gradients,
            )
            params = jax.tree.map(np.add, params, velocity)
            step += 1
        course.append(params)
    return course


def _initial(recipe):
    """The parameters before the first step: those of no learning at all."""
    watch = _Watch()
    _train(dataclasses.replace(recipe, learning_rate=1e-30), watch=watch)
    return watch.params[0]


def test_parameters_follow_the_update_rule():
    watch = _Watch()
    _train(watch=watch)
    expected = _trajectory(_initial(_RECIPE), _RECIPE, 4)
    for found, wanted in zip(watch.params, expected, strict=True):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            dict(found),
            wanted,
        )


def test_the_decay_shows():
    # A rule without it would not pass the test above.
    start = _initial(_RECIPE)
    with_decay = _trajectory(start, _RECIPE, 4)[-1]
    without = _trajectory(start, dataclasses.replace(_RECIPE, decay_per_step=0), 4)[-1]
    difference = np.abs(with_decay["fc2"]["kernel"] - without["fc2"]["kernel"])
    assert difference.max() > 1e-3


def test_it_learns():
    recipe = dataclasses.replace(_RECIPE, num_epochs=60)
    best = _train(recipe)
    logits = _MODEL.apply({"params": best.epoch.params}, _FEATURES)
    assert np.mean((np.asarray(logits) > 0) == _LABELS) > 0.9


def test_the_same_seed_gives_the_same_parameters():
    assert _bytes(_train(seed=3).epoch.params) == _bytes(_train(seed=3).epoch.params)


def test_another_seed_gives_others():
    first, second = (_bytes(_train(seed=seed).epoch.params) for seed in (3, 4))
    assert all(first[name] != second[name] for name in first)


def test_every_epoch_is_validated_with_its_step():
    watch = _Watch()
    _train(watch=watch)
    assert watch.steps == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("merits", "number"), [([1, 3, 2, 0], 2), ([1, 3, 3, 0], 3), ([-2, -5, -3, -4], 1)]
)
def test_the_best_epoch_is_kept_of_equals_the_later(merits, number):
    watch = _Watch(merits)
    best = _train(watch=watch)
    assert (best.epoch.step, best.verdict.facts) == (3 * number, {"number": number})
    assert _bytes(best.epoch.params) == _bytes(watch.params[number - 1])


def test_a_batch_larger_than_the_table_is_the_table():
    watch = _Watch()
    _train(dataclasses.replace(_RECIPE, batch_size=1000), watch=watch)
    assert watch.steps == [1, 2, 3, 4]


def test_the_course_is_recorded_once(tmp_path):
    for _ in range(2):
        with writers.create(tmp_path) as writer:
            _train(writer=writer)
    rows = [
        json.loads(line)
        for line in (tmp_path / writers.FILE_NAME).read_text().splitlines()
    ]
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert set(rows[0]) == {
        "step",
        "train/loss",
        "train/accuracy",
        "train/learning_rate",
        "validation/merit",
    }
    # Of the last step of the epoch, which counts from 0.
    assert rows[0]["train/learning_rate"] == pytest.approx(0.1 / (1 + 0.05 * 2))


@pytest.mark.parametrize("labels", [_LABELS * 0, _LABELS * 0 + 1])
def test_one_kind_is_refused(labels):
    with pytest.raises(RequestError, match=r"both kinds.* found 22 of 1 kinds"):
        _train(labels=labels)


def test_no_rows_are_refused():
    with pytest.raises(RequestError, match="found 0 of 0 kinds"):
        _train(features=_FEATURES[:0], labels=_LABELS[:0])


def test_a_loss_that_is_no_number_ends_the_run():
    features = _FEATURES.copy()
    features[4, 1] = np.nan
    with pytest.raises(loop.NonFiniteLossError, match=r"loss is nan in epoch 1; try"):
        _train(features=features)


def test_it_stops_after_the_epoch_when_asked():
    stop, watch = StopRequest(), _Watch()
    stop.signum = signal.SIGTERM
    with pytest.raises(Stopped, match="SIGTERM"):
        _train(stop=stop, watch=watch)
    assert watch.steps == [3]

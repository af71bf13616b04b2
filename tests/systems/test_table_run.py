# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems import table_run
from fakedet_jax.systems.fakespotter.classifier import CoverageClassifier
from fakedet_jax.training.optim import Recipe

NUM = 12
MODEL = CoverageClassifier((8,))
LABELS = np.arange(NUM, dtype=np.int32) % 2
FOLD_OF = np.arange(NUM) // 2 % 3
# A picture as it is and mirrored, which any classifier learns by heart.
VALUES = np.tile(np.eye(NUM, dtype=np.float32), (2, 1))
VALUES[NUM:] *= 0.9


def _log_probabilities(params, rows):
    logits = MODEL.apply({"params": params}, jnp.asarray(rows))
    return jnp.stack([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], -1)


def _task(labels=LABELS, values=VALUES):
    examples = np.tile(np.arange(NUM), 2)
    return table_run.Task(
        MODEL,
        table_run.Rows(values, examples, labels[examples], NUM),
        Scored(values[:0], np.zeros(0, np.bool_)),
        log_probabilities=_log_probabilities,
        complete=lambda params: params,
    )


def _request(stop=None):
    recipe = Recipe(optimizer="adam", learning_rate=0.05, batch_size=8, num_epochs=40)
    config = types.SimpleNamespace(seed=0)
    return types.SimpleNamespace(
        recipe=recipe, config=config, stop=stop or StopRequest()
    )


def _held_out(task, num_epochs=40, **more):
    return table_run._held_out(_request(**more), task, num_epochs, FOLD_OF)


def test_each_picture_has_one_row_in_order():
    found = _held_out(_task())
    assert found.log_probabilities.shape == (NUM, 2)
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.num_folds == 3


def test_what_is_held_out_teaches_nothing():
    out = FOLD_OF == 1
    given = _held_out(_task()).log_probabilities
    turned = np.where(out, 1 - LABELS, LABELS)
    found = _held_out(_task(turned)).log_probabilities
    np.testing.assert_array_equal(found[out], given[out])
    assert (found[~out] != given[~out]).all()


def test_training_ends_with_the_best_epoch_of_the_whole():
    early, late = (_held_out(_task(), number).log_probabilities for number in (1, 40))
    assert np.abs(early - np.log(0.5)).max() < np.abs(late - np.log(0.5)).max()


def test_it_can_be_stopped():
    stop = StopRequest()
    stop.signum = 15
    with pytest.raises(Stopped):
        _held_out(_task(), stop=stop)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.exif_anomaly.training; test_exif_anomaly runs it whole."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.config import InputConfig
from fakedet_jax.data import inspection
from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.signals import StopRequest
from fakedet_jax.systems.base import FitRequest, Plan
from fakedet_jax.systems.exif_anomaly import metrics as anomaly_metrics
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.systems.exif_anomaly.training import Ranked
from fakedet_jax.training import loop, optim
from tests import tiny

_FRAMING = tiny.PREPROCESSING.framing


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    root = tmp_path_factory.mktemp("ranking") / "photographs"
    return load_folder(tiny.write_photographs(root, {"real": 10}), "all")


def _without_tags(dataset):
    unknown = Portraits.unknown(dataset.num_examples)
    return dataclasses.replace(dataset, portraits=unknown)


def _brightness(variables, images):
    """Five heads that tell the mean of a picture, the last one's sign from 128."""
    mean = images.astype(jnp.float32).mean((1, 2, 3))
    return jnp.stack([mean, -mean, mean, mean, mean - variables], -1)


def _measure(dataset, middle=128.0, heads=_brightness):
    scorer = Scorer(heads, parallel.data_mesh(), 8)
    return ranking_training.measure(
        scorer, jnp.float32(middle), dataset, _FRAMING, InputConfig(num_threads=2)
    )


def test_the_accuracy_is_a_mean_over_heads():
    taus = {"iso": 1.0, "aperture": -1.0, "exposure_time": 0.5, "focal_length": None}
    # Of pairs 1, 0 and 3/4 are in order.
    assert Ranked(taus, 0.25).accuracy == pytest.approx((1 + 0 + 0.75 + 0.25) / 4)


def test_without_any_ranking_the_accuracy_is_that_of_the_last_head():
    assert Ranked(dict.fromkeys(("iso", "aperture")), 0.625).accuracy == 0.625


def test_rankings_are_measured_on_photographs_as_they_are(photographs):
    ranked = _measure(photographs)
    means = [_decoded(record).mean() for record in photographs.source]
    tags = inspection.read_portraits(photographs).tags
    for sign, place, tag in (
        (1, 0, "iso"),
        (-1, 1, "aperture"),
        (1, 3, "focal_length"),
    ):
        expected = anomaly_metrics.kendall_tau(sign * np.array(means), tags[:, place])
        assert ranked.taus[tag] == pytest.approx(expected)


def _decoded(record):
    return to_input(decode(record.encoded), _FRAMING)


@pytest.mark.parametrize("middle", [-1.0, 256.0])
def test_one_answer_for_all_finds_half_of_the_manipulated(photographs, middle):
    assert _measure(photographs, middle).manipulated_accuracy == 0.5


def test_tags_that_the_dataset_brings_are_not_read_from_files(photographs):
    ranked = _measure(_without_tags(photographs))
    assert list(ranked.taus) == ["iso", "aperture", "exposure_time", "focal_length"]
    assert set(ranked.taus.values()) == {None}
    assert ranked.accuracy == ranked.manipulated_accuracy


def test_unreadable_photographs_are_left_out(photographs, tmp_path):
    root = tiny.write_photographs(tmp_path / "photographs", {"real": 10})
    for path in sorted((root / "real").iterdir())[8:]:
        path.write_bytes(b"text")
    found = _measure(load_folder(root, "all"))
    expected = _measure(photographs.subset(range(8)))
    assert found == expected


def test_nothing_readable_is_nothing_to_measure(tmp_path):
    root = tiny.write_photographs(tmp_path / "photographs", {"real": 2})
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"text")
    assert _measure(load_folder(root, "all")) is None


def test_a_network_that_overflows_is_told_of(photographs):
    def heads(variables, images):
        return _brightness(variables, images) * jnp.inf

    with pytest.raises(loop.NonFiniteLossError, match="not finite"):
        _measure(photographs, heads=heads)


def test_the_objective_sums_five_losses():
    outputs = np.zeros((4, 5), np.float32)
    targets = np.arange(20, dtype=np.float32).reshape(4, 5)
    targets[:, 4] = [0, 0, 1, 1]
    loss, scalars = jax.jit(ranking_training.make_objective())(outputs, targets)
    # Each head knows nothing: 1 - sqrt(1/2).
    assert float(loss) == pytest.approx(5 * (1 - np.sqrt(0.5)), abs=1e-3)
    assert float(scalars["manipulated_accuracy"]) == 0.5


def test_the_head_of_a_missing_tag_gets_no_gradient():
    rng = np.random.default_rng(0)
    outputs, targets = rng.standard_normal((2, 6, 5)).astype(np.float32)
    targets[:, 2] = np.nan
    targets[:, 4] = 1
    gradient = jax.jit(jax.grad(ranking_training.make_objective(), has_aux=True))
    found = np.asarray(gradient(outputs, targets)[0])
    assert np.isfinite(found).all()
    assert (found[:, 2] == 0).all()
    assert (np.abs(found).sum(0)[[0, 1, 3, 4]] > 0).all()


def _check(photographs, tags, landmarks=None):
    unknown = Portraits.unknown(len(tags))
    known = Portraits(unknown.landmarks if landmarks is None else landmarks, tags)
    ranking_training._check(photographs, known)


def test_what_is_missing_is_told(photographs, caplog):
    tags = np.ones((10, 4), np.float32)
    tags[1:, 2] = np.nan
    tags[:3, 0] = np.nan
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        _check(photographs, tags)
    assert caplog.messages[:2] == [
        "7 of 10 training photographs tell the iso",
        "no two training photographs tell the exposure time: its head learns nothing",
    ]
    assert caplog.messages[2].startswith("10 of 10 training photographs have no landm")


def test_nothing_missing_is_nothing_to_tell(photographs, caplog):
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        _check(
            photographs,
            np.ones((10, 4), np.float32),
            np.ones((10, 5, 2), np.float32),
        )
    assert caplog.messages == []


def test_a_tag_of_a_single_photograph_ranks_nothing(photographs):
    tags = np.full((10, 4), np.nan, np.float32)
    tags[0] = 1
    with pytest.raises(RequestError, match="there is nothing to rank"):
        _check(photographs, tags)


def test_a_body_starts_from_weights_and_the_rest_is_fresh():
    network = tiny.EMBEDDER.build(jnp.float32)
    picture = jnp.zeros((1, *tiny.PREPROCESSING.framing.shape), jnp.uint8)
    variables = network.init(jax.random.key(0), tiny.PREPROCESSING(picture))
    fresh = jax.tree.map(np.asarray, variables)
    weights = {
        name: jax.tree.map(lambda leaf: np.full_like(leaf, 7), tree["body"])
        for name, tree in fresh.items()
    }
    # Of another task, so its last layer has another size.
    weights["params"]["fc"] = {"kernel": np.ones((8, 3)), "bias": np.ones(3)}
    found = ranking_training.START_BODY_FROM(fresh, weights)
    assert (np.asarray(found["params"]["body"]["conv"]["kernel"]) == 7).all()
    assert (np.asarray(found["batch_stats"]["body"]["bn"]["mean"]) == 7).all()
    for layer in (("body", "fc"), ("heads",)):
        kernels = [tree["params"] for tree in (fresh, found)]
        for name in layer:
            kernels = [tree[name] for tree in kernels]
        np.testing.assert_array_equal(*(tree["kernel"] for tree in kernels))


def _validator(photographs):
    request = FitRequest(
        tiny.anomaly_config(None, None),
        optim.Recipe(batch_size=8),
        Plan(),
        photographs,
        photographs,
        parallel.data_mesh(),
        StopRequest(),
    )
    framing = tiny.PREPROCESSING.framing
    return ranking_training._validator(request, framing, _brightness)


def test_tags_of_validation_photographs_are_read_once(photographs, monkeypatch):
    validate = _validator(photographs)
    monkeypatch.setattr(inspection, "read_portraits", None)
    verdict = validate(3, jnp.float32(128))
    assert verdict.merit == verdict.metrics["validation/accuracy"]
    assert verdict.facts["step"] == 3
    assert {"validation/tau_iso", "validation/manipulated_accuracy"} <= set(
        verdict.metrics
    )


def test_validation_needs_a_readable_photograph(photographs, monkeypatch):
    monkeypatch.setattr(ranking_training, "measure", lambda *unused: None)
    validate = _validator(photographs)
    with pytest.raises(RequestError, match="none of the 10 validation photographs"):
        validate(3, None)

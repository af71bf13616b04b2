# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.detectors.network."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedet_jax import detectors, loop, metrics, optim, parallel
from fakedet_jax.config import TrainConfig
from fakedet_jax.data import catalog
from fakedet_jax.data.decode import decode
from fakedet_jax.detectors.base import DetectorInfo
from fakedet_jax.detectors.verdict import judge
from fakedet_jax.errors import RequestError
from fakedet_jax.framing import Framing
from fakedet_jax.scoring import Scored
from tests import tiny
from tests.data import pictures

_CLASSES = ("real", "glow", "stylegan")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("network")
    return tiny.fit(tiny.write_pictures(root / "pictures"), root / "workdir")


@pytest.fixture
def dataset(tmp_path):
    counts = {"real": 3, "glow": 2, "stylegan": 2}
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    return catalog.load("folder", root, "all")


def _info(classes=_CLASSES):
    return DetectorInfo(
        detector="tiny",
        classes=classes,
        is_fake=tuple(name != "real" for name in classes),
        task="multiclass",
        framing=Framing.square(16),
        threshold=0.5,
        threshold_origin="",
        step=3,
    )


def _probabilities(dataset, seed=0):
    values = np.random.default_rng(seed).random((dataset.num_examples, 3), np.float32)
    return values / values.sum(-1, keepdims=True)


def _judge(dataset, probabilities, valid=None, select_by="accuracy"):
    valid = np.ones(dataset.num_examples, np.bool_) if valid is None else valid
    info = dataclasses.replace(_info(), classes=dataset.classes)
    return judge(info, dataset, Scored(probabilities, valid), select_by)


def test_the_threshold_is_chosen_on_the_validation_scores(dataset):
    probabilities = _probabilities(dataset)
    verdict = _judge(dataset, probabilities)
    expected = metrics.best_threshold(dataset.fake_labels, 1 - probabilities[:, 0])
    assert verdict.facts["threshold"] == pytest.approx(expected, rel=1e-6)


def test_the_metrics_are_those_of_the_definition(dataset):
    probabilities = _probabilities(dataset)
    labels = dataset.labels
    recorded = _judge(dataset, probabilities).metrics
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert recorded["validation/loss"] == pytest.approx(loss, rel=1e-5)
    accuracy = (probabilities.argmax(-1) == labels).mean()
    assert recorded["validation/accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("select_by", ["accuracy", "auc", "loss"])
def test_merit_is_the_metric_that_selects(dataset, select_by):
    verdict = _judge(dataset, _probabilities(dataset), select_by=select_by)
    sign = -1 if select_by == "loss" else 1
    assert verdict.merit == sign * verdict.metrics[f"validation/{select_by}"]


def test_pictures_that_cannot_be_read_do_not_count(dataset):
    probabilities = _probabilities(dataset)
    valid = np.arange(dataset.num_examples) != 2
    spoilt = probabilities.copy()
    spoilt[2] = 0
    kept = dataset.subset(np.flatnonzero(valid))
    assert (
        _judge(dataset, spoilt, valid).metrics
        == _judge(kept, probabilities[valid]).metrics
    )


def test_validation_without_a_readable_picture_is_refused(dataset):
    none = np.zeros(dataset.num_examples, np.bool_)
    with pytest.raises(RequestError, match="none of the 7 validation pictures"):
        _judge(dataset, _probabilities(dataset), none)


def test_probabilities_that_are_no_numbers_end_the_run(dataset):
    probabilities = _probabilities(dataset)
    probabilities[1] = np.nan
    with pytest.raises(loop.NonFiniteLossError, match="step 3"):
        _judge(dataset, probabilities)


def test_the_stored_detector_scores_like_the_network(trained):
    mesh = parallel.data_mesh()
    with tiny.registered():
        fitted = detectors.load(trained, mesh)
    found = trained.parent / "pictures" / "test"
    paths = sorted(found.rglob("*.png"))[:8]
    images = np.stack([decode(path.read_bytes())[2:18, 2:18] for path in paths])
    variables = jax.tree.map(np.asarray, fitted.variables)
    logits, _ = tiny.Net(2).apply(variables, tiny.PREPROCESSING(images))
    np.testing.assert_allclose(
        fitted.probability_fn(fitted.variables, images),
        jax.nn.softmax(logits),
        rtol=1e-5,
    )


def test_the_stored_detector_says_what_it_is(trained):
    with tiny.registered():
        info = detectors.load(trained, parallel.data_mesh()).info
    assert (info.detector, info.classes, info.is_fake, info.framing) == (
        "tiny",
        ("real", "fake"),
        (False, True),
        Framing.square(tiny.SIZE),
    )
    assert "validation split" in info.threshold_origin


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ({"batch_size": 12}, {}, "--batch_size: expected a positive multiple of the 8"),
        ({}, {"num_microbatches": 2}, "--num_microbatches: 2 parts do not cut"),
        (
            {"optimizer": "lion"},
            {},
            "--optimizer: expected caffe_sgd, sgd, torch_sgd, adam",
        ),
        ({"schedule": "linear"}, {}, "--schedule: expected constant"),
        ({}, {"dtype": "float16"}, "--dtype: expected float32, bfloat16"),
    ],
    ids=str,
)
def test_settings_it_cannot_follow_are_refused(tmp_path, recipe, changes, message):
    config = tiny.train_config(tmp_path, tmp_path, **changes)
    recipe = dataclasses.replace(tiny.DETECTOR.recipe, **recipe)
    with pytest.raises(RequestError, match=message):
        tiny.DETECTOR.check(config, recipe, parallel.data_mesh())


def test_every_detector_can_follow_its_own_recipe():
    mesh = parallel.data_mesh()
    for name in detectors.names():
        detector = detectors.create(name)
        config = tiny.train_config(None, None, detector=name)
        assert isinstance(detector.recipe, optim.Recipe)
        detector.check(config, detector.recipe, mesh)


def _rewrite(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detector": "plain"}, "holds the detector 'tiny', but config.json says"),
        ({"detector": "gone"}, "names the detector 'gone', expected amtennet"),
        ({"detector": ["tiny"]}, r"names the detector \['tiny'\]"),
        ({"dtype": "float64"}, "--dtype: expected float32"),
    ],
    ids=str,
)
def test_a_config_of_another_detector_is_refused(trained, changes, message):
    path = trained / "config.json"
    before = path.read_bytes()
    try:
        _rewrite(path, **changes)
        with tiny.registered(), pytest.raises(RequestError, match=message):
            detectors.load(trained, parallel.data_mesh())
    finally:
        path.write_bytes(before)


def test_facts_of_another_version_are_refused():
    facts = dataclasses.asdict(_info())
    del facts["threshold"]
    with pytest.raises(RequestError, match=r"of another version .*threshold"):
        DetectorInfo.from_json(facts)


def test_facts_come_back_through_json():
    info = _info()
    assert DetectorInfo.from_json(json.loads(json.dumps(dataclasses.asdict(info)))) == (
        info
    )


def test_the_score_is_the_probability_of_all_fakes():
    probabilities = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(_info().scores(probabilities), [0.5, 0.0])


def test_rounding_does_not_lead_out_of_the_unit_interval():
    probabilities = np.array([[0, 0.6, 0.40000004]], np.float32)
    assert _info().scores(probabilities)[0] == 1.0


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(RequestError, match="--detector: expected amtennet, found 'x'"):
        detectors.create("x")


@pytest.mark.parametrize("fraction", [0.0, 1.0, float("nan")])
def test_a_batch_norm_fraction_out_of_range_is_refused(fraction):
    amtennet = detectors.create("amtennet")
    with pytest.raises(RequestError, match="--batch_norm_fraction: expected"):
        amtennet.check(_with_fraction(fraction), amtennet.recipe, parallel.data_mesh())


def test_a_network_without_a_batch_norm_fraction_refuses_one():
    with pytest.raises(RequestError, match="has no such setting"):
        tiny.DETECTOR.check(
            _with_fraction(0.9), tiny.DETECTOR.recipe, parallel.data_mesh()
        )


def _with_fraction(fraction):
    return TrainConfig(
        detector="", workdir=Path("nowhere"), batch_norm_fraction=fraction
    )

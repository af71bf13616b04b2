# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.verdict."""

import dataclasses

import numpy as np
import pytest

from fakedet_jax.config import DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.media.framing import Framing
from fakedet_jax.systems.verdict import judge
from fakedet_jax.training import loop
from tests.data import pictures

_CLASSES = ("real", "glow", "stylegan")


@pytest.fixture
def dataset(tmp_path):
    counts = {"real": 3, "glow": 2, "stylegan": 2}
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    return catalog.load(DataConfig("folder", root), "all")


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
    return judge(info, dataset, _scored(probabilities, valid), select_by)


def _scored(probabilities, valid):
    with np.errstate(divide="ignore"):
        return Scored(np.log(probabilities), valid)


def test_the_threshold_is_chosen_on_the_validation_scores(dataset):
    probabilities = _probabilities(dataset)
    verdict = _judge(dataset, probabilities)
    expected = metrics.best_threshold(dataset.fake_labels, 1 - probabilities[:, 0])
    assert verdict.facts["threshold"] == pytest.approx(expected, rel=1e-6)
    assert verdict.facts["threshold_pictures"] == (3, 4)
    assert "chosen on 3 real and 4 fake" in verdict.facts["threshold_origin"]


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


def test_the_facts_are_the_detector_with_what_was_found(dataset):
    verdict = _judge(dataset, _probabilities(dataset))
    info = DetectorInfo.from_json(verdict.facts)
    before = dataclasses.replace(_info(), classes=dataset.classes)
    chosen = {
        name: getattr(info, name)
        for name in (
            *("threshold", "threshold_origin", "threshold_pictures"),
            *("real_log_odds", "num_real", "fake_log_odds", "num_fake"),
            "calibration",
        )
    }
    assert info == dataclasses.replace(before, **chosen, validation=info.validation)
    assert info.threshold == verdict.metrics["validation/threshold"]
    assert {f"validation/{name}" for name in info.validation} == {*verdict.metrics} - {
        "validation/threshold"
    }


def test_one_kind_of_picture_has_no_auc_and_no_merit_by_it(dataset):
    real = dataset.subset(np.flatnonzero(dataset.labels == 0))
    verdict = _judge(real, _probabilities(dataset)[: real.num_examples], None, "auc")
    assert "validation/auc" not in verdict.metrics
    assert verdict.merit == 0


def test_certainty_that_is_wrong_has_a_finite_loss(dataset):
    probabilities = np.zeros((dataset.num_examples, 3), np.float32)
    probabilities[np.arange(len(probabilities)), (dataset.labels + 1) % 3] = 1
    loss = _judge(dataset, probabilities).metrics["validation/loss"]
    assert loss == pytest.approx(log_odds.LARGEST)


def test_one_kind_of_picture_chooses_no_threshold(dataset):
    real = dataset.subset(np.flatnonzero(dataset.fake_labels == 0))
    facts = _judge(real, _probabilities(dataset)[: real.num_examples]).facts
    assert facts["threshold"] == 0.5
    assert (
        "was not chosen: the validation split holds only real"
        in (facts["threshold_origin"])
    )


def test_the_log_odds_of_real_pictures_are_kept(dataset):
    probabilities = _probabilities(dataset)
    facts = _judge(dataset, probabilities).facts
    real = dataset.fake_labels == 0
    expected = np.sort(1 - probabilities[real, 0].astype(np.float64))
    kept = log_odds.scores(facts["real_log_odds"])
    np.testing.assert_allclose(kept, expected, rtol=1e-6)
    assert facts["num_real"] == 3


def _sure_pictures(tmp_path, counts):
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    dataset = catalog.load(DataConfig("folder", root), "all")
    rng = np.random.default_rng(0)
    odds = 9 * rng.normal(2.0 * dataset.fake_labels - 1, 2)
    values = np.stack([np.zeros_like(odds), odds], -1)
    values -= np.logaddexp(*values.T)[:, None]
    info = _info(("real", "glow"))
    return info, dataset, Scored(values, np.ones(len(odds), np.bool_))


def test_calibration_changes_the_scores_and_no_decision(tmp_path):
    task = _sure_pictures(tmp_path, {"real": 40, "glow": 40})
    plain, calibrated = (
        DetectorInfo.from_json(judge(*task, "auc", calibrate=kind).facts)
        for kind in ("none", "auto")
    )
    assert (plain.calibration.kind, plain.calibration.slope) == ("none", 1)
    assert calibrated.calibration.kind in ("temperature", "platt")
    assert calibrated.calibration.slope < 0.5
    scores, others = (
        log_odds.scores(info.log_odds(task[2].values)) for info in (plain, calibrated)
    )
    assert np.argsort(scores).tolist() == np.argsort(others).tolist()
    assert plain.point.decide(scores) == calibrated.point.decide(others)
    rate, other = (
        info.at_false_alarms(0.1).point.decide(own)
        for info, own in ((plain, scores), (calibrated, others))
    )
    assert rate == other
    assert plain.validation == calibrated.validation


def test_ten_validation_pictures_are_too_few_to_calibrate_on(tmp_path):
    task = _sure_pictures(tmp_path, {"real": 5, "glow": 5})
    facts = judge(*task, "auc", calibrate="platt").facts
    assert facts["calibration"]["kind"] == "none"
    assert "there are 5 real and 5 fake" in facts["calibration"]["reason"]


def test_a_share_of_false_alarms_chooses_the_threshold(dataset):
    probabilities = _probabilities(dataset)
    info = dataclasses.replace(_info(), classes=dataset.classes)
    scored = _scored(probabilities, np.ones(dataset.num_examples, np.bool_))
    verdict = judge(info, dataset, scored, "accuracy", max_false_alarms=0.34)
    scores = log_odds.scores(verdict.facts["real_log_odds"])
    threshold = verdict.facts["threshold"]
    assert scores[1] < threshold <= scores[2]
    assert verdict.metrics["validation/threshold"] == threshold
    assert "1 of the 3 real validation pictures" in verdict.facts["threshold_origin"]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.exif_anomaly.diagnosis, and of all that evaluates anomalies."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from fakedet_jax import report, systems
from fakedet_jax.config import (
    CrossDatasetConfig,
    DataConfig,
    InputConfig,
    SuiteConfig,
)
from fakedet_jax.data.folder import load_folder
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.jobs import cross_dataset
from fakedet_jax.jobs import suite as suite_job
from fakedet_jax.jobs import train as training
from fakedet_jax.perturb import specification
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.exif_anomaly import diagnosis
from fakedet_jax.systems.exif_anomaly import metrics as anomaly_metrics
from fakedet_jax.systems.exif_anomaly import model as anomaly_model
from tests import tiny
from tests.data import pictures
from tests.perturb import samples

_READING = InputConfig(num_threads=2)
_PANELS = (
    "How likely the pictures are among photographs",
    "Where the embeddings lie",
    "How well camera settings are ranked",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("anomaly_evaluation")
    tiny.write_photographs(root / "photographs")
    tiny.write_photographs(root / "others", {"test/real": 5, "test/fake": 6})
    counts = {"test/real": 4, "test/glow": 2, "test/gan": 2}
    plain = pictures.write_folder(root / "plain", counts, 24)
    (plain / "test" / "real" / "000.png").write_bytes(b"text")
    tiny.write_photographs(root / "fakes", {"test/fake": 3})
    return root


@pytest.fixture(scope="module")
def workdir(root):
    """Of a trained detector. Only evaluations are added."""
    config = tiny.anomaly_config(root / "photographs", root / "workdir")
    with tiny.registered():
        training.train(config)
    return config.workdir


@pytest.fixture(scope="module")
def detector(workdir):
    with tiny.registered():
        return systems.load(workdir, parallel.data_mesh())


@pytest.fixture(scope="module")
def compared(root, workdir):
    """By the name of the folder, what is known of three datasets."""
    folders = ("others", "plain", "fakes")
    config = CrossDatasetConfig(
        workdir=workdir,
        datasets=tuple(str(root / name) for name in folders),
        num_resamples=0,
    )
    with tiny.registered():
        cross_dataset.evaluate_datasets(config)
    written = (workdir / "evaluations" / f"{name}_test" for name in folders)
    return dict(zip(folders, written, strict=True))


def _metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def _look(detector, dataset, treatment=None):
    scorer = Scorer(detector.log_probability_fn, parallel.data_mesh(), 8)
    return detector.diagnose.look(scorer, dataset, _READING, treatment)


def _panels(folder):
    page = (folder / "report.html").read_text()
    return [title for title in _PANELS if title in page]


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_small_classes_are_mapped_whole():
    labels = np.array([1, 0, 1, 1, 0], np.int32)
    assert diagnosis._spread(labels).tolist() == [0, 1, 2, 3, 4]


def test_of_large_classes_as_many_are_mapped_evenly(monkeypatch):
    monkeypatch.setattr(diagnosis, "_MAX_MAPPED", 3)
    labels = np.repeat([0, 1, 2], [5, 2, 9])
    chosen = diagnosis._spread(labels).tolist()
    # First, middle and last of the first and the last class.
    assert chosen == [0, 2, 4, 5, 6, 7, 11, 15]


def test_the_summary_counts_as_the_authors_do(compared, detector):
    folder = compared["others"]
    summary = _metrics(folder)
    rows = _rows(folder / "scores.csv")
    expected = anomaly_metrics.summarize_real_positive(
        [row["label"] == "fake" for row in rows],
        [float(row["score"]) for row in rows],
        0.5,
    )
    for name in ("precision", "recall", "f1", "average_precision"):
        assert summary[f"real_{name}"] == expected[name]
    stored = detector.diagnose.detector
    assert summary["log_likelihood_threshold"] == stored.threshold


def test_the_summary_tells_how_photographs_are_ranked(compared):
    summary = _metrics(compared["others"])
    names = ["tau_iso", "tau_aperture", "tau_exposure_time", "tau_focal_length"]
    found = [name for name in summary if name.startswith("tau_")]
    assert found == [*names, *(f"{name}_interval" for name in names)]
    for name in names:
        low, high = summary[f"{name}_interval"]
        assert -1 <= low <= summary[name] <= high <= 1
    assert all(-1 <= summary[name] <= 1 for name in names)
    assert 0 <= summary["manipulated_accuracy"] <= 1


def test_the_report_shows_likelihoods_embeddings_and_rankings(compared):
    folder = compared["others"]
    assert _panels(folder) == list(_PANELS)
    drawn = {path.stem for path in folder.glob("*.png")}
    assert {"log_likelihoods", "embeddings", "camera_settings", "training"} <= drawn


def test_the_report_tells_the_mixture_and_what_photographs_say(compared):
    page = (compared["others"] / "report.html").read_text()
    for name in ("covariance", "reg_covar", "num_components", "manipulated_accuracy"):
        assert f"<th>{name}</th>" in page


def test_without_tags_there_is_no_ranking_to_show(compared):
    assert "tau_iso" not in _metrics(compared["plain"])
    assert _panels(compared["plain"]) == list(_PANELS[:2])


def test_unreadable_pictures_are_skipped(compared):
    found = _metrics(compared["plain"])
    assert (found["num_examples"], found["num_skipped"]) == (7, 1)


def test_fakes_alone_can_be_evaluated(compared):
    found = _metrics(compared["fakes"])
    assert found["recall"] is not None
    assert "real_recall" not in found
    assert "tau_iso" not in found
    assert _panels(compared["fakes"]) == list(_PANELS[:2])


def test_embeddings_are_those_of_the_chosen_pictures(root, detector, monkeypatch):
    monkeypatch.setattr(diagnosis, "_MAX_MAPPED", 2)
    dataset = load_folder(root / "others", "test")
    looks = _look(detector, dataset)
    assert looks.mapped.tolist() == [0, 5, 6, 10]
    stored = detector.diagnose.detector
    alone = Scorer(stored.embedded.embed, parallel.data_mesh(), 8).score_dataset(
        stored.variables,
        dataset.subset(looks.mapped),
        detector.info.framing,
        _READING,
    )
    np.testing.assert_allclose(looks.embeddings.values, alone.values, atol=1e-6)


def test_perturbed_pictures_are_embedded_as_such_and_not_ranked(root, detector):
    dataset = load_folder(root / "others", "test")
    same = np.zeros(dataset.num_examples, np.int32)
    treatment = Treatment((specification.parse("gaussian_blur:5"),), 0, same)
    plain, treated = _look(detector, dataset), _look(detector, dataset, treatment)
    assert treated.embeddings.valid.all()
    assert np.ptp(treated.embeddings.values - plain.embeddings.values) > 1e-3
    assert plain.ranked is not None
    assert treated.ranked is None


def test_likelihoods_come_back_from_the_scores(compared, detector):
    rows = _rows(compared["others"] / "scores.csv")
    odds = np.array([float(row["log_odds"]) for row in rows])
    parts = detector.diagnose.detector
    found = anomaly_model.log_likelihoods(odds, parts.threshold, parts.spread)
    below = found < parts.threshold
    assert below.tolist() == (odds > 0).tolist()
    assert (np.diff(found[np.argsort(odds)]) <= 0).all()


def test_what_ranks_nothing_is_not_asked_to(root, detector):
    stored = detector.diagnose.detector
    embedded = dataclasses.replace(stored.embedded, rank=None)
    parts = dataclasses.replace(stored, embedded=embedded)
    diagnose = diagnosis.Diagnose(parts)
    dataset = load_folder(root / "others", "test")
    looks = _look(dataclasses.replace(detector, diagnose=diagnose), dataset)
    assert looks.ranked is None
    assert looks.embeddings.valid.all()


@pytest.mark.slow
def test_a_suite_is_measured(root, workdir, compared):
    config = SuiteConfig(
        workdir=workdir,
        data=DataConfig("folder", root / "others"),
        suite="small",
        name="suite",
    )
    with tiny.registered(), samples.small_suite():
        summary = suite_job.evaluate_suite(config)
    assert summary["baseline"]["auc"] == _metrics(compared["others"])["auc"]
    assert all(row["auc"] is not None for row in summary["conditions"])


@pytest.mark.parametrize("num_alarms, warned", [(6, True), (5, False)])
def test_a_threshold_of_other_photographs_is_told(num_alarms, warned, caplog):
    scores = np.repeat([0.9, 0.1, 0.9], [num_alarms, 10 - num_alarms, 3])
    evaluation = report.Evaluation(
        names=[str(number) for number in range(13)],
        labels=np.repeat([0, 1], [10, 3]),
        scores=scores,
        threshold=0.5,
    )
    diagnosis.warn_of_other_photographs(evaluation)
    assert ("6 of 10 real pictures are called fake" in caplog.text) == warned

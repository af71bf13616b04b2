# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.system, from photographs to the verdict."""

import csv
import json
import logging
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from jax import export
from PIL import ExifTags

from fakedet_jax import mixture, systems
from fakedet_jax.deployment import program, stablehlo
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import attribution, log_odds, scoring
from fakedet_jax.jobs import train
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.runtime import checkpoint, parallel, signals
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.training import writers
from tests import tiny
from tests.data import pictures

_TAGS = tuple(tiny.CAMERA_TAGS)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photographs, pictures to be tested on, and weights of a recogniser."""
    root = tmp_path_factory.mktemp("exif_anomaly")
    tiny.write_photographs(root / "photographs")
    tiny.write_photographs(root / "others", {"test/real": 5, "test/fake": 6})
    tiny.write_weights(root / "weights")
    return root


@pytest.fixture(scope="module")
def trained(root):
    """A detector that was trained on photographs alone. Not to be changed."""
    return _fit(root / "photographs", root / "workdir")


@pytest.fixture(scope="module")
def refit(root, trained):
    """From a workdir and changes to another mixture of the same embedding."""

    def run(workdir, data_dir=root / "photographs", **changes):
        pretrained = {"embedder": None, "recipe": {}, "pretrained": trained}
        return _fit(data_dir, workdir, **{**pretrained, **changes})

    return run


@pytest.fixture
def flags(root, tmp_path):
    return tiny.anomaly_flags(root / "photographs", tmp_path / "workdir")


@pytest.fixture
def no_training(monkeypatch):
    def train(*unused, **unused_too):
        raise AssertionError("a network was trained")

    monkeypatch.setattr(ranking_training, "train", train)


def _fit(data_dir, workdir, **changes):
    with tiny.registered():
        train.train(tiny.anomaly_config(data_dir, workdir, **changes))
    return workdir


def _load(workdir):
    with tiny.registered():
        return systems.load(workdir, parallel.data_mesh())


def _images(folder):
    framing = tiny.PREPROCESSING.framing
    paths = sorted(folder.rglob("*.jpg"))
    return np.stack([to_input(decode(path.read_bytes()), framing) for path in paths])


def _digest(workdir):
    """That of the embedding."""
    return tiny.facts(workdir / "best")["details"]["embedding"]


def _scores(workdir, images):
    fitted = _load(workdir)
    return np.asarray(jax.jit(fitted.probability_fn)(fitted.variables, images))[:, 1]


@pytest.mark.slow
def test_its_log_odds_have_a_gradient(trained, root):
    fitted = _load(trained)
    images = _images(root / "others")[:2]
    odds = scoring.log_odds_fn(fitted.log_probability_fn, fitted.info.is_fake)
    found = np.asarray(attribution.gradient_times_input(odds, fitted.variables, images))
    assert fitted.has_gradient
    assert np.isfinite(found).all()
    # Along the picture itself, as a slightly brighter one tells.
    step = 1e-3
    low, high = (
        np.asarray(odds(fitted.variables, images * np.float32(1 + sign * step)))
        for sign in (-1, 1)
    )
    slope = (high.astype(np.float64) - low) / (2 * step)
    assert np.abs(slope).min() > 0
    np.testing.assert_allclose(found.sum((1, 2)), slope, rtol=0.05, atol=0.02)


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _complaint(capsys):
    """The last line on standard error, which is the only one of the failure."""
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert "Traceback" not in captured.err
    assert [line for line in lines if line.startswith("fakedet: ")] == lines[-1:]
    return lines[-1].removeprefix("fakedet: ")


def _with_nan(workdir, copy):
    """A copy of a workdir in whose network a number is missing."""
    shutil.copytree(workdir, copy)
    variables = jax.tree.map(np.array, _load(workdir).variables["network"])
    variables["params"]["body"]["fc"]["bias"][0] = np.nan
    facts = tiny.facts(workdir / "best")
    with checkpoint.Store(copy / "best", max_to_keep=None) as bests:
        bests.save(bests.steps()[-1], variables, facts)
    return copy


def test_the_workdir_is_complete(trained):
    config = json.loads((trained / "config.json").read_text())
    assert config["classes"] == ["real"]
    assert (config["embedder"], config["backbone"]) == ("tiny_ranker", None)
    assert (config["weights"], config["pretrained"]) == (None, None)
    assert (config["covariance"], config["num_components"]) == ("full", [2])
    rows = writers.read_rows(trained / "metrics.jsonl")
    validated = [row for row in rows if "validation/accuracy" in row]
    assert [row["step"] for row in validated] == [3, 6]
    assert {"validation/tau_iso", "validation/manipulated_accuracy"} <= set(
        validated[0]
    )
    saved = mixture.load(trained / "mixture.npz")
    assert (saved.mixture.num_components, saved.mixture.num_features) == (2, 8)


def test_the_detector_says_what_it_is(trained):
    info = _load(trained).info
    assert (info.detector, info.classes, info.is_fake, info.task, info.framing) == (
        "exif_anomaly",
        ("real", "fake"),
        (False, True),
        "binary",
        tiny.PREPROCESSING.framing,
    )
    assert info.threshold == 0.5
    assert info.validation == {}
    assert info.details["num_held_out"] == 12
    # The last epoch is not always the best.
    assert info.step == int(tiny.newest(trained / "embedding").name)


def test_scores_are_those_of_the_mixture(trained, root):
    fitted = _load(trained)
    images = _images(root / "others")
    parts = fitted.diagnose.detector
    rows = np.asarray(jax.jit(parts.embedded.embed)(parts.variables, images))
    assert rows.shape == (11, 8)
    saved = mixture.load(trained / "mixture.npz").mixture
    likelihoods = np.asarray(mixture.log_likelihoods(saved, rows), np.float64)
    expected = 0.5 + np.arctan((parts.threshold - likelihoods) / parts.spread) / np.pi
    probability_fn = jax.jit(fitted.probability_fn)
    probabilities = np.asarray(probability_fn(fitted.variables, images))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[:, 1], expected, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-6)
    # What is less likely has the higher score.
    order = np.argsort(likelihoods)
    assert (np.diff(probabilities[order, 1]) <= 0).all()
    assert np.ptp(expected) > 1e-3


def test_the_heads_rank_what_the_network_was_trained_for(trained, root):
    fitted = _load(trained)
    parts = fitted.diagnose.detector
    heads = parts.embedded.rank(parts.variables, _images(root / "others"))
    assert heads.shape == (11, 5)
    network = tiny.EMBEDDER.build(np.float32)
    expected, _ = network.apply(
        fitted.variables["network"], tiny.PREPROCESSING(_images(root / "others"))
    )
    np.testing.assert_allclose(heads, expected, atol=1e-5)


@pytest.mark.parametrize(("rate", "alarms"), [(0.05, 0), (0.25, 3)])
def test_as_many_false_alarms_as_stated(refit, tmp_path, root, rate, alarms):
    workdir = refit(tmp_path / "workdir", false_alarm_rate=rate)
    scores = _scores(workdir, _images(root / "photographs" / "validation"))
    assert (scores >= 0.5).sum() == alarms
    info = _load(workdir).info
    assert info.threshold_origin == (
        f"{alarms / 12:.1%} of the 12 held-out photographs are called fake at the "
        f"threshold; {rate:.1%} were asked for. No fake was looked at."
    )
    # Another rate can be chosen later.
    np.testing.assert_allclose(
        np.sort(scores), log_odds.scores(info.real_log_odds), atol=1e-5
    )
    other = info.at_false_alarms(0.5)
    assert (scores >= other.threshold).sum() == 6


def test_commands_train_evaluate_and_predict(flags, tmp_path, root, trained, capsys):
    assert tiny.run_cli(*flags) == 0
    workdir, others = tmp_path / "workdir", root / "others"
    # The same seed gives the same detector, bit for bit.
    assert tiny.arrays(workdir / "best") == tiny.arrays(trained / "best")
    assert tiny.facts(workdir / "best") == tiny.facts(trained / "best")
    assert (workdir / "mixture.npz").read_bytes() == (
        trained / "mixture.npz"
    ).read_bytes()
    evaluate = ("--mode=evaluate", f"--workdir={workdir}", f"--data_dir={others}")
    assert tiny.run_cli(*evaluate, "--num_resamples=0") == 0
    folder = workdir / "evaluations" / "folder_others_test"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["num_examples"] == 11
    assert {"auc", "real_average_precision", "tau_iso", "manipulated_accuracy"} <= set(
        metrics
    )
    page = (folder / "report.html").read_text()
    for panel in ("How likely the pictures are", "Where the embeddings lie"):
        assert panel in page
    scores = tmp_path / "scores.csv"
    predict = ("--mode=predict", f"--workdir={workdir}", f"--output={scores}")
    assert tiny.run_cli(*predict, str(others)) == 0
    expected = {row["path"]: row["score"] for row in _rows(folder / "scores.csv")}
    rows = _rows(scores)
    assert len(rows) == 11
    for row in rows:
        assert float(row["score"]) == pytest.approx(
            float(expected[row["path"]]), abs=1e-5
        )
        assert (row["decision"] == "fake") is (float(row["score"]) >= 0.5)


def test_a_finished_run_is_left_alone(root, trained, no_training, caplog):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        _fit(root / "photographs", trained)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before
    assert "is trained already" in caplog.text


def test_another_mixture_in_its_workdir_is_refused(root, trained):
    with pytest.raises(RequestError, match=r"num_components=\[2\] .now \[3\]"):
        _fit(root / "photographs", trained, num_components=(3,))


# In the middle of an epoch, and before the last step of all.
@pytest.mark.few(1)
@pytest.mark.parametrize("step", [5, 6])
def test_a_run_that_was_stopped_goes_on(root, trained, tmp_path, step):
    workdir = tmp_path / "workdir"
    with (
        tiny.at_step(step, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        pytest.raises(signals.Stopped, match="SIGTERM"),
    ):
        _fit(root / "photographs", workdir)
    assert not (workdir / "mixture.npz").exists()
    with pytest.raises(RequestError, match="holds no trained detector yet"):
        _load(workdir)
    _fit(root / "photographs", workdir)
    assert tiny.result(workdir) == tiny.result(trained)
    assert tiny.arrays(workdir / "embedding") == tiny.arrays(trained / "embedding")


def _only_one_device(monkeypatch):
    mesh = parallel.data_mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "data_mesh", lambda *unused: mesh)


@pytest.mark.slow
def test_one_device_scores_and_fits_as_eight(
    refit, trained, root, tmp_path, monkeypatch
):
    images = _images(root / "others")
    expected = _scores(trained, images)
    _only_one_device(monkeypatch)
    np.testing.assert_allclose(_scores(trained, images), expected, atol=1e-5)
    workdir = refit(tmp_path / "workdir")
    np.testing.assert_allclose(_scores(workdir, images), expected, atol=1e-4)


@pytest.mark.slow
def test_one_device_trains_as_eight(trained, root, tmp_path, monkeypatch):
    _only_one_device(monkeypatch)
    workdir = _fit(root / "photographs", tmp_path / "workdir")
    alone, together = (
        _load(place).variables["network"] for place in (workdir, trained)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), alone, together
    )
    images = _images(root / "others")
    np.testing.assert_allclose(
        _scores(workdir, images), _scores(trained, images), atol=0.02
    )


@pytest.mark.slow
def test_the_embedding_of_another_run_is_taken(refit, trained, tmp_path, no_training):
    workdir = refit(tmp_path / "workdir", covariance="diagonal")
    assert tiny.arrays(workdir / "best") == tiny.arrays(trained / "best")
    digest = _digest(trained)
    assert _digest(workdir) == digest
    config = json.loads((workdir / "config.json").read_text())
    assert (config["pretrained"], config["embedder"]) == (digest, "tiny_ranker")
    saved = mixture.load(workdir / "mixture.npz")
    assert saved.mixture.covariance_type == "diagonal"
    # And so on, from one to the next.
    again = refit(tmp_path / "again", pretrained=workdir)
    assert _digest(again) == digest


def test_a_network_of_another_run_is_trained_further(refit, trained, tmp_path):
    # A step so small that rounding takes it away: what is left is the start.
    rates = {"learning_rate": 1e-30, "final_learning_rate": 0.0}
    recipe = {"batch_size": 8, "num_epochs": 1, **rates}
    workdir = refit(tmp_path / "workdir", fine_tune=True, recipe=recipe)
    before, after = (
        _load(place).variables["network"]["params"] for place in (trained, workdir)
    )
    jax.tree.map(np.testing.assert_array_equal, before, after)
    config = json.loads((workdir / "config.json").read_text())
    assert (config["pretrained"], config["embedder"]) == (
        _digest(trained),
        "tiny_ranker",
    )
    # It is another embedding all the same: the normalisations have learnt.
    assert _digest(workdir) != _digest(trained)
    rows = writers.read_rows(workdir / "metrics.jsonl")
    assert any("validation/tau_iso" in row for row in rows)


def test_only_what_is_trainable_leaves_the_start(refit, trained, tmp_path):
    recipe = {"batch_size": 8, "num_epochs": 1, "learning_rate": 0.01}
    settings = {"fine_tune": True, "recipe": recipe, "trainable": "heads"}
    workdir = refit(tmp_path / "workdir", **settings)
    before, after = (
        _load(place).variables["network"]["params"] for place in (trained, workdir)
    )
    jax.tree.map(np.testing.assert_array_equal, before["body"], after["body"])
    moved = np.abs(before["heads"]["kernel"] - after["heads"]["kernel"])
    assert 0 < np.max(moved) < 0.1


@pytest.fixture
def recogniser(root, tmp_path):
    """A run whose embedding is that of a recognition network."""
    return _fit(
        root / "photographs",
        tmp_path / "recogniser",
        embedder=None,
        recipe={},
        backbone=tiny.BACKBONE.name,
        weights=root / "weights",
    )


@pytest.mark.slow
def test_a_recogniser_ranks_nothing_to_train_further(recogniser, refit, tmp_path):
    with pytest.raises(RequestError, match=r"`fine_tune`: .* the backbone tiny_faces"):
        refit(tmp_path / "workdir", pretrained=recogniser, fine_tune=True)


def test_the_same_mixture_is_fitted_to_the_same_embedding(refit, trained, tmp_path):
    workdir = refit(tmp_path / "workdir")
    assert (workdir / "mixture.npz").read_bytes() == (
        trained / "mixture.npz"
    ).read_bytes()


@pytest.mark.slow
def test_a_recogniser_can_embed(root, no_training, recogniser):
    fitted = _load(recogniser)
    assert fitted.diagnose.detector.embedded.rank is None
    assert fitted.info.framing == tiny.BACKBONE.preprocessing.framing
    card = json.loads((root / "weights" / "card.json").read_text())
    assert fitted.info.details["embedding"] == card["digest"]


def test_fakes_of_the_validation_split_are_only_looked_at(refit, tmp_path):
    counts = {"train/real": 20, "validation/real": 12}
    fakes = {"train/fake": 3, "validation/fake": 4}
    alone = tiny.write_photographs(tmp_path / "alone", counts)
    mixed = tiny.write_photographs(tmp_path / "mixed", {**counts, **fakes})
    first, second = (
        _load(refit(tmp_path / f"{folder.name}_workdir", folder)).info
        for folder in (alone, mixed)
    )
    assert second.details == first.details
    assert (first.validation, set(second.validation)) == ({}, {"accuracy", "auc"})


@pytest.mark.slow
def test_a_class_for_the_test_alone_does_not_hinder_the_training(refit, tmp_path):
    counts = {**tiny.NUM_PHOTOGRAPHS, "test/real": 3, "test/fake": 4}
    folder = tiny.write_photographs(tmp_path / "photographs", counts)
    workdir = refit(tmp_path / "workdir", folder)
    evaluate = ("--mode=evaluate", f"--workdir={workdir}", "--num_resamples=0")
    assert tiny.run_cli(*evaluate) == 0


def test_unreadable_photographs_are_left_out(root, refit, tmp_path):
    folder = shutil.copytree(root / "photographs", tmp_path / "photographs")
    bad = [folder / "train/real/003.jpg", folder / "validation/real/000.jpg"]
    for path in bad:
        path.write_bytes(b"text")
    workdir = refit(tmp_path / "workdir", folder)
    assert len(_rows(workdir / "skipped.csv")) == 2
    assert _load(workdir).info.details["num_held_out"] == 11


def test_held_out_photographs_that_cannot_be_read_are_refused(root, refit, tmp_path):
    folder = shutil.copytree(root / "photographs", tmp_path / "photographs")
    for path in (folder / "validation").rglob("*.jpg"):
        path.write_bytes(b"text")
    with pytest.raises(
        RequestError, match=r"none of the 12 .* split validation, can b"
    ):
        refit(tmp_path / "workdir", folder)


def test_photographs_without_tags_cannot_be_ranked(tmp_path, flags, capsys):
    folder = pictures.write_folder(tmp_path / "data", tiny.NUM_PHOTOGRAPHS, 32)
    assert tiny.run_cli(*flags, f"--data_dir={folder}") == 2
    assert _complaint(capsys).startswith(
        "--dataset: none of the 20 training photographs of folder tells ISO, aperture, "
        "exposure time or focal length"
    )


def test_photographs_without_tags_can_be_embedded(refit, tmp_path):
    folder = pictures.write_folder(tmp_path / "data", tiny.NUM_PHOTOGRAPHS, 32)
    assert (refit(tmp_path / "workdir", folder) / "best").is_dir()


def test_a_tag_that_no_photograph_tells_is_done_without(tmp_path, caplog):
    told = [tag for tag in _TAGS if tag != ExifTags.Base.FNumber]
    folder = tiny.write_photographs(tmp_path / "photographs", tags=told)
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        workdir = _fit(folder, tmp_path / "workdir")
    assert "no two training photographs tell the aperture" in caplog.text
    rows = writers.read_rows(workdir / "metrics.jsonl")
    assert "validation/tau_iso" in rows[-1]
    assert "validation/tau_aperture" not in rows[-1]


@pytest.mark.slow
def test_identical_photographs_fit_with_a_warning(refit, tmp_path, caplog):
    folder = tiny.write_photographs(tmp_path / "photographs")
    for path in folder.rglob("*.jpg"):
        path.write_bytes(tiny.photograph(0))
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        workdir = refit(tmp_path / "workdir", folder)
    assert "identical" in caplog.text
    info = _load(workdir).info
    assert np.isfinite(info.details["log_likelihood_threshold"])
    assert info.details["log_likelihood_spread"] > 0
    # None of them is called fake, and what is unlike them is.
    assert (_scores(workdir, _images(folder / "validation")) < 0.5).all()
    assert (_scores(workdir, 255 - _images(folder / "validation")) > 0.9).all()


def test_fewer_photographs_than_components_are_refused_at_once(
    root, tmp_path, no_training
):
    with pytest.raises(RequestError, match=r"21 components need .* found 20"):
        _fit(root / "photographs", tmp_path / "workdir", num_components=(21,))
    # Nothing is left that the corrected request would stumble over.
    assert not (tmp_path / "workdir").exists()


def test_embeddings_that_are_not_finite_are_refused(root, tmp_path, monkeypatch):
    huge = jax.tree.map(np.copy, tiny.recognizer_variables())
    huge["params"]["head"]["kernel"][:] = 3e38
    monkeypatch.setattr(tiny, "recognizer_variables", lambda seed: huge)
    settings = {
        "embedder": None,
        "recipe": {},
        "backbone": tiny.BACKBONE.name,
        "weights": tiny.write_weights(tmp_path / "weights"),
    }
    with pytest.raises(RequestError, match=r"of 20 of 20 training .* not finite"):
        _fit(root / "photographs", tmp_path / "workdir", **settings)


def test_a_stored_network_that_is_not_finite_is_refused(trained, refit, tmp_path):
    wrong = _with_nan(trained, tmp_path / "wrong")
    message = r"wrong/best.* numbers that are not finite"
    with pytest.raises(RequestError, match=message):
        _load(wrong)
    with pytest.raises(RequestError, match=message):
        refit(tmp_path / "workdir", pretrained=wrong)


def test_photographs_are_needed(tmp_path, flags, capsys):
    for number, counts in enumerate(
        (
            {"train/fake": 4, "validation/real": 4},
            {"train/real": 4, "validation/fake": 4},
        )
    ):
        folder = tiny.write_photographs(tmp_path / str(number), counts)
        assert tiny.run_cli(*flags, f"--data_dir={folder}") == 2
        split = ("train", "validation")[number]
        message = f"--data_dir: the split {split!r} of {folder} holds no real pictures"
        assert _complaint(capsys).startswith(message)
    assert not (tmp_path / "workdir").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--num_microbatches=2", "--num_microbatches: exif_anomaly has no such option"),
        ("--perturb=jpeg:50", "--perturb: exif_anomaly has no such option"),
        ("--select_by=auc", "--select_by: exif_anomaly has no such option"),
        ("--neuron=channel", "--neuron: exif_anomaly has no such option"),
        ("--widths=8", "--widths: exif_anomaly has no such option"),
        ("--amten_variant=amten", "--amten_variant: exif_anomaly has no such option"),
        ("--embedder=gone", "--embedder: expected resnet50, small, tiny_ranker, f"),
        ("--dtype=float16", "--dtype: expected float32, bfloat16, found 'float16'"),
        ("--covariance=round", "--covariance: expected full, tied, diagonal, spheric"),
        ("--num_components=0", "--num_components: expected a number from 1 to 10000, "),
        ("--num_components=", "--num_components: expected at least one number"),
        ("--num_components=a", "--num_components: expected whole numbers, found 'a'"),
        ("--num_restarts=0", "--num_restarts: expected at least 1, found 0"),
        ("--reg_covar=-1", "--reg_covar: expected a number from 0 to 1"),
        ("--reg_covar=nan", "--reg_covar: expected a number from 0 to 1"),
        ("--false_alarm_rate=0", "--false_alarm_rate: expected a number between 0 an"),
        ("--false_alarm_rate=1.5", "--false_alarm_rate: expected a number between 0 "),
        ("--batch_size=9", "--batch_size: expected a positive multiple of the 8 dev"),
        ("--trainable=eyes", "--trainable: 'eyes' matches no parameter that can be "),
        ("--optimizer=lion", "--optimizer: expected caffe_sgd, sgd, "),
        ("--weights={root}/weights", "--weights: --embedder=tiny_ranker starts from"),
        ("--backbone=tiny_faces", "--embedder: --backbone is the embedding; leave it"),
        ("--pretrained={root}", "--embedder: --pretrained brings the embedding; leav"),
        ("--fine_tune", "--fine_tune: expected the workdir of a trained network as"),
        ("--detector=amtennet", "--embedder: amtennet has no such option, only exif_"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(
    flags, root, tmp_path, capsys, flag, message
):
    assert tiny.run_cli(*flags, flag.format(root=root)) == 2
    assert _complaint(capsys).startswith(message)
    assert not (tmp_path / "workdir").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "--pretrained={root}/nowhere",
            "--pretrained: '{root}/nowhere' does not exist; name the folder",
        ),
        (
            "--pretrained={root}/empty",
            "--pretrained: '{root}/empty/config.json' is missing",
        ),
        ("--pretrained={root}/plain", "--pretrained: expected the workdir of an exif"),
        ("--pretrained={root}/untrained", "--pretrained: '{root}/untrained' holds no"),
        ("{of_run} --weights={root}/weights", "--weights: --pretrained brings the em"),
        ("{of_run} --dtype=bfloat16", "--dtype: --pretrained brings the embedding"),
        ("{of_run} --trainable=fc", "--trainable: --pretrained brings the embedding"),
        ("{of_run} --paired", "--paired: --pretrained brings the embedding"),
        ("{of_run} --num_epochs=2", "--num_epochs: --pretrained brings the embedding"),
        ("--backbone=tiny_faces", "--weights: --backbone=tiny_faces needs its weights"),
        ("--backbone=gone --weights={root}/weights", "--backbone: expected "),
    ],
)
def test_wrong_embeddings_are_refused_before_anything_is_written(
    trained, root, tmp_path, capsys, given, message
):
    (root / "empty").mkdir(exist_ok=True)
    if not (root / "untrained").exists():
        shutil.copytree(trained, root / "untrained")
        shutil.rmtree(root / "untrained" / "best")
        (root / "plain").mkdir()
        (root / "plain" / "config.json").write_text('{"detector": "plain"}')
    flags = tiny.anomaly_flags(root / "photographs", tmp_path / "workdir")
    of_training = ("--embedder", "--batch_size", "--num_epochs", "--learning_rate")
    flags = [flag for flag in flags if not flag.startswith(of_training)]
    given = given.format(root=root, of_run=f"--pretrained={trained}")
    assert tiny.run_cli(*flags, *given.split()) == 2
    assert _complaint(capsys).startswith(message.format(root=root))
    assert not (tmp_path / "workdir").exists()


def test_a_mixture_of_another_embedding_is_refused_by_name(trained, tmp_path):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    saved = mixture.load(trained / "mixture.npz")
    mixture.save(workdir / "mixture.npz", saved.mixture, {"embedding": "other"})
    with pytest.raises(RequestError, match=r"mixture\.npz.*of an embedding .*other"):
        _load(workdir)


def test_a_damaged_mixture_is_refused(trained, tmp_path, capsys):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    (workdir / "mixture.npz").write_bytes(b"text")
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") == 2
    assert "mixture.npz' holds no mixture that can be read" in _complaint(capsys)
    (workdir / "mixture.npz").unlink()
    with pytest.raises(RequestError, match=r"mixture\.npz' cannot be read"):
        _load(workdir)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedder": "gone"}, "`embedder`: expected"),
        ({"embedder": ["small"]}, "embedder: expected text, found"),
        ({"backbone": 3}, "backbone: expected text, found 3"),
        ({"dtype": {}}, "dtype: expected text, found"),
        ({"embedder": "small"}, r"expected a mixture of 768 features, found one of 8"),
    ],
    ids=str,
)
def test_a_damaged_config_is_refused(trained, tmp_path, changes, message):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    config = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(RequestError, match=message) as caught:
        _load(workdir)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"log_likelihood_threshold": None},
        {"log_likelihood_threshold": float("nan")},
        {"log_likelihood_spread": 0.0},
    ],
    ids=str,
)
def test_a_detector_without_its_threshold_is_refused(trained, tmp_path, details):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    path = tiny.newest(workdir / "best") / "facts" / "metadata"
    facts = json.loads(path.read_text())
    facts["details"] = {**facts["details"], **details} if details else {}
    path.write_text(json.dumps(facts))
    with pytest.raises(RequestError) as caught:
        _load(workdir)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [1, 3])
def test_it_is_exported_for_batches_of_any_size(trained, root, number):
    with tiny.registered():
        fitted = systems.load(trained, parallel.data_mesh(jax.devices()[:1]))
    artefact = stablehlo.export(program.make(fitted), fitted.info.framing, None)
    images = _images(root / "others")[:number]
    found = export.deserialize(bytearray(artefact)).call(images)
    values = jax.jit(fitted.log_probability_fn)(fitted.variables, images)
    expected = fitted.info.log_odds(np.asarray(values))
    np.testing.assert_allclose(found["log_odds"], expected, rtol=1e-4, atol=1e-4)

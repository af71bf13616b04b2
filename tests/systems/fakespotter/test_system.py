# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.fakespotter.system, from the command to the verdict."""

import csv
import dataclasses
import json
import logging
import os
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export

from fakedet_jax import systems
from fakedet_jax.config import DataConfig
from fakedet_jax.deployment import program, stablehlo
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import train
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.runtime import parallel, signals
from fakedet_jax.systems import feature_cache, table_run
from fakedet_jax.systems.fakespotter import (
    counts as neuron_counts,
)
from fakedet_jax.systems.fakespotter import (
    system as fakespotter,
)
from fakedet_jax.systems.fakespotter.counts import CachedCounter, NeuronCounter
from tests import tiny
from tests.data import pictures

# Five layers, with the default widths.
_SHAPES = [(3, 64), (64, 32), (32, 16), (16, 8), (8, 1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures, weights of two networks, and a cache that only grows."""
    root = tmp_path_factory.mktemp("fakespotter")
    tiny.write_pictures(root / "pictures")
    tiny.write_weights(root / "weights")
    tiny.write_weights(root / "other_weights", seed=1)
    return root


@pytest.fixture(scope="module")
def fit(root):
    """From a workdir and changes to the trained workdir."""

    def run(workdir, *, data_dir=None, **changes):
        config = tiny.spotter_config(
            data_dir or root / "pictures",
            workdir,
            changes.pop("weights", root / "weights"),
            changes.pop("cache_dir", root / "cache"),
            **changes,
        )
        with tiny.registered():
            train.train(config)
        return workdir

    return run


@pytest.fixture(scope="module")
def trained(root, fit):
    return fit(root / "workdir")


@pytest.fixture
def flags(root, tmp_path):
    places = (root / "pictures", tmp_path / "workdir", root / "weights")
    return tiny.spotter_flags(*places, root / "cache")


def _load(workdir, mesh=None):
    with tiny.registered():
        return systems.load(workdir, mesh or parallel.data_mesh())


def _images(folder):
    framing = tiny.BACKBONE.preprocessing.framing
    paths = sorted(folder.rglob("*.png"))
    return np.stack([to_input(decode(path.read_bytes()), framing) for path in paths])


def _complaint(capsys):
    """The last line on standard error, which is the only one of the failure."""
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert [line for line in lines if line.startswith("fakedet: ")] == lines[-1:]
    return lines[-1]


def _no_network(*unused, **unused_too):
    raise AssertionError("the network was asked for")


def test_perturbed_pictures_have_counts_of_their_own(root, fit, trained, tmp_path):
    perturb = ("none", "median_filter:3")
    workdir = fit(tmp_path / "w", perturb=perturb, perturb_copies=2.0)
    record = json.loads((workdir / "config.json").read_text())
    assert (record["perturb"], record["perturb_copies"]) == (list(perturb), 2)
    before, after = (_load(one).variables["scaling"] for one in (trained, workdir))
    assert not np.allclose(before["mean"], after["mean"], rtol=1e-3)


def test_the_threshold_also_rests_on_held_out_training_pictures(
    root, fit, trained, tmp_path
):
    workdir = fit(tmp_path / "w", threshold_folds=2)
    alone, both = (_load(one).info for one in (trained, workdir))
    assert (alone.num_folds, both.num_folds) == (0, 2)
    assert alone.threshold_pictures == (3, 3)
    assert both.threshold_pictures == (both.num_real, both.num_fake) == (13, 13)
    assert "13 real and 13 fake held-out pictures" in both.threshold_origin
    assert both.doubt.startswith("the threshold was chosen on 13 real and 13 fake held")
    # Nothing else is another one.
    assert both.validation == alone.validation
    assert tiny.arrays(workdir / "best") == tiny.arrays(trained / "best")


def test_more_folds_than_pictures_are_refused(flags, tmp_path, capsys):
    assert tiny.run_cli(*flags, "--threshold_folds=11") == 2
    assert _complaint(capsys) == (
        "fakedet: --threshold_folds: 11 parts need as many groups of real training "
        "pictures that share no person, video or folder, found 10 groups; choose fewer "
        "parts, or leave it out"
    )
    assert not (tmp_path / "workdir").exists()


def test_the_workdir_is_complete(trained, root):
    config = json.loads((trained / "config.json").read_text())
    card = json.loads((root / "weights" / "card.json").read_text())
    assert config["backbone"] == "tiny_faces"
    assert config["weights"] == card["digest"]
    assert (config["neuron"], config["site"]) == ("unit", "layer")
    assert config["widths"] == [64, 32, 16, 8]
    assert (config["optimizer"], config["momentum"]) == ("sgd", 0.9)
    assert (config["schedule"], config["decay_per_step"]) == ("time_decay", 1e-6)
    assert (trained / "skipped.csv").exists()
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    # 40 rows of counts, half of them mirrored, in batches of 16.
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert {"train/loss", "validation/auc"} <= set(rows[0])


@pytest.mark.parametrize("kinds", [("real",), ("real", "fake")])
def test_layers_are_compared_with_those_of_the_training(trained, root, kinds):
    detector = _load(trained)
    if len(kinds) > 1:  # Earlier versions did not keep what real faces have.
        info = dataclasses.replace(detector.info, details={})
        settings = neuron_counts.CountSettings(tiny.BACKBONE)
        scaling = detector.variables["scaling"]
        layers = fakespotter._layer_comparison(settings, info, scaling)
    else:
        layers = detector.layers
    assert layers.names == tuple(tiny.LAYER_SIZES)
    assert ("fake" in layers.faces) == (len(kinds) > 1)
    images = np.concatenate([_images(root / "pictures/train" / kind) for kind in kinds])
    both = np.concatenate([images, images[:, :, ::-1]])  # As for the training.
    distances = np.asarray(jax.jit(layers.compare_fn)(detector.variables, both))
    assert distances.shape == (len(both), len(tiny.LAYER_SIZES))
    np.testing.assert_allclose(distances.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(distances.std(0), 1, atol=1e-4)
    assert not detector.has_gradient


def test_the_detector_says_what_it_is(trained):
    info = _load(trained).info
    assert (info.detector, info.classes, info.is_fake, info.task, info.framing) == (
        "fakespotter",
        ("real", "fake"),
        (False, True),
        "binary",
        tiny.BACKBONE.preprocessing.framing,
    )
    assert "validation split" in info.threshold_origin
    assert set(info.validation) == {"accuracy", "loss", "auc"}


def test_the_classifier_has_five_dense_layers(trained):
    classifier = _load(trained).variables["classifier"]
    assert list(classifier) == [f"fc{number}" for number in range(1, 6)]
    assert [layer["kernel"].shape for layer in classifier.values()] == _SHAPES
    assert [layer["bias"].shape[0] for layer in classifier.values()] == [
        shape[1] for shape in _SHAPES
    ]


@pytest.mark.slow
def test_other_widths_give_another_classifier(tmp_path, fit):
    variables = _load(fit(tmp_path, widths=(7,))).variables
    shapes = [layer["kernel"].shape for layer in variables["classifier"].values()]
    assert shapes == [(3, 7), (7, 1)]


def _expected_probabilities(variables, images):
    """The whole detector in NumPy, behind the network's outputs."""
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
    values = (images[..., ::-1].astype(np.float32) - np.float32([90, 100, 110])) / 64
    _, out = tiny.Recognizer().apply(tiny.recognizer_variables(), values)
    counts = np.zeros((len(images), len(out)), np.int64)
    for number, layer in enumerate(out.values()):
        for row, picture in enumerate(np.asarray(layer)):
            threshold = variables["thresholds"][number]
            counts[row, number] = sum(value > threshold for value in picture.flat)
    hidden = counts / list(tiny.LAYER_SIZES.values())
    hidden = (hidden - variables["scaling"]["mean"]) / variables["scaling"]["deviation"]
    layers = list(variables["classifier"].values())
    for layer in layers[:-1]:
        hidden = np.maximum(hidden @ layer["kernel"] + layer["bias"], 0)
    logits = hidden @ layers[-1]["kernel"] + layers[-1]["bias"]
    fake = 1 / (1 + np.exp(-logits[:, 0]))
    return np.stack([1 - fake, fake], -1)


def test_probabilities_are_those_of_numpy(trained, root):
    fitted = _load(trained)
    images = _images(root / "pictures" / "test")[:8]
    found = np.asarray(fitted.probability_fn(fitted.variables, images))
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, _expected_probabilities(fitted.variables, images), atol=2e-5
    )
    assert np.ptp(found[:, 1]) > 1e-3


def test_thresholds_and_scaling_are_those_of_the_training_pictures(trained, root):
    variables = jax.tree.map(np.asarray, _load(trained).variables)
    images = _images(root / "pictures" / "train")
    network = neuron_counts.CountSettings(tiny.BACKBONE).network
    backbone = tiny.recognizer_variables()
    means = np.asarray(network.means(backbone, images), np.float64)
    np.testing.assert_allclose(variables["thresholds"], means.mean(0), rtol=1e-6)
    both = np.concatenate([images, images[:, :, ::-1]])
    counts = np.asarray(network.counts(backbone, both, variables["thresholds"]))
    shares = counts / list(tiny.LAYER_SIZES.values())
    scaling = variables["scaling"]
    np.testing.assert_allclose(scaling["mean"], shares.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scaling["deviation"], shares.std(0), rtol=1e-4)


def test_the_network_inside_is_as_published(trained):
    jax.tree.map(
        np.testing.assert_array_equal,
        dict(_load(trained).variables["backbone"]),
        tiny.recognizer_variables(),
    )


def test_commands_train_evaluate_and_predict(flags, tmp_path, root, trained, capsys):
    assert tiny.run_cli(*flags) == 0
    workdir = tmp_path / "workdir"
    assert tiny.arrays(workdir / "best") == tiny.arrays(trained / "best")
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") == 0
    summary = workdir / "evaluations" / "folder_test"
    metrics = json.loads((summary / "metrics.json").read_text())
    assert metrics["num_examples"] == 11
    assert (summary / "report.html").exists()
    scores = tmp_path / "scores.csv"
    test = root / "pictures" / "test"
    assert (
        tiny.run_cli(
            "--mode=predict", f"--workdir={workdir}", f"--output={scores}", str(test)
        )
        == 0
    )
    with scores.open() as file:
        rows = list(csv.DictReader(file))
    fitted = _load(workdir)
    expected = _expected_probabilities(fitted.variables, _images(test))[:, 1]
    assert [row["path"] for row in rows] == [str(p) for p in sorted(test.rglob("*.*"))]
    found = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(found, expected, atol=3e-5)
    assert [row["decision"] == "fake" for row in rows] == [
        score >= fitted.info.threshold for score in found
    ]


def test_another_classifier_does_not_ask_the_network(
    trained, tmp_path, fit, monkeypatch
):
    monkeypatch.setattr(fakespotter, "NeuronCounter", _no_network)
    workdir = fit(tmp_path, widths=(5,), recipe={"num_epochs": 2}, seed=3)
    assert (workdir / "best").is_dir()


def test_other_weights_ask_the_network(root, trained, tmp_path, fit, monkeypatch):
    monkeypatch.setattr(fakespotter, "NeuronCounter", _no_network)
    with pytest.raises(AssertionError, match="asked for"):
        fit(tmp_path, weights=root / "other_weights")


def test_the_same_seed_gives_the_same_detector(trained, tmp_path, fit):
    # Everything anew, the counts too.
    again = fit(tmp_path / "workdir", cache_dir=tmp_path / "cache")
    assert tiny.arrays(again / "best") == tiny.arrays(trained / "best")
    assert tiny.facts(again / "best") == tiny.facts(trained / "best")
    assert (again / "metrics.jsonl").read_text() == (
        trained / "metrics.jsonl"
    ).read_text()


@pytest.mark.slow
def test_another_seed_gives_another_detector(trained, tmp_path, fit):
    found = tiny.arrays(fit(tmp_path, seed=1) / "best")
    expected = tiny.arrays(trained / "best")
    kernel = "['classifier']['fc1']['kernel']"
    assert found[kernel] != expected[kernel]
    assert found["['thresholds']"] == expected["['thresholds']"]


def _state(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and "events" not in path.name
    }


def test_a_finished_run_is_left_alone(trained, root, fit, monkeypatch, caplog):
    monkeypatch.setattr(fakespotter, "NeuronCounter", _no_network)
    monkeypatch.setattr(CachedCounter, "count", _no_network)
    before = _state(trained)
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        fit(root / "workdir")
    assert _state(trained) == before
    assert "is trained already" in caplog.text


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seed=1", "seed=0 (now 1)"),
        ("--neuron=channel", "neuron='unit' (now 'channel')"),
        ("--site=activation", "site='layer' (now 'activation')"),
        ("--dtype=bfloat16", "dtype='float32' (now 'bfloat16')"),
        ("--widths=8,4", "widths=[64, 32, 16, 8] (now [8, 4])"),
        ("--noflip", "flip=True (now False)"),
        ("--weights={root}/other_weights", "weights="),
    ],
)
def test_other_settings_in_its_workdir_are_refused(
    trained, root, capsys, flag, message
):
    places = (root / "pictures", trained, root / "weights")
    flags = tiny.spotter_flags(*places, root / "cache")
    before = _state(trained)
    assert tiny.run_cli(*flags, flag.format(root=root)) == 2
    assert "belongs to a run with" in (complaint := _complaint(capsys))
    assert message in complaint
    assert _state(trained) == before


def test_another_cache_is_no_other_run(trained, root, tmp_path):
    places = (root / "pictures", trained, root / "weights")
    assert tiny.run_cli(*tiny.spotter_flags(*places, tmp_path / "elsewhere")) == 0


def test_a_run_that_was_stopped_goes_on(root, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(feature_cache, "_PART_ROWS", 8)
    places = (root / "pictures", tmp_path / "workdir", root / "weights")
    flags = tiny.spotter_flags(*places, tmp_path / "cache")
    counted = []
    count = NeuronCounter.count

    def counting(self, part, *arguments, **keywords):
        counted.append(part.num_examples)
        if len(counted) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return count(self, part, *arguments, **keywords)

    monkeypatch.setattr(NeuronCounter, "count", counting)
    assert tiny.run_cli(*flags) == 128 + signal.SIGTERM
    assert _complaint(capsys) == (
        "fakedet: stopped by SIGTERM; run the same command again to go on"
    )
    assert counted == [8, 8]
    assert tiny.run_cli("--mode=evaluate", f"--workdir={tmp_path / 'workdir'}") == 2
    assert "holds no trained detector yet" in _complaint(capsys)
    monkeypatch.setattr(NeuronCounter, "fit_thresholds", _no_network)
    assert tiny.run_cli(*flags) == 0
    # The rest of the pictures, then the mirrored ones, then those of validation.
    assert counted[2:] == [4, 8, 8, 4, 6]
    assert tiny.arrays(tmp_path / "workdir" / "best") == tiny.arrays(trained / "best")


def test_a_stop_between_epochs_trains_anew(root, trained, tmp_path, fit, monkeypatch):
    write, epochs = table_run.writers.MetricWriter.write, []

    def writing(self, step, values):
        write(self, step, values)
        epochs.append(step)
        if len(epochs) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(table_run.writers.MetricWriter, "write", writing)
    with pytest.raises(signals.Stopped, match="SIGINT"):
        fit(tmp_path)
    assert epochs == [3, 6]
    fit(tmp_path)
    assert epochs == [3, 6, 3, 6, 9]
    assert tiny.arrays(tmp_path / "best") == tiny.arrays(trained / "best")
    assert (tmp_path / "metrics.jsonl").read_text() == (
        trained / "metrics.jsonl"
    ).read_text()


def test_a_damaged_cache_changes_nothing(root, trained, tmp_path, fit, caplog):
    cache = shutil.copytree(root / "cache", tmp_path / "cache")
    for number, path in enumerate(sorted(cache.rglob("rows_*.npz"))):
        content = path.read_bytes()
        path.write_bytes([b"", content[:99], b"garbage" * 9][number % 3])
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        again = fit(tmp_path / "workdir", cache_dir=cache)
    assert tiny.arrays(again / "best") == tiny.arrays(trained / "best")
    # Of thresholds, training, mirrored and validation pictures.
    messages = [record.getMessage() for record in caplog.records]
    assert sum(message.startswith("the cache ") for message in messages) == 4


def _tables(monkeypatch):
    """What the classifier is trained on, noted."""
    noted = []
    original = table_run.table_training.train

    def training(model, features, labels, **keywords):
        noted.append((features, labels))
        return original(model, features, labels, **keywords)

    monkeypatch.setattr(table_run.table_training, "train", training)
    return noted


@pytest.mark.slow
def test_every_picture_is_a_row_and_so_is_its_mirror_image(
    trained, tmp_path, fit, monkeypatch
):
    noted = _tables(monkeypatch)
    fit(tmp_path / "both")
    fit(tmp_path / "one", flip=False)
    (both, both_labels), (one, one_labels) = noted
    assert both.shape == (40, 3)
    assert one.shape == (20, 3)
    assert both_labels.tolist() == [*one_labels] * 2
    assert sorted(one_labels.tolist()) == [0] * 10 + [1] * 10
    # Standardised over its own rows.
    for features in (both, one):
        np.testing.assert_allclose(features.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(features.std(0), 1, rtol=1e-4)


def test_unreadable_pictures_are_left_out_and_named(root, tmp_path, fit, monkeypatch):
    data_dir = shutil.copytree(root / "pictures", tmp_path / "pictures")
    bad = [data_dir / "train" / "fake" / "003.png", data_dir / "train/real/000.png"]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(b"text")
    noted = _tables(monkeypatch)
    workdir = fit(tmp_path / "workdir", data_dir=data_dir)
    rows = (workdir / "skipped.csv").read_text().splitlines()
    assert sorted(row.split(",")[0] for row in rows[1:]) == sorted(map(str, bad))
    assert noted[0][0].shape == (36, 3)
    for path in bad:
        path.unlink()
    without = fit(tmp_path / "without", data_dir=data_dir)
    first, second = (_load(place).variables for place in (workdir, without))
    np.testing.assert_allclose(first["thresholds"], second["thresholds"], rtol=1e-6)
    # Their rows are the same, so the seed makes the same of them.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        dict(first["classifier"]),
        dict(second["classifier"]),
    )


@pytest.mark.slow
def test_many_classes_become_real_and_fake(tmp_path, fit, monkeypatch):
    names = {"train": (6, 4, 3), "validation": (2, 2, 2), "test": (2, 3, 2)}
    counts = {
        f"{split}/{name}": number
        for split, numbers in names.items()
        for name, number in zip(("photos", "glow", "gan"), numbers, strict=True)
    }
    data_dir = pictures.write_folder(tmp_path / "pictures", counts, 20)
    noted = _tables(monkeypatch)
    data = DataConfig("folder", data_dir, real_classes=("photos",))
    workdir = fit(tmp_path / "workdir", data=data)
    assert sorted(noted[0][1].tolist()) == [0] * 12 + [1] * 14
    assert _load(workdir).info.classes == ("real", "fake")
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") == 0
    with (workdir / "evaluations" / "folder_test" / "scores.csv").open() as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert sorted(labels) == ["fake"] * 5 + ["real"] * 2


@pytest.mark.slow
def test_one_device_fits_what_eight_fit(trained, tmp_path, fit, monkeypatch):
    noted = _tables(monkeypatch)
    fit(tmp_path / "eight")
    one = parallel.data_mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "data_mesh", lambda: one)
    workdir = fit(tmp_path / "one", cache_dir=tmp_path / "cache")
    alone = _load(workdir, one).variables
    variables = _load(trained, one).variables
    np.testing.assert_allclose(
        alone["thresholds"], variables["thresholds"], rtol=1e-6, atol=1e-6
    )
    counts = [
        features * np.asarray(v["scaling"]["deviation"])
        + np.asarray(v["scaling"]["mean"])
        for (features, _), v in zip(noted, (variables, alone), strict=True)
    ]
    difference = (counts[0] - counts[1]) * list(tiny.LAYER_SIZES.values())
    assert np.abs(difference).max() < 2.01
    assert alone["thresholds"].sharding.num_devices == 1


@pytest.mark.slow
def test_all_other_ways_to_count_give_a_detector(root, tmp_path, fit):
    workdir = fit(tmp_path, neuron="channel", site="activation", dtype="bfloat16")
    fitted = _load(workdir)
    images = _images(root / "pictures" / "test")[:8]
    probabilities = np.asarray(fitted.probability_fn(fitted.variables, images))
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-6)
    # Only the computation is of another dtype.
    kernel = fitted.variables["backbone"]["params"]["stem"]["kernel"]
    assert kernel.dtype == np.float32


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--backbone=", "--backbone: expected the recognition network to look at"),
        ("--backbone=gone", "--backbone: expected vggface2_resnet50, "),
        ("--weights=", "--weights: --backbone=tiny_faces needs its weights"),
        ("--weights=/nowhere", "--weights: '/nowhere' does not exist"),
        ("--backbone=mobilefacenet", "--weights: '{root}/weights' holds 'tiny_faces'"),
        ("--neuron=layer", "--neuron: expected unit, channel, found 'layer'"),
        ("--site=input", "--site: expected layer, activation, found 'input'"),
        ("--dtype=float16", "--dtype: expected float32, bfloat16, found 'float16'"),
        ("--widths=0", "--widths: expected a number from 1 to 65536, found 0"),
        ("--widths=8,-1", "--widths: expected a number from 1 to 65536, found -1"),
        ("--widths=wide", "--widths: expected whole numbers, found 'wide'"),
        ("--widths=8,,4", "--widths: expected whole numbers, found '8,,4'"),
        ("--num_microbatches=2", "--num_microbatches: fakespotter has no such option"),
        (
            "--batch_norm_fraction=0.5",
            "--batch_norm_fraction: fakespotter has no such",
        ),
        ("--optimizer=lion", "--optimizer: expected caffe_sgd, sgd, "),
        ("--detector=amtennet", "--backbone: amtennet has no such option"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(
    flags, root, tmp_path, capsys, flag, message
):
    assert tiny.run_cli(*flags, flag) == 2
    assert _complaint(capsys).startswith(f"fakedet: {message.format(root=root)}")
    assert not (tmp_path / "workdir").exists()


def test_other_detectors_have_no_backbone(root, tmp_path, capsys):
    flags = tiny.train_flags(root / "pictures", tmp_path / "workdir")
    for name in ("tiny", "amtennet"):
        chosen = (f"--detector={name}", "--batch_size=8")
        assert tiny.run_cli(*flags, *chosen, "--backbone=mobilefacenet") == 2
        message = f"--backbone: {name} has no such option, only linear_probe, "
        assert _complaint(capsys).startswith(f"fakedet: {message}")


def test_a_cache_that_cannot_be_written_is_refused(flags, root, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert tiny.run_cli(*flags, f"--cache_dir={tmp_path / 'file' / 'cache'}") == 2
    assert _complaint(capsys).startswith("fakedet: --cache_dir: ")


def test_an_empty_split_is_refused(tmp_path, flags, capsys):
    counts = {"train/real": 2, "train/fake": 2, "validation/real": 0}
    data_dir = pictures.write_folder(tmp_path / "data", counts, 20)
    assert tiny.run_cli(*flags, f"--data_dir={data_dir}") == 2
    assert _complaint(capsys).startswith("fakedet: --data")
    assert not (tmp_path / "workdir").exists()


@pytest.mark.parametrize("kind", ["real", "fake"])
def test_a_kind_without_a_readable_picture_is_refused(
    root, tmp_path, flags, capsys, kind
):
    data_dir = shutil.copytree(root / "pictures", tmp_path / "pictures")
    for path in (data_dir / "train" / kind).iterdir():
        path.write_bytes(b"text")
    assert tiny.run_cli(*flags, f"--data_dir={data_dir}") == 2
    assert f"the class {kind!r} has no usable picture" in _complaint(capsys)


def test_validation_without_a_readable_picture_is_refused(
    root, tmp_path, flags, capsys
):
    data_dir = shutil.copytree(root / "pictures", tmp_path / "pictures")
    for path in (data_dir / "validation").rglob("*.png"):
        path.write_bytes(b"text")
    assert tiny.run_cli(*flags, f"--data_dir={data_dir}") == 2
    assert "none of the 6 validation pictures" in _complaint(capsys)


def _rewrite(path, **changes):
    content = json.loads(path.read_text())
    content = {**content, **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": None}, "`backbone`: expected the recognition network"),
        ({"backbone": "gone"}, "`backbone`: expected"),
        ({"backbone": 3}, "backbone: expected text, found 3"),
        ({"backbone": "mobilefacenet"}, "holds another network"),
        ({"dtype": ["float32"]}, "dtype: expected text"),
        ({"neuron": "x"}, "`neuron`: expected"),
        ({"widths": 8}, "widths: expected whole numbers, found 8"),
        ({"widths": [-8]}, "`widths`: expected"),
        ({"widths": [64, 32]}, "holds another network"),
        ({"detector": "tiny"}, "holds the detector 'fakespotter', but config.json"),
    ],
    ids=str,
)
def test_a_damaged_config_is_refused(trained, tmp_path, changes, message):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    _rewrite(workdir / "config.json", **changes)
    with pytest.raises(RequestError, match=message) as caught:
        _load(workdir)
    assert "\n" not in str(caught.value)


def test_an_untrained_workdir_is_refused(trained, tmp_path):
    workdir = shutil.copytree(trained, tmp_path / "workdir")
    shutil.rmtree(workdir / "best")
    with pytest.raises(RequestError, match="holds no trained detector yet"):
        _load(workdir)
    (workdir / "best").mkdir()
    with pytest.raises(RequestError, match="holds no trained detector yet"):
        _load(workdir)


@pytest.mark.slow
def test_without_a_cache_folder_it_is_the_users(tmp_path, fit, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fit(tmp_path / "workdir", cache_dir=None)
    assert len(list(Path(tmp_path / "cache/fakedet_jax/features").iterdir())) == 4


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.slow
def test_it_is_exported_for_batches_of_any_size(trained, root, number):
    fitted = _load(trained, parallel.data_mesh(jax.devices()[:1]))
    artefact = stablehlo.export(program.make(fitted), fitted.info.framing, None)
    images = _images(root / "pictures" / "test")[:number]
    found = export.deserialize(bytearray(artefact)).call(images)
    values = jax.jit(fitted.log_probability_fn)(fitted.variables, images)
    expected = fitted.info.log_odds(np.asarray(values))
    np.testing.assert_allclose(found["log_odds"], expected, rtol=1e-4, atol=1e-4)

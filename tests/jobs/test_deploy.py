# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of detectors as files."""

import contextlib
import dataclasses
import json
import shutil
import zipfile

import jax
import numpy as np
import pytest
from jax import export

from fakedet_jax import systems
from fakedet_jax.config import DeployConfig
from fakedet_jax.deployment import stablehlo
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import deploy as job
from fakedet_jax.jobs.deploy import Mismatch, deploy, to_text
from fakedet_jax.jobs.train import train
from fakedet_jax.runtime import parallel
from tests import tiny

CROPS = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A tiny detector. Not to be changed."""
    root = tmp_path_factory.mktemp("deploy")
    tiny.write_pictures(root / "pictures")
    with tiny.registered():
        train(tiny.train_config(root / "pictures", root / "workdir"))
    return root / "workdir"


@pytest.fixture(scope="module")
def deployed(workdir, tmp_path_factory):
    """What was deployed of it, and the file."""
    output = tmp_path_factory.mktemp("deploy") / "detector.zip"
    with tiny.registered():
        return deploy(DeployConfig(workdir=workdir, output=output)), output


def _expected(workdir, crops):
    with tiny.registered():
        fitted = systems.load(workdir, parallel.data_mesh(jax.devices()[:1]))
    values = jax.jit(fitted.log_probability_fn)(fitted.variables, crops)
    return fitted.info.log_odds(np.asarray(values))


def _load(path):
    """As README's page says, without this package."""
    with zipfile.ZipFile(path) as archive:
        program = export.deserialize(bytearray(archive.read("program.stablehlo")))
        return program, json.loads(archive.read("detector.json"))


@pytest.mark.parametrize("number", [1, 3, 5])
def test_jax_alone_scores_batches_of_any_size(workdir, deployed, number):
    program, _ = _load(deployed[1])
    found = program.call(CROPS[:number])
    expected = _expected(workdir, CROPS[:number])
    np.testing.assert_allclose(found["log_odds"], expected, atol=1e-4)
    np.testing.assert_allclose(found["scores"], 1 / (1 + np.exp(-expected)), atol=1e-6)


def test_one_file_is_for_all_platforms(deployed):
    program, _ = _load(deployed[1])
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_the_file_says_what_it_is(workdir, deployed):
    _, about = _load(deployed[1])
    assert about["classes"] == ["real", "fake"]
    assert about["is_fake"] == [False, True]
    assert about["input"]["shape"] == [None, 16, 16, 3]
    with tiny.registered():
        info = systems.load(workdir, parallel.data_mesh()).info
    assert about["threshold"] == info.threshold
    assert about["checked"]["pictures"] == tiny.COUNTS["validation/real"] * 2
    assert "split validation" in about["checked"]["what"]


def test_the_file_holds_nothing_that_runs(deployed):
    with zipfile.ZipFile(deployed[1]) as archive:
        assert archive.namelist() == ["detector.json", "program.stablehlo"]
        assert archive.testzip() is None


def test_a_fixed_batch_and_a_threshold(workdir, tmp_path):
    output = tmp_path / "detector.zip"
    with tiny.registered():
        deploy(
            DeployConfig(workdir=workdir, output=output, batch_size=4, threshold=0.25)
        )
    program, about = _load(output)
    assert about["threshold"] == 0.25
    assert about["threshold_log_odds"] == pytest.approx(-np.log(3))
    assert program.in_avals[0].shape == (4, 16, 16, 3)
    expected = _expected(workdir, CROPS[:4])
    np.testing.assert_allclose(program.call(CROPS[:4])["log_odds"], expected, atol=1e-4)


def test_the_result_is_readable(deployed):
    first, second, third = to_text(deployed[0]).splitlines()
    assert first.startswith("tiny → ")
    assert "any number of RGB crops of 16 × 16, on cpu, cuda, tpu" in second
    assert "on 6 pictures of the split validation" in third
    assert third.endswith("; decided otherwise: 0")


def test_without_the_training_pictures_others_are_compared(workdir, tmp_path):
    copy = tmp_path / "workdir"
    shutil.copytree(workdir, copy)
    record = json.loads((copy / "config.json").read_text())
    record["data_dir"] = str(tmp_path / "gone")
    (copy / "config.json").write_text(json.dumps(record))
    with tiny.registered():
        result = deploy(DeployConfig(workdir=copy, output=tmp_path / "detector.zip"))
    assert result["checked"] == {
        "pictures": 50,
        "what": "generated pictures, as those of the training are gone",
    }
    assert result["largest_difference"] < 1e-6


def test_a_file_that_scores_otherwise_is_not_kept(workdir, tmp_path, monkeypatch):
    read = stablehlo.read

    def wrong(content):
        call = read(content)
        return lambda crops: {**call(crops), "scores": call(crops)["scores"] + 2e-5}

    monkeypatch.setattr(job.stablehlo, "read", wrong)
    with (
        tiny.registered(),
        pytest.raises(Mismatch, match=r"differ by up to 2e-05 .* no file"),
    ):
        deploy(DeployConfig(workdir=workdir, output=tmp_path / "detector.zip"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("shift", "is_kept"), [(0.01, True), (0.03, False)])
def test_counts_may_move_scores_a_little(
    workdir, tmp_path, monkeypatch, shift, is_kept
):
    read, load = stablehlo.read, systems.load

    def moved(content):
        call = read(content)
        return lambda crops: {**call(crops), "scores": call(crops)["scores"] + shift}

    monkeypatch.setattr(job.stablehlo, "read", moved)
    monkeypatch.setattr(
        systems,
        "load",
        lambda *args: dataclasses.replace(load(*args), has_gradient=False),
    )
    config = DeployConfig(workdir=workdir, output=tmp_path / "detector.zip")
    refused = pytest.raises(Mismatch, match=r"expected at most 0.02 of both")
    with tiny.registered(), contextlib.nullcontext() if is_kept else refused:
        deploy(config)
    assert config.output.exists() == is_kept


def test_what_runs_on_the_host_is_refused_by_name(workdir, tmp_path, monkeypatch):
    load = systems.load

    def on_host(*args, **kwargs):
        fitted = load(*args, **kwargs)

        def log_probabilities(variables, images):
            shape = jax.ShapeDtypeStruct((images.shape[0], 2), np.float32)
            return jax.pure_callback(lambda x: np.zeros((len(x), 2)), shape, images)

        return fitted.__class__(fitted.info, fitted.variables, log_probabilities)

    monkeypatch.setattr(systems, "load", on_host)
    with (
        tiny.registered(),
        pytest.raises(RequestError, match=r"^tiny: a part of this detector cannot be"),
    ):
        deploy(DeployConfig(workdir=workdir, output=tmp_path / "detector.zip"))
    assert list(tmp_path.iterdir()) == []


def test_what_needs_one_size_says_so(workdir, tmp_path, monkeypatch):
    load = systems.load

    def in_pairs(*args, **kwargs):
        fitted = load(*args, **kwargs)

        def log_probabilities(variables, images):
            pairs = images.reshape(-1, 2, *images.shape[1:])
            return fitted.log_probability_fn(
                variables, pairs.reshape(-1, *images.shape[1:])
            )

        return fitted.__class__(fitted.info, fitted.variables, log_probabilities)

    monkeypatch.setattr(systems, "load", in_pairs)
    output = tmp_path / "detector.zip"
    with tiny.registered():
        with pytest.raises(RequestError, match=r"tiny: `batch_size`: .* one size"):
            deploy(DeployConfig(workdir=workdir, output=output))
        deploy(DeployConfig(workdir=workdir, output=output, batch_size=4))


@pytest.mark.filterwarnings("ignore")  # Of the converter and its packages.
def test_an_onnx_file_scores_the_same(workdir, tmp_path):
    pytest.importorskip("jax2onnx")
    output = tmp_path / "detector.onnx"
    with tiny.registered():
        result = deploy(DeployConfig(workdir=workdir, output=output, format="onnx"))
    assert result["largest_difference"] < 1e-4
    session = pytest.importorskip("onnxruntime").InferenceSession(output.read_bytes())
    _, found = session.run(None, {"crops": CROPS})
    np.testing.assert_allclose(found, _expected(workdir, CROPS), atol=1e-4)
    about = json.loads(session.get_modelmeta().custom_metadata_map["fakedet_jax"])
    assert about["threshold"] == result["threshold"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "a.zip", "format": "onnx"}, "expected the name of a .onnx file"),
        ({"output": "detector.pkl"}, "`output`: expected the name of a .zip file"),
        ({"output": "gone/detector.zip"}, "`output`: .* cannot be written"),
        (
            {"workdir": "gone"},
            "`workdir`: .*gone' does not exist; name the folder of a training",
        ),
    ],
)
def test_wrong_requests(workdir, tmp_path, changes, message):
    request = {"workdir": workdir, "output": "detector.zip"} | changes
    request["output"] = tmp_path / request["output"]
    if changes.get("workdir"):
        request["workdir"] = tmp_path / changes["workdir"]
    with tiny.registered(), pytest.raises(RequestError, match=message):
        deploy(DeployConfig(**request))

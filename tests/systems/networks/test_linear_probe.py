# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A linear layer on a frozen encoder: trained, stored, converted, deployed.

The encoders have random weights, so that only the path is tested, and no accuracy.
"""

import csv
import json

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors import numpy as safetensors

from fakedet_jax import systems
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.models.encoders import clip
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import cached
from fakedet_jax.systems.networks.options import LinearProbeOptions
from tests import tiny
from tests.golden import encoder_weights
from tests.models.encoders import narrow
from tests.weights import torch_objects

CLIP = clip.backbone("narrow_clip", encoder_weights.NARROW["clip"])


@pytest.fixture(scope="module", autouse=True)
def known():
    with tiny.registered(), tiny.registration(backbones, CLIP):
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures, weights of a tiny network, and a probe of it."""
    root = tmp_path_factory.mktemp("probe")
    tiny.write_pictures(root / "pictures")
    tiny.write_weights(root / "weights")
    assert tiny.run_cli(*flags(root, root / "workdir")) == 0
    return root


def flags(root, workdir):
    return (
        "--mode=train",
        "--detector=linear_probe",
        f"--backbone={tiny.BACKBONE.name}",
        f"--weights={root / 'weights'}",
        f"--cache_dir={root / 'cache'}",
        f"--data_dir={root / 'pictures'}",
        f"--workdir={workdir}",
        "--num_epochs=3",
        "--learning_rate=0.01",
        "--num_threads=2",
    )


def complaint(capsys):
    return capsys.readouterr().err.splitlines()[-1].removeprefix("fakedet: ")


def load(workdir):
    return systems.load(workdir, parallel.data_mesh())


def test_the_published_encoder_is_the_default():
    detector = systems.create("linear_probe")
    assert detector.pretrained.name == "clip_vit_l14"
    shapes = detector.abstract_variables(detector.model(2, "float32"))
    head = shapes["params"]["fc"]
    assert (head["kernel"].shape, head["bias"].shape) == ((768, 1), (1,))


def test_pictures_of_256_are_cropped_as_by_the_authors():
    framing = systems.create("linear_probe").framing
    assert framing == Framing(224, 224, 224 / 256)
    assert framing.region(256, 256) == (16.0, 16.0, 240.0, 240.0)
    # What recognises faces sees all of its input.
    options = LinearProbeOptions(backbone="mobilefacenet")
    of_faces = systems.create("linear_probe", options)
    assert of_faces.framing == backbones.create("mobilefacenet").preprocessing.framing


def test_the_linear_layer_alone_is_trained(root):
    fitted = load(root / "workdir")
    given = tiny.recognizer_variables()["params"]
    encoder = fitted.variables["params"]["encoder"]
    jax.tree.map(np.testing.assert_array_equal, encoder, given)
    config = json.loads((root / "workdir" / "config.json").read_text())
    assert (config["detector"], config["backbone"]) == ("linear_probe", "tiny_faces")
    assert len(config["weights"]) == 64


def test_scores_are_those_of_a_linear_layer_on_the_embedding(root):
    fitted = load(root / "workdir")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 18, 16, 3), np.uint8)
    network = tiny.BACKBONE.build(np.float32, "layer")
    inputs = tiny.BACKBONE.preprocessing(pictures)
    embedding, _ = network.apply(tiny.recognizer_variables(), inputs)
    head = jax.device_get(fitted.variables["params"]["fc"])
    evidence = np.float64(embedding) @ head["kernel"][:, 0] + head["bias"]
    found = fitted.log_probability_fn(fitted.variables, pictures)
    expected = -np.logaddexp(0, np.stack([evidence, -evidence], 1))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_second_training_embeds_nothing(root, tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise AssertionError("the encoder was run")

    monkeypatch.setattr(cached.Features, "_score", refuse)
    assert tiny.run_cli(*flags(root, tmp_path), "--num_epochs=2") == 0
    shown = capsys.readouterr().err
    assert "epoch 2: loss" in shown
    assert "embedding" not in shown
    assert (tmp_path / "best").is_dir()


def test_the_cache_holds_embeddings_of_both_sides(root):
    parts = sorted((root / "cache").glob("*/rows_*.npz"))
    # Training pictures twice, and those of the validation.
    counts = []
    for part in parts:
        with np.load(part) as archive:
            assert archive["embeddings"].shape[1:] == (5,)
            counts.append(len(archive["embeddings"]))
    assert sorted(counts) == [6, 20, 20]


def test_it_evaluates_predicts_extracts_and_deploys(root, tmp_path, capsys):
    workdir = f"--workdir={root / 'workdir'}"
    assert tiny.run_cli("--mode=evaluate", workdir) == 0
    metrics = root / "workdir" / "evaluations" / "folder_test" / "metrics.json"
    assert json.loads(metrics.read_text())["num_examples"] == 11
    pictures = str(root / "pictures" / "test")
    table = tmp_path / "scores.csv"
    assert tiny.run_cli("--mode=predict", workdir, f"--output={table}", pictures) == 0
    assert len(table.read_text().splitlines()) == 12
    output = f"--output={tmp_path / 'features'}"
    features = ("--mode=extract", "--features=embedding", "--batch_size=8")
    assert tiny.run_cli(*features, workdir, output, pictures) == 0
    with np.load(tmp_path / "features" / "features.npz") as archive:
        assert archive["features"].shape == (11, 5)
    output = f"--output={tmp_path / 'detector.zip'}"
    assert tiny.run_cli("--mode=deploy", workdir, output) == 0
    assert (tmp_path / "detector.zip").is_file()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--trainable=fc", "--trainable: linear_probe has no such option"),
        ("--balance=classes", "--balance: linear_probe has no such option"),
        ("--perturb=jpeg", "--perturb: expected none"),
        ("--perturb_copies=2", "--perturb_copies: there is nothing to do"),
        ("--profile_dir=trace", "--profile_dir: linear_probe trains on embeddings, in"),
        ("--backbone=gone", "--backbone: "),
    ],
)
def test_wrong_flags_are_refused(root, tmp_path, capsys, flag, message):
    assert tiny.run_cli(*flags(root, tmp_path / "new"), flag) == 2
    assert complaint(capsys).startswith(message)
    assert not (tmp_path / "new").exists()


# A published head: one output for each of 16 features.
HEAD = {
    "weight": np.random.default_rng(5).normal(0, 0.5, (1, 16)).astype("f4"),
    "bias": np.float32([0.25]),
}


def named(prefix, tensors=HEAD):
    return {f"{prefix}{name}": array for name, array in tensors.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The head and the encoder, each in its file, as their authors publish them."""
    folder = tmp_path_factory.mktemp("published")
    tensors = narrow.tensors("clip_openai")
    files = {
        "head": HEAD,
        "named": named("fc."),
        "other": named("fc.", {**HEAD, "weight": HEAD["weight"][:, :8]}),
        # What the authors' training script writes.
        "whole": {
            "model": {**named("fc."), **named("model.", tensors)},
            "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
            "total_steps": 7,
        },
        "two": {"model": named("fc."), "model_ema": named("fc.")},
    }
    for name, content in files.items():
        (folder / name).write_bytes(torch_objects.archive(content))
    (folder / "encoder").write_bytes(safetensors.save(tensors))
    wide = narrow.tensors("dinov3_facebook")
    (folder / "dino").write_bytes(safetensors.save(wide))
    return folder


def convert(folder, output, *files, model="linear_probe"):
    flags = [f"--{name}={folder / file}" for name, file in files]
    chosen = () if model == "narrow_clip" else ("--backbone=narrow_clip",)
    return tiny.run_cli(
        "--mode=convert", f"--model={model}", *chosen, *flags, f"--output={output}"
    )


@pytest.mark.parametrize(
    "files",
    [
        (("weights", "head"), ("encoder_weights", "encoder")),
        (("weights", "named"), ("encoder_weights", "encoder")),
        (("weights", "whole"),),
    ],
    ids=str,
)
def test_a_published_head_scores_as_on_embeddings_of_pytorch(
    published, tmp_path, files, capsys
):
    assert convert(published, tmp_path / "probe", *files) == 0
    assert "34 of 34 arrays matched" in capsys.readouterr().out
    fitted = load(tmp_path / "probe")
    embeddings = np.reshape(narrow.golden()["clip_openai"]["embedding"], (2, -1))
    evidence = embeddings @ HEAD["weight"][0] + HEAD["bias"]
    pictures = encoder_weights.make_pictures(28)
    found = fitted.log_probability_fn(fitted.variables, pictures)
    assert np.abs(evidence).max() > 0.5
    np.testing.assert_allclose(fitted.info.log_odds(found), evidence, atol=1e-4)
    config = json.loads((tmp_path / "probe" / "config.json").read_text())
    assert config["backbone"] == "narrow_clip"
    assert config["converted_from"]["source"] == files[0][1]
    if len(files) > 1:
        assert config["converted_from"]["encoder"]["source"] == "encoder"


def test_a_converted_encoder_does_too_and_predicts(published, tmp_path):
    encoder = tmp_path / "encoder"
    files = (("weights", "encoder"),)
    assert convert(published, encoder, *files, model="narrow_clip") == 0
    files = (("weights", "head"), ("encoder_weights", encoder))
    assert convert(published, tmp_path / "probe", *files) == 0
    picture = tmp_path / "one.png"
    Image.fromarray(encoder_weights.make_pictures(28)[0]).save(picture)
    table = tmp_path / "scores.csv"
    flags = (f"--workdir={tmp_path / 'probe'}", f"--output={table}")
    assert tiny.run_cli("--mode=predict", *flags, str(picture)) == 0
    embeddings = np.reshape(narrow.golden()["clip_openai"]["embedding"], (2, -1))
    evidence = embeddings[0] @ HEAD["weight"][0] + HEAD["bias"]
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert float(row["log_odds"]) == pytest.approx(evidence.item(), abs=1e-3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            (("weights", "head"),),
            "--encoder_weights: '{folder}/head' holds the linear layer alone; name the "
            "weights of its encoder narrow_clip too",
        ),
        (
            (("weights", "whole"), ("encoder_weights", "encoder")),
            "--encoder_weights: '{folder}/whole' holds more than the linear layer, ",
        ),
        (
            (("weights", "encoder"),),
            "--weights: '{folder}/encoder' does not fit linear_probe on narrow_clip: 0 "
            "of 2 arrays match; missing: fc.weight, fc.bias",
        ),
        (
            (("weights", "other"), ("encoder_weights", "encoder")),
            "--weights: '{folder}/other' does not fit linear_probe on narrow_clip: 1 "
            "of 2 arrays match; of another shape: fc.weight (expected 1 × 16, found 1 "
            "× 8)",
        ),
        (
            (("weights", "head"), ("encoder_weights", "dino")),
            "--encoder_weights: '{folder}/dino' does not fit narrow_clip",
        ),
        (
            (("weights", "head"), ("encoder_weights", "gone")),
            "--encoder_weights: '{folder}/gone' does not exist",
        ),
        (
            (("weights", "two"), ("encoder_weights", "encoder")),
            "--weights: '{folder}/two' holds several sets of weights: model (2), "
            "model_ema (2) arrays; convert it, and choose one with --container",
        ),
    ],
    ids=str,
)
def test_files_that_do_not_fit_are_refused(published, tmp_path, capsys, files, message):
    assert convert(published, tmp_path / "probe", *files) == 2
    assert complaint(capsys).startswith(message.format(folder=published))
    assert not (tmp_path / "probe").exists()


@pytest.mark.parametrize("model", ["narrow_clip", "meso4"])
def test_other_networks_have_no_encoder_in_a_file_of_its_own(
    published, tmp_path, capsys, model
):
    flags = [f"--weights={published / 'encoder'}", f"--output={tmp_path / 'new'}"]
    flags.append(f"--encoder_weights={published / 'encoder'}")
    assert tiny.run_cli("--mode=convert", f"--model={model}", *flags) == 2
    assert complaint(capsys).startswith("--encoder_weights: ")


def test_weights_of_another_size_are_told(published, root, tmp_path, capsys):
    given = [f for f in flags(root, tmp_path / "new") if "back" not in f]
    given = [f for f in given if "--weights" not in f]
    given.append(f"--weights={published / 'encoder'}")
    assert tiny.run_cli(*given) == 2
    found = complaint(capsys)
    assert "holds an encoder of an unknown size (32 features, 2 blocks" in found
    assert "expected CLIP ViT-L/14 (1024 features, 24 blocks" in found

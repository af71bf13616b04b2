# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""GenD against PyTorch, its training on a narrow encoder, and its published layout.

The encoder has random weights, so that only the path is tested, and no accuracy.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fakedet_jax import systems
from fakedet_jax.models import backbones
from fakedet_jax.models.encoders import clip, dinov3, perception
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import gend, headed
from fakedet_jax.systems.networks.options import GendOptions
from fakedet_jax.training import freezing
from fakedet_jax.weights import mapping, store
from tests import tiny
from tests.golden import encoder_weights, make_detectors_golden
from tests.models.encoders import narrow

GOLDEN = json.loads(make_detectors_golden.GOLDEN.read_text("utf-8"))
CLIP = clip.backbone("narrow_clip", encoder_weights.NARROW["clip"])
LOSSES = {
    "alignment": lambda rows: gend.alignment(
        rows, jnp.array(make_detectors_golden.LABELS)
    ),
    "uniformity": gend.uniformity,
}


@pytest.fixture(scope="module", autouse=True)
def known():
    with tiny.registered(), tiny.registration(backbones, CLIP):
        yield


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_those_of_pytorch(name):
    def loss(rows):
        return LOSSES[name](headed.unit_length(rows))

    value, gradient = jax.value_and_grad(loss)(make_detectors_golden.make_rows())
    golden = GOLDEN["losses"][name]
    assert value == pytest.approx(golden["value"], abs=1e-6)
    np.testing.assert_allclose(gradient, golden["gradient"], atol=1e-6)


@pytest.mark.slow
def test_without_pairs_there_is_nothing_to_lose():
    rows = headed.unit_length(jnp.ones((1, 4)))
    assert gend.uniformity(rows) == gend.alignment(rows, jnp.zeros(1, int)) == 0
    rows = headed.unit_length(jnp.eye(3))
    assert gend.alignment(rows, jnp.arange(3)) == 0


def test_equal_embeddings_have_finite_gradients():
    def loss(rows):
        rows = headed.unit_length(rows)
        return gend.uniformity(rows) + gend.alignment(rows, jnp.zeros(4, int))

    value, gradient = jax.value_and_grad(loss)(jnp.ones((4, 3)))
    assert value == pytest.approx(0, abs=1e-6)
    assert np.isfinite(gradient).all()
    assert np.isfinite(jax.grad(loss)(jnp.zeros((4, 3)))).all()


def test_pairs_on_all_devices_count():
    rows = np.random.default_rng(2).normal(size=(16, 4)).astype(np.float32)
    labels = np.arange(16, dtype=np.int32) % 2
    regularize = gend.make_regularizer(0.5, 0.1)
    mesh = parallel.data_mesh()
    placed = parallel.put_batch(mesh, {"rows": rows, "labels": labels})

    def loss(rows, labels):
        return regularize({"embedding": headed.unit_length(rows)}, labels)[0]

    found = jax.jit(loss)(placed["rows"], placed["labels"])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    first, second = np.triu_indices(16, 1)
    squared = np.square(unit[first] - unit[second]).sum(1)
    expected = 0.5 * np.log(np.exp(-2 * squared).mean())
    expected += 0.1 * squared[labels[first] == labels[second]].mean()
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("family", "size"),
    [(clip, "clip"), (dinov3, "dinov3"), (perception, "perception")],
)
def test_normalisations_and_the_head_alone_are_tuned(family, size):
    encoder = family.backbone("narrow", encoder_weights.NARROW[size])
    with tiny.registration(backbones, encoder):
        detector = systems.create("gend", GendOptions(backbone="narrow"))
    params = detector.abstract_variables(detector.model(2, "float32"))["params"]
    frozen = set(freezing.select(params, detector.trainable))
    trained = set(jax.tree.leaves(freezing.paths(params))) - frozen
    kinds = {layer.name: layer.kind for layer in encoder.layers}
    norms = {f"encoder/{name}" for name, kind in kinds.items() if kind == "affine"}
    assert {path.rpartition("/")[0] for path in trained} == {*norms, "fc"}
    assert not any("projection" in path for path in trained | frozen)
    assert params["fc"]["kernel"].shape == (encoder.size.width, 2)


def test_the_published_share_of_parameters_is_tuned():
    detector = systems.create("gend")
    params = detector.abstract_variables(detector.model(2, "float32"))["params"]
    frozen = freezing.select(params, detector.trainable)
    marks = jax.tree.leaves(freezing.mask(params, frozen))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    tuned = sum(size for size, held in zip(sizes, marks, strict=True) if not held)
    # 0.03 % of the encoder, as the paper says, and the linear layer.
    assert tuned == 50 * 2 * 1024 + 2 * 1024 + 2
    assert tuned / sum(sizes) == pytest.approx(0.0003, abs=5e-5)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A checkpoint as the authors publish it, and the weights of the encoder alone."""
    folder = tmp_path_factory.mktemp("published")
    tensors = encoder_weights.tensors(GOLDEN["gend"]["shapes"])
    (folder / "model").write_bytes(safetensors.save(tensors))
    less = {name: array for name, array in tensors.items() if "visual_pro" not in name}
    (folder / "less").write_bytes(safetensors.save(less))
    without = {name: array for name, array in tensors.items() if "linear" not in name}
    (folder / "headless").write_bytes(safetensors.save(without))
    one = {**tensors, "model.linear.weight": tensors["model.linear.weight"][:1]}
    (folder / "one").write_bytes(safetensors.save(one))
    encoder = narrow.tensors("clip_hugging_face")
    (folder / "encoder").write_bytes(safetensors.save(encoder))
    return folder


def convert(file, output, *flags):
    chosen = ("--model=gend", "--backbone=narrow_clip", f"--weights={file}")
    return tiny.run_cli("--mode=convert", *chosen, f"--output={output}", *flags)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["model", "less"])
def test_a_published_checkpoint_scores_as_in_pytorch(published, tmp_path, name):
    assert convert(published / name, tmp_path / "gend") == 0
    fitted = systems.load(tmp_path / "gend", parallel.data_mesh())
    pictures = encoder_weights.make_pictures(28)
    found = np.asarray(fitted.log_probability_fn(fitted.variables, pictures))
    logits = np.asarray(GOLDEN["gend"]["logits"])
    expected = logits - np.logaddexp(*logits.T)[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    detector = systems.create("gend", GendOptions(backbone="narrow_clip"))
    _, out = detector.model(2, "float32").apply(
        fitted.variables, detector.preprocessing(pictures)
    )
    np.testing.assert_allclose(out["embedding"], GOLDEN["gend"]["embedding"], atol=1e-5)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        (
            "headless",
            (),
            "--weights: '{file}' does not fit gend on narrow_clip: 0 of 2",
        ),
        ("one", (), "--weights: '{file}' does not fit gend on narrow_clip: 1 of 2 arr"),
        (
            "model",
            ("--backbone=clip_vit_l14",),
            "--weights: '{file}' does not fit gend",
        ),
        ("model", ("--backbone=mobilefacenet",), "--backbone: gend tunes an image enc"),
        ("model", ("--uniformity=1",), "--uniformity: "),
    ],
)
def test_other_files_are_refused(published, tmp_path, capsys, name, flags, message):
    file = published / name
    assert convert(file, tmp_path / "gend", *flags) == 2
    complaint = capsys.readouterr().err.splitlines()[-1].removeprefix("fakedet: ")
    assert complaint.startswith(message.format(file=file))
    assert not (tmp_path / "gend").exists()


@pytest.fixture(scope="module")
def workdir(published, tmp_path_factory):
    """After two steps."""
    root = tmp_path_factory.mktemp("gend")
    tiny.write_pictures(root / "pictures")
    flags = (
        "--detector=gend",
        "--backbone=narrow_clip",
        f"--weights={published / 'encoder'}",
        f"--data_dir={root / 'pictures'}",
        f"--workdir={root / 'workdir'}",
        *("--batch_size=16", "--num_epochs=1", "--learning_rate=0.01"),
        *("--log_every=1", "--num_threads=2"),
    )
    assert tiny.run_cli("--mode=train", *flags) == 0
    return root / "workdir"


@pytest.mark.slow
def test_training_leaves_all_else_as_published(workdir):
    fitted = systems.load(workdir, parallel.data_mesh())
    given = narrow.variables("clip_hugging_face", CLIP)
    found = mapping.flatten(fitted.variables["params"]["encoder"])
    given = mapping.flatten(given["params"])
    assert set(given) - set(found) == {"projection/kernel"}
    for path, array in found.items():
        is_same = bool((np.asarray(array) == given[path]).all())
        assert is_same is not ("norm" in path), path
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    steps = [row for row in map(json.loads, lines) if "train/loss" in row]
    assert len(steps) == 2
    assert all(-4 <= row["train/uniformity"] <= 0 for row in steps)
    assert all(0 <= row["train/alignment"] <= 4 for row in steps)
    config = json.loads((workdir / "config.json").read_text())
    assert (config["backbone"], config["uniformity"]) == ("narrow_clip", 0.5)


@pytest.mark.slow
def test_it_predicts_and_deploys(workdir, tmp_path):
    table = tmp_path / "scores.csv"
    pictures = str(workdir.parent / "pictures" / "test")
    flags = (f"--workdir={workdir}", f"--output={table}")
    assert tiny.run_cli("--mode=predict", *flags, pictures) == 0
    assert len(table.read_text().splitlines()) == 12
    output = tmp_path / "detector.zip"
    deploy = ("--mode=deploy", f"--workdir={workdir}", f"--output={output}")
    assert tiny.run_cli(*deploy) == 0


def test_a_training_without_weights_is_refused(tmp_path, capsys):
    flags = ("--detector=gend", f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'w'}")
    assert tiny.run_cli("--mode=train", *flags) == 2
    complaint = capsys.readouterr().err.splitlines()[-1].removeprefix("fakedet: ")
    assert complaint.startswith("--weights: --backbone=clip_vit_l14 needs its weights")


@pytest.mark.slow
def test_a_converted_encoder_can_be_started_from(published, tmp_path):
    variables, card = store.load(CLIP, published / "encoder")
    store.save(tmp_path / "encoder", variables, card)
    again, _ = store.load(CLIP, tmp_path / "encoder")
    detector = systems.create("gend", GendOptions(backbone="narrow_clip"))
    model = detector.model(2, "float32")
    shape = (1, *detector.framing.shape)
    fresh = jax.jit(functools.partial(model.init, jax.random.key(0)))(jnp.zeros(shape))
    started = headed.start_from(fresh, again)
    found = mapping.flatten(started["params"]["encoder"])
    assert set(found) == set(mapping.flatten(fresh["params"]["encoder"]))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.networks.mesonet against PyTorch and the authors' weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.media import decode
from fakedet_jax.systems.networks import mesonet
from fakedet_jax.weights import formats, mapping
from tests.golden import make_rivals_golden as maker
from tests.models import QUICK
from tests.systems.networks import rival_outputs

NETWORKS = {
    "meso4": (mesonet.MesoNet(), mesonet.LAYERS),
    "meso_inception4": (mesonet.MesoNet(inception=True), mesonet.INCEPTION_LAYERS),
}


@pytest.mark.parametrize(
    ("name", "count"), [("meso4", 27_977), ("meso_inception4", 28_615)]
)
def test_parameters_in_all(name, count):
    assert rival_outputs.count(NETWORKS[name][0], 256) == count


@functools.cache
def _golden_run(name):
    model, layers = NETWORKS[name]
    keys = {layer.name: layer.keras for layer in layers}
    values = rival_outputs.variables(model, maker.SIDES[name], keys)
    return values, keys, *rival_outputs.run(name, model, values)


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_pytorch(name):
    _, keys, logits, out = _golden_run(name)
    found = rival_outputs.deviations(name, logits, out, keys)
    assert max(found.values()) < 1e-4, found


def test_published_weights_are_turned():
    values, _, logits, _ = _golden_run("meso4")
    turned = mesonet.from_published(values)
    found, _ = rival_outputs.run("meso4", mesonet.MesoNet(), turned)
    np.testing.assert_allclose(found, -logits, rtol=1e-5)


def test_more_classes_have_an_output_each():
    model = mesonet.MesoNet(num_classes=5)
    images = jax.ShapeDtypeStruct((3, 64, 64, 3), jnp.float32)
    (logits, out), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == out["fc2"].shape == (3, 5)


def test_bfloat16_keeps_parameters_and_logits_in_float32():
    model = mesonet.MesoNet(dtype=jnp.bfloat16, inception=True)
    images = jax.ShapeDtypeStruct((3, 256, 256, 3), jnp.float32)
    (logits, out), values = jax.eval_shape(
        model.init_with_output, jax.random.key(0), images
    )
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((values, logits))}
    assert (dtypes, out["conv3"].dtype) == ({jnp.dtype("float32")}, jnp.bfloat16)


def test_training_drops_features_and_moves_statistics_a_hundredth():
    values, *_ = _golden_run("meso4")
    images = jnp.asarray(maker.make_images("meso4"))

    def train(key):
        model = mesonet.MesoNet()
        rngs = {"dropout": key}
        (logits, out), state = model.apply(
            values, images, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return logits, out["conv1"], state["batch_stats"]["bn1"]["mean"]

    train = jax.jit(train, compiler_options=QUICK)
    first, conv1, mean = train(jax.random.key(0))
    second, *_ = train(jax.random.key(1))
    assert np.all(first[:, 1] != second[:, 1])
    before = values["batch_stats"]["bn1"]["mean"]
    batch = np.maximum(conv1, 0).mean((0, 1, 2))
    np.testing.assert_allclose(mean, 0.99 * before + 0.01 * batch, atol=1e-6)


@pytest.mark.few(2)
@pytest.mark.parametrize(("size", "window"), [(8, 2), (7, 2), (8, 4), (13, 4), (14, 4)])
def test_pooling_pads_as_keras_does(size, window):
    values = np.random.default_rng(size).normal(size=(1, size, size, 1)) - 9
    found = mesonet.max_pool_same(jnp.asarray(values, jnp.float32), window)
    start = -((-size % window) // 2)
    slices = [slice(max(at, 0), at + window) for at in range(start, size, window)]
    expected = [[values[0, row, column].max() for column in slices] for row in slices]
    np.testing.assert_allclose(found[0, ..., 0], expected, rtol=1e-6)


def test_input_is_red_first_between_0_and_1():
    pictures = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    prepared = np.ravel(mesonet.PREPROCESSING(pictures))
    np.testing.assert_allclose(prepared, [0, 0.2, 1], rtol=1e-6)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "file", "real"),
    [
        ("meso4", "Meso4_DF.h5", (0.05, 0.02, 0.99, 1.0)),
        ("meso_inception4", "MesoInception_DF.h5", (0.02, 0.0, 1.0, 1.0)),
    ],
)
def test_published_weights_tell_portraits_apart(shared_data, name, file, real):
    path = shared_data.parent / "models" / file
    if not path.is_file():
        pytest.skip(f"the published weights are absent ({path} is no file)")
    model, layers = NETWORKS[name]
    pictures = np.stack(
        [
            decode.to_input(
                decode.decode((shared_data / "portraits" / f"{face}.jpg").read_bytes()),
                mesonet.PREPROCESSING.framing,
            )
            for face in ("df00204", "df01254", "real00240", "real00772")
        ]
    )
    images = mesonet.PREPROCESSING(jnp.asarray(pictures))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    published, _ = mapping.to_variables(layers, formats.read(path), shapes)
    apply = jax.jit(model.apply, compiler_options=QUICK)
    logits, _ = apply(mesonet.from_published(published), images)
    fake = jax.nn.softmax(logits)[:, 1]
    np.testing.assert_allclose(1 - fake, real, atol=0.03)

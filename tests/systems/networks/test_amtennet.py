# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.networks.amtennet against the paper's table and PyTorch."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import amtennet
from fakedet_jax.training import optim
from tests.golden import make_amtennet_golden
from tests.models import QUICK

# (layer, its parameters, its output's [features, height, width]), as the paper has it.
TABLE = [
    ("conv1", 84, (3, 128, 128)),
    ("trace", 0, (3, 128, 128)),
    ("conv2", 84, (3, 128, 128)),
    ("conv3", 84, (3, 128, 128)),
    ("conv4", 330, (6, 128, 128)),
    ("conv5", 330, (6, 128, 128)),
    ("reused_trace", 0, (12, 128, 128)),
    ("conv6", 2_616, (24, 128, 128)),
    ("conv7", 10_416, (48, 62, 62)),
    ("conv8", 27_712, (64, 29, 29)),
    ("conv9", 8_320, (128, 14, 14)),
    ("fc1", 1_881_900, (300,)),
    ("fc2", 90_300, (300,)),
    ("fc3", 602, (2,)),
]
NORMS = {"bn6": 48, "bn7": 96, "bn8": 128}


def _shapes(num_classes, dtype=jnp.float32):
    """Abstract variables, logits and outputs of a batch of five."""
    model = amtennet.AmtenNet(num_classes, dtype=dtype)
    images = jax.ShapeDtypeStruct((5, 128, 128, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    ordered = []

    def apply(variables, images):
        logits, out = model.apply(variables, images)
        # Dicts that leave a transformation come back sorted.
        ordered.extend(out)
        return logits, out

    logits, out = jax.eval_shape(apply, variables, images)
    return variables, logits, {name: out[name] for name in ordered}


def _count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _layers(params):
    return {**params["amten"], **params["base"]}


def test_parameters_of_each_layer():
    found = {
        name: _count(node) for name, node in _layers(_shapes(2)[0]["params"]).items()
    }
    expected = {name: count for name, count, _ in TABLE if count}
    assert found == {**expected, **NORMS}


@pytest.mark.few(1)
@pytest.mark.parametrize(("num_classes", "count"), [(2, 2_023_050), (8, 2_024_856)])
def test_parameters_in_all(num_classes, count):
    assert _count(_shapes(num_classes)[0]["params"]) == count


def test_output_shapes_in_network_order():
    _, _, out = _shapes(2)
    found = [(name, value.shape) for name, value in out.items()]
    assert found == [(name, (5, *shape)) for name, _, shape in TABLE]


def test_fully_connected_layers_read_the_pooled_planes():
    kernel = _layers(_shapes(2)[0]["params"])["fc1"]["kernel"]
    assert kernel.shape == (128 * 7 * 7, 300)


def test_bfloat16_keeps_parameters_and_logits_in_float32():
    variables, logits, out = _shapes(2, jnp.bfloat16)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((variables, logits))}
    assert (dtypes, out["conv9"].dtype) == ({jnp.dtype("float32")}, jnp.bfloat16)


IMAGES = np.random.default_rng(5).uniform(0, 255, (2, 24, 20, 3)).astype(np.float32)


def test_preprocessing_hands_over_blue_first():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 10, 20, 30
    prepared = amtennet.PREPROCESSING(jnp.asarray(pictures))
    assert prepared.ravel().tolist() == [30, 20, 10]


@functools.cache
def _extractor():
    """The compiled extractor and its parameters."""
    params = _golden_inputs()[0]["params"]["amten"]
    model = amtennet.Amten()

    def extract(params, images):
        return model.apply({"params": params}, images)[1]

    return jax.jit(extract, compiler_options=QUICK), params


def test_swapped_channels_with_a_swapped_predictor_swap_the_trace():
    extract, params = _extractor()
    swapped = {**params, "conv1": {}}
    swapped["conv1"]["kernel"] = params["conv1"]["kernel"][:, :, ::-1, ::-1]
    swapped["conv1"]["bias"] = params["conv1"]["bias"][::-1]
    trace = extract(params, IMAGES)["trace"]
    swapped_trace = extract(swapped, IMAGES[..., ::-1])["trace"]
    np.testing.assert_allclose(swapped_trace[:, ::-1], trace, rtol=1e-5, atol=1e-3)


def test_trace_is_prediction_minus_picture():
    extract, params = _extractor()
    out = extract(params, IMAGES)
    picture = IMAGES.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(out["trace"], out["conv1"] - picture, rtol=1e-6)


def test_frozen_bias_of_the_predictor_does_not_move():
    # Only the names matter.
    params = jax.tree.map(lambda _: jnp.ones(2), _golden_inputs()[0]["params"])
    recipe = optim.Recipe(momentum=0.95, weight_decay=0.005)
    optimizer = optim.create_optimizer(recipe, 10, amtennet.frozen())
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    still = [name for name, update in _to_caffe(updates).items() if not update.any()]
    assert still == ["amten/conv1/bias"]


@pytest.fixture(scope="module")
def golden():
    return json.loads(make_amtennet_golden.GOLDEN.read_text())


def _to_flax(weights):
    """Variables from arrays in Caffe's layout."""
    variables = {"params": {}, "batch_stats": {}}
    for path, value in weights.items():
        part, layer, name = path.split("/")
        if name == "kernel":
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        kind = "batch_stats" if name in ("mean_sum", "var_sum", "weight") else "params"
        node = variables[kind].setdefault(part, {}).setdefault(layer, {})
        node[name] = jnp.asarray(value)
    return variables


def _to_caffe(tree):
    """The reverse of `_to_flax` for one collection."""
    arrays = {}
    for path, value in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        value = np.asarray(value)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        arrays[name] = value.T if value.ndim == 2 else value
    return arrays


@functools.cache
def _golden_inputs():
    variables = _to_flax(make_amtennet_golden.make_weights())
    pictures = jnp.asarray(make_amtennet_golden.make_images())
    return variables, amtennet.PREPROCESSING(pictures)


@functools.cache
def _golden_eval():
    model = amtennet.AmtenNet(make_amtennet_golden.NUM_CLASSES)
    return jax.jit(model.apply, compiler_options=QUICK)(*_golden_inputs())


def _step(variables, images, labels):
    """Loss, logits, new statistics and gradients in training."""
    model = amtennet.AmtenNet(make_amtennet_golden.NUM_CLASSES)

    def loss_fn(params):
        (logits, _), state = model.apply(
            {**variables, "params": params}, images, train=True, mutable="batch_stats"
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), (logits, state["batch_stats"])

    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, (logits, stats)), gradients = gradient(variables["params"])
    return loss, logits, stats, gradients


@functools.cache
def _golden_step():
    labels = np.asarray(make_amtennet_golden.LABELS)
    variables, images = _golden_inputs()
    step = jax.jit(_step, compiler_options=QUICK)
    loss, logits, stats, gradients = step(variables, images, labels)
    return loss, logits, _to_caffe(stats), _to_caffe(gradients)


@functools.cache
def _sharded_step():
    """The compiled text and the result with each picture twice, over eight devices.

    Loss, mean and gradients of such a batch are those of the pictures once.
    """
    mesh = parallel.data_mesh()
    variables, images = _golden_inputs()
    batch = {
        "images": np.repeat(images, 2, axis=0),
        "labels": np.repeat(np.asarray(make_amtennet_golden.LABELS), 2),
    }
    with jax.set_mesh(mesh):
        variables = parallel.replicate(mesh, variables)
        batch = parallel.put_batch(mesh, batch)
        lowered = jax.jit(_step).lower(variables, **batch)
        compiled = lowered.compile(QUICK)
        loss, _, stats, gradients = compiled(variables, **batch)
    return compiled.as_text(), loss, _to_caffe(stats), _to_caffe(gradients)


def _assert_close(found, expected, name=""):
    expected = np.asarray(expected)
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol, err_msg=name)


def test_evaluated_logits_equal_pytorch(golden):
    _assert_close(_golden_eval()[0], golden["eval_logits"])


@pytest.mark.parametrize("layer", [name for name, _, _ in TABLE])
def test_evaluated_layers_equal_pytorch(golden, layer):
    out = np.asarray(_golden_eval()[1][layer], np.float64)
    _assert_close([out.mean(), out.std()], golden["eval_layers"][layer])


def test_training_logits_equal_pytorch(golden):
    _assert_close(_golden_step()[1], golden["train_logits"])


def test_training_loss_equals_pytorch(golden):
    _assert_close(_golden_step()[0], golden["train_loss"])


def test_running_statistics_equal_pytorch(golden):
    found = _golden_step()[2]
    assert found.keys() == golden["batch_stats"].keys()
    for name, expected in golden["batch_stats"].items():
        _assert_close(found[name].ravel(), expected, name)


def test_gradients_equal_pytorch(golden):
    found = _golden_step()[3]
    assert found.keys() == golden["gradients"].keys()
    for name, expected in golden["gradients"].items():
        gradient = found[name].astype(np.float64)
        _assert_close(np.linalg.norm(gradient), expected["norm"], name)
        atol = 1e-4 * np.abs(gradient).max()
        np.testing.assert_allclose(
            make_amtennet_golden.pick_entries(gradient),
            expected["entries"],
            rtol=1e-4,
            atol=atol,
            err_msg=name,
        )


@pytest.mark.slow
def test_sharded_loss_equals_the_whole():
    _assert_close(_sharded_step()[1], _golden_step()[0])


@pytest.mark.slow
def test_sharded_running_means_equal_the_whole():
    found, expected = _sharded_step()[2], _golden_step()[2]
    for name in expected:
        if name.endswith("mean_sum"):
            _assert_close(found[name], expected[name], name)


@pytest.mark.slow
def test_sharded_gradients_equal_the_whole():
    found, expected = _sharded_step()[3], _golden_step()[3]
    assert found.keys() == expected.keys()
    for name in expected:
        _assert_close(found[name], expected[name], name)


@pytest.mark.slow
def test_sharded_step_gathers_nothing():
    assert "all-gather" not in _sharded_step()[0]


@pytest.mark.slow
def test_the_batch_norm_fraction_reaches_the_running_statistics():
    model = amtennet.ModelBase(2, batch_norm_fraction=0.5)
    planes = np.ones((1, 12, 32, 32), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), planes)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    _, updated = model.apply(variables, planes, train=True, mutable=["batch_stats"])
    # The weight was 1 before: it decays by the fraction and gains 1.
    assert updated["batch_stats"]["bn6"]["weight"] == 1.5

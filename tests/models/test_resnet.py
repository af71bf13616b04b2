# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.resnet against torchvision's definition in PyTorch."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fakedet_jax.models import resnet
from fakedet_jax.training import optim
from tests.golden import make_amtennet_golden, make_resnet_golden
from tests.models import QUICK

DEPTHS, LABELS = make_resnet_golden.DEPTHS, make_resnet_golden.LABELS


def _shapes(depth, num_classes, dtype=jnp.float32):
    """Abstract variables, logits and outputs of two pictures of 224²."""
    model = resnet.ResNet(depth, num_classes, dtype)
    images = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    ordered = []

    def apply(variables, images):
        logits, out = model.apply(variables, images)
        # Dicts that leave a transformation come back sorted.
        ordered.extend(out)
        return logits, out

    logits, out = jax.eval_shape(apply, variables, images)
    return variables, logits, {name: out[name] for name in ordered}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("depth", "num_classes", "count"),
    [
        (18, 1000, 11_689_512),
        (34, 1000, 21_797_672),
        (34, 2, 21_285_698),
        (50, 1000, 25_557_032),
    ],
)
def test_parameters_in_all(depth, num_classes, count):
    params = _shapes(depth, num_classes)[0]["params"]
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize(("depth", "num_kernels"), [(18, 21), (34, 37), (50, 54)])
def test_outputs_are_all_layers_with_kernels_in_network_order(depth, num_kernels):
    out = _shapes(depth, 10)[2]
    kernels = [layer.name for layer in resnet.layers(depth) if layer.kind != "norm"]
    assert (list(out), len(out)) == (kernels, num_kernels)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("depth", "name", "shape"),
    [
        (34, "conv1", (112, 112, 64)),
        (34, "layer1_2_conv2", (56, 56, 64)),
        (34, "layer2_0_conv1", (28, 28, 128)),
        (50, "layer2_0_conv1", (56, 56, 128)),  # the stride is in the 3×3
        (50, "layer2_0_conv2", (28, 28, 128)),
        (50, "layer4_0_downsample", (7, 7, 2048)),
        (50, "fc", (10,)),
    ],
)
def test_output_shapes(depth, name, shape):
    assert _shapes(depth, 10)[2][name].shape == (2, *shape)


def test_bfloat16_keeps_parameters_and_logits_in_float32():
    variables, logits, out = _shapes(18, 2, jnp.bfloat16)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((variables, logits))}
    assert (dtypes, out["conv1"].dtype) == ({jnp.dtype("float32")}, jnp.bfloat16)


@functools.cache
def _initial_params():
    """Of two layers; `jit` drops the others."""
    images = jnp.zeros((1, 32, 32, 3))

    def init(key):
        params = resnet.ResNet(18, 300).init(key, images)["params"]
        return {name: params[name] for name in ("layer3_0_conv1", "fc")}

    return jax.jit(init, compiler_options=QUICK)(jax.random.key(3))


def test_kernels_start_with_the_spread_of_kaiming_by_fan_out():
    kernel = np.asarray(_initial_params()["layer3_0_conv1"]["kernel"])
    expected = math.sqrt(2 / (3 * 3 * 256))
    np.testing.assert_allclose(kernel.std(), expected, rtol=0.01)
    # Not truncated: of 300,000 normal numbers some lie beyond four deviations.
    assert np.abs(kernel).max() > 4 * expected


@pytest.mark.parametrize("name", ["kernel", "bias"])
def test_fc_starts_uniform_within_one_over_the_root_of_its_inputs(name):
    values = np.asarray(_initial_params()["fc"][name]) * math.sqrt(512)
    assert 0.95 < values.max() <= 1
    assert -1 <= values.min() < -0.95
    np.testing.assert_allclose(values.std(), 1 / math.sqrt(3), rtol=0.1)


def _variables(depth, shift=0.0):
    """The golden weights, by the names that `resnet.layers` gives."""
    weights = make_resnet_golden.make_weights(depth, shift)
    variables = {"params": {}, "batch_stats": {}}
    for layer in resnet.layers(depth):
        if layer.kind == "norm":
            named = {"scale": "weight", "bias": "bias"}
            statistics = {"mean": "running_mean", "var": "running_var"}
            variables["batch_stats"][layer.name] = {
                ours: jnp.asarray(weights.pop(f"{layer.torch}.{theirs}"))
                for ours, theirs in statistics.items()
            }
            params = {
                ours: weights.pop(f"{layer.torch}.{theirs}")
                for ours, theirs in named.items()
            }
        else:
            kernel = weights.pop(f"{layer.torch}.weight")
            axes = (2, 3, 1, 0) if layer.kind == "conv" else (1, 0)
            params = {"kernel": kernel.transpose(axes)}
            if layer.bias:
                params["bias"] = weights.pop(f"{layer.torch}.bias")
        variables["params"][layer.name] = jax.tree.map(jnp.asarray, params)
    assert not weights
    return variables


def _to_torch(depth, variables):
    """The reverse of `_variables`."""
    weights = {}
    for layer in resnet.layers(depth):
        params = variables["params"][layer.name]
        if layer.kind == "norm":
            statistics = variables["batch_stats"][layer.name]
            weights[f"{layer.torch}.weight"] = params["scale"]
            weights[f"{layer.torch}.running_mean"] = statistics["mean"]
            weights[f"{layer.torch}.running_var"] = statistics["var"]
        else:
            axes = (3, 2, 0, 1) if layer.kind == "conv" else (1, 0)
            weights[f"{layer.torch}.weight"] = params["kernel"].transpose(axes)
        if "bias" in params:
            weights[f"{layer.torch}.bias"] = params["bias"]
    return weights


@functools.cache
def _golden(depth):
    return json.loads(make_resnet_golden.GOLDEN.read_text())[str(depth)]


@functools.cache
def _evaluated(depth):
    model = resnet.ResNet(depth, make_resnet_golden.NUM_CLASSES)
    apply = jax.jit(model.apply, compiler_options=QUICK)
    return apply(_variables(depth), make_resnet_golden.make_images())


@functools.cache
def _stepped():
    """Loss, gradients and variables of ResNet-34 after one step, PyTorch's names."""
    model = resnet.ResNet(34, make_resnet_golden.NUM_CLASSES)
    images, labels = make_resnet_golden.make_images(), jnp.array(LABELS)
    rate, *constants = make_resnet_golden.STEP.values()
    rule = optim.torch_sgd(lambda step: rate, *constants)

    def step(variables):
        def loss_fn(params):
            (logits, _), state = model.apply(
                {**variables, "params": params}, images, train=True, mutable=True
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), state["batch_stats"]

        params = variables["params"]
        gradient_fn = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, statistics), gradients = gradient_fn(params)
        updates, _ = rule.update(gradients, rule.init(params), params)
        params = optax.apply_updates(params, updates)
        return loss, gradients, {"params": params, "batch_stats": statistics}

    variables = _variables(34, make_resnet_golden.SHIFT)
    loss, gradients, after = jax.jit(step, compiler_options=QUICK)(variables)
    gradients = _to_torch(34, {**variables, "params": gradients})
    return loss, gradients, _to_torch(34, after)


def _assert_close(found, expected, name=""):
    expected = np.asarray(expected)
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol, err_msg=name)


@pytest.mark.few(1)
@pytest.mark.parametrize("depth", DEPTHS)
def test_evaluated_logits_equal_pytorch(depth):
    _assert_close(_evaluated(depth)[0], _golden(depth)["eval_logits"])


@pytest.mark.parametrize("depth", DEPTHS)
def test_evaluated_layers_equal_pytorch(depth):
    out = _evaluated(depth)[1]
    names = {layer.torch: layer.name for layer in resnet.layers(depth)}
    for name, expected in _golden(depth)["eval_layers"].items():
        values = np.asarray(out[names.get(name, names.get(f"{name}.0"))], np.float64)
        _assert_close([values.mean(), values.std()], expected, name)


@pytest.mark.slow
def test_training_loss_equals_pytorch():
    _assert_close(_stepped()[0], _golden(34)["train_loss"])


@pytest.mark.slow
def test_gradients_equal_pytorch():
    gradients = _stepped()[1]
    for key, expected in _golden(34)["gradient_norms"].items():
        norm = np.linalg.norm(np.asarray(gradients[key], np.float64))
        _assert_close(norm, expected, key)


@pytest.mark.slow
def test_variables_after_a_step_equal_pytorch():
    after = _stepped()[2]
    for key, expected in _golden(34)["after_step"].items():
        found = make_amtennet_golden.pick_entries(np.asarray(after[key]))
        _assert_close(found, expected, key)

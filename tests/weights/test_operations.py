# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks from ONNX, whose normalisations are joined with the convolutions."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.weights import formats, onnx_files, store


class _Network(nn.Module):
    """A part of a residual network of ArcFace."""

    @nn.compact
    def __call__(self, images, *, train=False):
        planes = channel_last.BatchNorm(name="norm")(images, train=train)
        planes = channel_last.Conv(4, 3, padding=1, name="conv")(planes)
        planes = channel_last.BatchNorm(name="conv_bn")(planes, train=train)
        planes = channel_last.PReLU(name="prelu")(planes)
        flat = planes.reshape(len(planes), -1)
        return channel_last.Dense(2, name="fc")(flat), {}


BACKBONE = Backbone(
    name="tiny_onnx",
    build=lambda dtype, site: _Network(),
    preprocessing=Preprocessing(Framing(4, 4)),
    layers=(
        Layer("norm", "norm", "bn1"),
        Layer("conv", "conv", "conv"),
        Layer("conv_bn", "norm", "bn2"),
        Layer("prelu", "prelu", "prelu"),
        Layer("fc", "dense", "fc", bias=True, flattened=(4, 4, 4)),
    ),
    embedding="two numbers",
    onnx_epsilon=1e-5,
)


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.5, 1.5, shape)


ARRAYS = {
    **{f"bn1.{leaf}": draw(3, seed=i) for i, leaf in enumerate(("w", "b", "m", "v"))},
    "conv": draw(4, 3, 3, 3),
    **{f"bn2.{leaf}": draw(4, seed=i) for i, leaf in enumerate(("w", "b", "m", "v"))},
    "slope": draw(4, seed=9) / 4,
    "fc.weight": draw(2, 64) - 1,
    "fc.bias": draw(2, seed=8),
}


def expected(images):
    """The embedding in float64, by the definitions of the layers."""
    a = ARRAYS

    def norm(planes, key):
        scale = a[f"{key}.w"] / np.sqrt(a[f"{key}.v"] + 1e-5)
        return (planes - a[f"{key}.m"]) * scale + a[f"{key}.b"]

    planes = np.pad(norm(images, "bn1"), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(planes, (3, 3), (1, 2))
    planes = norm(np.einsum("byxcij,ocij->byxo", windows, a["conv"]), "bn2")
    planes = np.where(planes < 0, planes * a["slope"], planes)
    flat = planes.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return flat @ a["fc.weight"].T + a["fc.bias"]


def network(*, joined=True, transposed=False, epsilon=None, last="Gemm"):
    """The file as PyTorch exports it for evaluation."""
    a = ARRAYS
    model = onnx_files._messages()["ModelProto"]()
    graph = model.graph

    def add(kind, *arrays, **attributes):
        names = []
        for array in arrays:
            names.append(f"onnx::{kind}_{len(graph.initializer)}")
            values = np.asarray(array, np.float32)
            graph.initializer.add(
                name=names[-1],
                data_type=1,
                dims=values.shape,
                raw_data=values.tobytes(),
            )
        node = graph.node.add(op_type=kind, input=["x", *names], output=["x"])
        for name, value in attributes.items():
            field = "f" if isinstance(value, float) else "i"
            node.attribute.add(name=name, **{field: value})

    def norm(key, **how):
        arrays = [a[f"{key}.{leaf}"] for leaf in ("w", "b", "m", "v")]
        add("BatchNormalization", *arrays, **how)

    norm("bn1", **({} if epsilon is None else {"epsilon": epsilon}))
    if joined:
        scale = a["bn2.w"] / np.sqrt(a["bn2.v"] + 1e-5)
        kernel = a["conv"] * scale[:, None, None, None]
        add("Conv", kernel, a["bn2.b"] - a["bn2.m"] * scale)
    else:
        add("Conv", a["conv"])
        norm("bn2", epsilon=1e-5)
    add("PRelu", a["slope"][:, None, None])
    add("Flatten")
    weight = a["fc.weight"]
    if transposed:
        add(last, weight.T, a["fc.bias"])
    else:
        add(last, weight, a["fc.bias"], transB=1)
    return b"\x08\x0a\x12\x07pytorch" + model.SerializeToString()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("joined", [True, False])
def test_the_embedding_is_that_of_the_definition(joined, transposed, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(network(joined=joined, transposed=transposed))
    variables, card = store.load(BACKBONE, path)
    number = 4 if joined else 5
    assert f"{number} operations matched by their order" in card["notes"]
    images = draw(2, 4, 4, 3).astype(np.float32)
    found, _ = jax.jit(_Network().apply)(variables, images)
    np.testing.assert_allclose(found, expected(images), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "how, reason",
    [
        ({"last": "MatMul"}, "expected Gemm for fc, found the end"),
        ({"epsilon": 1e-3}, "bn1 adds 0.001 to the variance"),
    ],
)
def test_other_networks_are_refused(how, reason, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(network(**how))
    with pytest.raises(RequestError, match=f"is not tiny_onnx: {reason}"):
        store.load(BACKBONE, path)


def test_an_operation_too_many_is_refused(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(network())
    shorter = dataclasses.replace(BACKBONE, layers=BACKBONE.layers[:-1])
    with pytest.raises(RequestError, match="goes on with Gemm behind prelu"):
        store.load(shorter, path)


def test_files_whose_names_are_those_of_the_layers_are_left_alone(tmp_path):
    from fakedet_jax.weights import operations

    path = tmp_path / "network.onnx"
    path.write_bytes(network())
    tensor_file = formats.read(path)
    names = [f"{layer.torch}.weight" for layer in BACKBONE.layers]
    named = dataclasses.replace(
        tensor_file, tensors=dict.fromkeys(names, np.ones(1, np.float32))
    )
    assert operations.by_order(BACKBONE.layers, named, 1e-5, "tiny") is named

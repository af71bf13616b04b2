# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Caffe's protocol buffers, old and new."""

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import caffe, formats
from tests.weights import writers


def numbers(*shape):
    size = int(np.prod(shape))
    return (np.arange(size, dtype=np.float32) - 2.25).reshape(shape)


NORM = (np.float32([2, 4, -6]), np.float32([1, 2, 3]), np.float32([2]))
SCALE = (np.float32([1, 2, 3]), np.float32([-4, 5, 6]))
LAYERS = [
    ("data", "Input", (), ("data",), ()),
    ("conv", "Convolution", ("data",), ("c",), (numbers(3, 1, 2, 2), numbers(3))),
    ("bn", "BatchNorm", ("c",), ("c",), NORM),
    ("any", "Scale", ("c",), ("c",), SCALE),
    ("relu", "PReLU", ("c",), ("c",), (numbers(3),)),
    ("fc", "InnerProduct", ("c",), ("f",), (numbers(2, 12), numbers(2))),
]


def assert_net(tensors):
    wanted = {
        "conv/weight": LAYERS[1][4][0],
        "conv/bias": LAYERS[1][4][1],
        "bn/mean": np.float32([1, 2, -3]),
        "bn/variance": np.float32([0.5, 1, 1.5]),
        "bn/scale": SCALE[0],
        "bn/shift": SCALE[1],
        "relu/slope": numbers(3),
        "fc/weight": numbers(2, 12),
        "fc/bias": numbers(2),
    }
    assert list(tensors) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("name", ["net", ""])
def test_names_and_numbers(packed, legacy, name, read_bytes):
    layers = LAYERS if not legacy else [LAYERS[1], *LAYERS[2:]]
    content = writers.caffe(layers, name=name, packed=packed, legacy=legacy)
    tensor_file = read_bytes(content)
    assert (tensor_file.layout, tensor_file.format) == ("caffe", "caffemodel")
    assert_net(tensor_file.tensors)


def test_layers_of_before_2014(tmp_path):
    layers = [
        ("conv", 4, ("data",), ("c",), (numbers(3, 1, 2, 2), numbers(3))),
        ("relu", 18, ("c",), ("c",), ()),
        ("fc", 14, ("c",), ("f",), (numbers(2, 12), numbers(2))),
    ]
    path = tmp_path / "weights"
    path.write_bytes(writers.caffe(layers, old=True, legacy=True))
    assert {n: a.shape for n, a in formats.read(path).tensors.items()} == {
        "conv/weight": (3, 1, 2, 2),
        "conv/bias": (3,),
        "fc/weight": (2, 12),
        "fc/bias": (2,),
    }
    found = caffe.read_layers(path)
    assert [layer.type for layer in found] == ["Convolution", "ReLU", "InnerProduct"]
    assert found[0].bottoms == ("data",) and found[0].tops == ("c",)


def test_double_precision(read_bytes):
    layers = [("fc", "InnerProduct", (), (), (np.arange(6.0).reshape(2, 3),))]
    tensors = read_bytes(writers.caffe(layers)).tensors
    np.testing.assert_array_equal(tensors["fc/weight"], layers[0][4][0])
    assert tensors["fc/weight"].dtype == np.float64


def test_the_scale_is_found_by_name_first(read_bytes):
    other = (SCALE[0] + 10, SCALE[1] + 10)
    layers = [
        ("bn", "BatchNorm", ("c",), ("n",), NORM),
        ("wrong", "Scale", ("n",), ("m",), other),
        ("bn/scale", "Scale", ("n",), ("s",), SCALE),
    ]
    tensors = read_bytes(writers.caffe(layers)).tensors
    np.testing.assert_array_equal(tensors["bn/scale"], SCALE[0])
    np.testing.assert_array_equal(tensors["wrong/scale"], other[0])


def test_a_scale_behind_another_layer_is_not_joined(read_bytes):
    layers = [
        ("bn", "BatchNorm", ("c",), ("c",), NORM),
        ("relu", "ReLU", ("c",), ("c",), ()),
        ("alone", "Scale", ("c",), ("c",), SCALE),
    ]
    assert list(read_bytes(writers.caffe(layers)).tensors) == [
        "bn/mean",
        "bn/variance",
        "alone/scale",
        "alone/shift",
    ]


def test_a_factor_of_zero_makes_zeros(read_bytes):
    layers = [("bn", "BatchNorm", (), (), (*NORM[:2], np.float32([0])))]
    tensors = read_bytes(writers.caffe(layers)).tensors
    assert not tensors["bn/mean"].any() and not tensors["bn/variance"].any()


@pytest.mark.parametrize(
    "kind, blobs, names",
    [
        ("BatchNorm", (*NORM, *SCALE), ["mean", "variance", "scale", "shift"]),
        ("BN", (*SCALE, *NORM[:2]), ["scale", "shift", "mean", "variance"]),
        ("BN", (NORM[0], NORM[1], *SCALE), ["mean", "variance", "scale", "shift"]),
        ("BN", 4 * (NORM[1],), ["blob0", "blob1", "blob2", "blob3"]),
        ("Normalize", (NORM[1],), ["blob0"]),
    ],
)
def test_merged_and_unknown_layers(kind, blobs, names, read_bytes):
    tensors = read_bytes(writers.caffe([("l", kind, (), (), blobs)])).tensors
    assert [name.removeprefix("l/") for name in tensors] == names


def test_a_blob_that_lacks_numbers(read_bytes):
    content = writers.caffe([("fc", "InnerProduct", (), (), (numbers(2, 3),))])
    with pytest.raises(RequestError, match="claims 200 numbers for layer 'fc'"):
        read_bytes(content.replace(b"\x0a\x02\x02\x03", b"\x0a\x02\x02\x64", 1))


def test_layers_of_one_name(read_bytes):
    layers = 2 * [("fc", "InnerProduct", (), (), (numbers(2, 3),))]
    with pytest.raises(RequestError, match="two arrays named 'fc/weight'"):
        read_bytes(writers.caffe(layers))


def test_a_definition_without_numbers(read_bytes):
    with pytest.raises(RequestError, match="without arrays"):
        read_bytes(writers.caffe(LAYERS[:1]))


def test_truncated_files(read_bytes):
    content = writers.caffe(LAYERS)
    for size in (40, len(content) // 2, len(content) - 1):
        with pytest.raises(RequestError, match="truncated"):
            read_bytes(content[:size])


@pytest.mark.shared_data
def test_a_published_file(shared_data):
    path = shared_data.parent / "models" / "widerface_retinaface.caffemodel"
    layers = caffe.read_layers(path)
    assert len(layers) == 195
    assert sum(blob.size for layer in layers for blob in layer.blobs) == 462_339
    names = set(formats.read(path).tensors)
    norms = [layer.name for layer in layers if layer.type == "BatchNorm"]
    assert norms
    for norm in norms:
        assert {
            f"{norm}/{leaf}" for leaf in ("mean", "variance", "scale", "shift")
        } <= (names)
    assert not any("blob" in name for name in names)

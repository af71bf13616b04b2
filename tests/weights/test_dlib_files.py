# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks of dlib, read without dlib, and what is refused about them."""

import functools
import json
import tracemalloc

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import dlib_files, formats
from tests.golden import backbone_weights, make_dlib_golden
from tests.weights import dlib_writer

NAME = "dlib_resnet29"


@functools.cache
def tensors():
    return backbone_weights.torch_tensors(NAME)


@functools.cache
def content():
    return dlib_writer.network(tensors())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(content())
    return path


def test_arrays_come_back(path):
    tensor_file = formats.read(path)
    assert (tensor_file.layout, tensor_file.format) == ("torch", "dlib network")
    assert list(tensor_file.tensors) == list(tensors())
    for name, array in tensors().items():
        np.testing.assert_array_equal(tensor_file.tensors[name], array)


def test_the_geometry_of_the_network(path):
    network = dlib_files.read_network(path)
    np.testing.assert_allclose(network.mean, (122.782, 117.001, 104.298), rtol=1e-7)
    assert network.size == (150, 150)
    kinds = [layer.kind for layer in network.layers]
    assert kinds[:4] == ["con_4", "affine_", "relu_", "max_pool_2"]
    assert kinds[-2:] == ["avg_pool_2", "fc_2"]
    steps = [layer.geometry[3] for layer in network.layers if layer.kind == "con_4"]
    # The first one, and the first one of each block that halves the planes.
    assert [number for number, step in enumerate(steps, 1) if step == 2] == [
        *(1, 8, 16, 22, 28),
    ]


def test_nothing_is_copied(path):
    tracemalloc.start()
    formats.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * len(content())


def _replaced(old, new):
    assert old in content()
    return content().replace(old, new, 1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: content() + b"\0", "bytes after the end"),
        (lambda: content()[:-1], "the end of the file"),
        (lambda: content()[:1000], "the end of the file"),
        (lambda: content()[:12], "the end of the file"),
        (lambda: _replaced(b"\x01\x96\x01\x96", b"\x71\x96\x01\x96"), "control byte"),
        (lambda: _replaced(b"\x01\x96\x01\x96", b"\x00\x96\x01\x96"), "control byte"),
        (lambda: _replaced(b"\x01\x96\x01\x96", b"\x09\x96\x01\x96"), "control byte"),
        (lambda: _replaced(b"relu_110", b"relu_112"), "a flag"),
        (
            lambda: _replaced(b"relu_110\x01\x02\x01\x00", b"relu_110\x01\x02\x01\x07"),
            "a tensor of 7",
        ),
        (lambda: _replaced(b"relu_", b"tanh_"), "the layer 'tanh_'"),
        (lambda: _replaced(b"loss_metric_2", b"loss_mmod_xxx"), "loss 'loss_mmod_xxx'"),
        (lambda: _replaced(b"image_sized", b"image_other"), "input 'input_rgb_image_o"),
        (lambda: content()[:81] + b"\x01\x05" + content()[83:], "version 5"),
    ],
)
def test_damage_is_one_reason(make, reason, path):
    path.write_bytes(make())
    with pytest.raises(RequestError, match=reason) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def test_numbers_are_finite(path):
    changed = dict(tensors())
    changed["con5.bias"] = np.full_like(changed["con5.bias"], np.nan)
    path.write_bytes(dlib_writer.network(changed))
    with pytest.raises(RequestError, match="numbers that are not finite"):
        formats.read(path)


def test_a_claimed_size_reserves_nothing(path):
    # A tensor of 2³¹ × 2³¹ numbers instead of the first one.
    start = content().index(b"con_4") + len(b"con_4") + 2
    huge = 2 * b"\x04\0\0\0\x7f"
    path.write_bytes(content()[:start] + huge + content()[start + 4 :])
    with pytest.raises(RequestError, match=r"a tensor of|the end of the file"):
        formats.read(path)


def test_random_damage_is_read_or_refused(path):
    rng = np.random.default_rng(0)
    head = content()[:60_000]
    for _ in range(40):
        damaged = bytearray(head)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(RequestError) as caught:
            formats.read(path)
        assert "\n" not in str(caught.value)


def test_the_golden_file_has_whole_embeddings():
    golden = json.loads(make_dlib_golden.GOLDEN.read_text())
    assert {name: np.shape(value) for name, value in golden.items()} == {
        "seeded": (4, 128),
        "published": (4, 128),
    }

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.fakespotter.coverage on eight devices."""

import doctest
import functools
import math
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter.coverage import Coverage
from tests.models import QUICK

BATCH, HEIGHT, WIDTH = 16, 12, 10
PREPROCESSING = Preprocessing(
    Framing(HEIGHT, WIDTH), bgr=True, mean=(120.0, 110.0, 100.0), std=(60.0, 60.0, 60.0)
)
_RNG = np.random.default_rng(0)
IMAGES = _RNG.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), dtype=np.uint8)
MASK = np.ones(BATCH, bool)


class Net(nn.Module):
    """Three layers whose names are not in alphabetical order."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *, train=False):
        out = {}
        conv = functools.partial(nn.Conv, dtype=self.dtype)
        out["stem"] = conv(8, (3, 3), name="stem")(images)
        hidden = nn.relu(out["stem"])
        out["body"] = conv(7, (3, 3), strides=2, name="body")(hidden)
        embedding = nn.relu(out["body"]).mean((1, 2))
        out["head"] = nn.Dense(5, dtype=self.dtype, name="head")(embedding)
        return embedding, out


class Given(nn.Module):
    """Gives the preprocessed picture itself as its only layer."""

    @nn.compact
    def __call__(self, images, *, train=False):
        return images.mean((1, 2)), {"picture": images}


class Deep(nn.Module):
    """Twelve convolutions of equal size."""

    @nn.compact
    def __call__(self, images, *, train=False):
        out, hidden = {}, images
        for number in range(12):
            hidden = nn.Conv(32, (3, 3), name=f"conv{number}")(hidden)
            out[f"conv{number}"] = hidden
            hidden = nn.relu(hidden)
        return hidden.mean((1, 2)), out


NETS = {neuron: Coverage(Net(), PREPROCESSING, neuron) for neuron in coverage.NEURONS}
NET = NETS["unit"]
PLAIN = Preprocessing(Framing(HEIGHT, WIDTH))
GIVEN = {neuron: Coverage(Given(), PLAIN, neuron) for neuron in coverage.NEURONS}


@pytest.fixture(scope="module")
def variables():
    """Of `Net`."""
    init_fn = jax.jit(Net().init, compiler_options=QUICK)
    return init_fn(jax.random.key(0), PREPROCESSING(IMAGES))


@pytest.fixture(scope="module")
def outputs(variables):
    """Every layer's outputs of all pictures, in float64."""
    _, out = Net().apply(variables, PREPROCESSING(IMAGES))
    return [np.asarray(values, np.float64) for values in out.values()]


@pytest.fixture(scope="module")
def thresholds(outputs):
    """The mean over neurons and pictures, in float64, then rounded."""
    means = [np.mean([values[i].mean() for i in range(BATCH)]) for values in outputs]
    return np.asarray(means, np.float32)


def _expected_counts(outputs, thresholds, neuron):
    """Equation 2 as two loops."""
    counts = np.zeros((BATCH, len(outputs)), np.int32)
    for number, (values, threshold) in enumerate(zip(outputs, thresholds, strict=True)):
        for picture in range(BATCH):
            neurons = values[picture]
            if neuron == "channel" and neurons.ndim == 3:
                neurons = neurons.mean((0, 1))
            counts[picture, number] = sum(value > threshold for value in neurons.flat)
    return counts


def _thresholds(net, variables, images, batches, masks=None):
    """Through the streaming state, batch by batch."""
    means_fn = jax.jit(net.means)
    update_fn = jax.jit(coverage.update_thresholds)
    state = coverage.init_thresholds(len(net.layer_sizes))
    for number, rows in enumerate(batches):
        mask = np.ones(len(rows), bool) if masks is None else masks[number]
        state = update_fn(state, means_fn(variables, images[rows]), mask)
    return coverage.finish_thresholds(state)


def _stream(means, batch_sizes):
    """Thresholds of rows of means that are there already."""
    update_fn = jax.jit(coverage.update_thresholds)
    state = coverage.init_thresholds(means.shape[1])
    start = 0
    while start < len(means):
        for size in batch_sizes:
            rows = means[start : start + size]
            padded = np.pad(rows, ((0, size - len(rows)), (0, 0)))
            state = update_fn(state, padded, np.arange(size) < len(rows))
            start += size
    return coverage.finish_thresholds(state)


def _cancelling_images():
    """Pictures whose mean is 10⁻⁴ of their values, once 127 is taken off."""
    half = _RNG.integers(0, 255, (BATCH, HEIGHT // 2, WIDTH, 3), dtype=np.uint8)
    images = np.concatenate([half, 254 - half], axis=1)
    images[:, 0, 0, 0] = np.where(images[:, 0, 0, 0] < 250, images[:, 0, 0, 0] + 3, 254)
    return images


CENTRED = Preprocessing(Framing(HEIGHT, WIDTH), mean=(127.0, 127.0, 127.0))


@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_counts_are_those_of_two_loops(variables, outputs, thresholds, neuron):
    found = NETS[neuron].counts(variables, IMAGES, thresholds)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, _expected_counts(outputs, thresholds, neuron))


@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_means_are_those_of_float64(variables, outputs, neuron):
    found = NETS[neuron].means(variables, IMAGES)
    assert found.dtype == jnp.float32
    for column, values in zip(np.asarray(found).T, outputs, strict=True):
        expected = [picture.mean() for picture in values]
        np.testing.assert_allclose(column, expected, rtol=3e-7)


@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_equal_to_the_threshold_does_not_count(neuron):
    images = np.full((1, HEIGHT, WIDTH, 3), [[[[41, 42, 43]]]], np.uint8)
    found = GIVEN[neuron].counts({}, images, [42.0])
    assert int(found[0, 0]) == (1 if neuron == "channel" else HEIGHT * WIDTH)


@pytest.fixture
def elsewhere(monkeypatch):
    """Computes as on accelerators."""
    monkeypatch.setattr(lax, "platform_dependent", lambda x, cpu, default: default(x))


@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_accelerators_count_the_same(elsewhere, variables, outputs, thresholds, neuron):
    found = jax.jit(NETS[neuron].counts)(variables, IMAGES, thresholds)
    np.testing.assert_array_equal(found, _expected_counts(outputs, thresholds, neuron))


def test_accelerators_average_in_float32(elsewhere, variables, outputs):
    found = np.asarray(jax.jit(NET.means)(variables, IMAGES), np.float64)
    for column, values in zip(found.T, outputs, strict=True):
        expected = np.array([picture.mean() for picture in values])
        bound = 3e-6 * np.array([np.abs(picture).mean() for picture in values])
        assert (np.abs(column - expected) <= bound).all()


@pytest.mark.parametrize("function", ["means", "counts"])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_reduce_each_layer_once(variables, thresholds, platform, function):
    arguments = (thresholds,) if function == "counts" else ()
    traced = jax.jit(getattr(NET, function)).trace(variables, IMAGES, *arguments)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    # One reduction is of the network's own.
    assert text.count("stablehlo.reduce(") == len(NET.layer_sizes) + 1
    assert "stablehlo.while" not in text


def test_layers_are_in_network_order():
    assert list(NET.layer_sizes) == ["stem", "body", "head"]


@pytest.mark.parametrize(
    ("neuron", "sizes"), [("unit", [960, 210, 5]), ("channel", [8, 7, 5])]
)
def test_layer_sizes(neuron, sizes):
    assert list(NETS[neuron].layer_sizes.values()) == sizes


@pytest.mark.parametrize("function", ["means", "counts"])
def test_columns_are_in_network_order_under_jit(variables, thresholds, function):
    arguments = (thresholds,) if function == "counts" else ()
    eager = getattr(NET, function)(variables, IMAGES, *arguments)
    jitted = jax.jit(getattr(NET, function))(variables, IMAGES, *arguments)
    np.testing.assert_allclose(jitted, eager, rtol=1e-5)


def test_calls_alike_are_traced_once(variables, thresholds):
    counts_fn = jax.jit(NET.counts)
    for offset in range(3):
        counts_fn(variables, IMAGES + np.uint8(offset), thresholds + offset)
    assert counts_fn._cache_size() == 1


@pytest.mark.few(3)
@pytest.mark.parametrize("num_devices", [1, 2, 8])
@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_counts_on_any_number_of_devices(variables, thresholds, neuron, num_devices):
    mesh = parallel.data_mesh(jax.devices()[:num_devices])
    placed = parallel.put_batch(mesh, {"image": IMAGES})["image"]
    with jax.set_mesh(mesh):
        counts_fn = jax.jit(NETS[neuron].counts)
        found = counts_fn(parallel.replicate(mesh, variables), placed, thresholds)
    expected = NETS[neuron].counts(variables, IMAGES, thresholds)
    np.testing.assert_array_equal(parallel.to_host(found), expected)


@pytest.mark.few(2)
@pytest.mark.parametrize("function", ["means", "counts"])
@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_devices_exchange_nothing(variables, thresholds, neuron, function):
    mesh = parallel.data_mesh()
    arguments = (thresholds,) if function == "counts" else ()
    placed = parallel.put_batch(mesh, {"image": IMAGES})["image"]
    with jax.set_mesh(mesh):
        function_fn = jax.jit(getattr(NETS[neuron], function))
        whole = parallel.replicate(mesh, (variables, *arguments))
        lowered = function_fn.lower(whole[0], placed, *whole[1:])
    collectives = r"all-gather|all-reduce|all-to-all|collective-permute"
    assert not re.search(collectives, lowered.compile().as_text())


@pytest.mark.few(2)
@pytest.mark.parametrize("size", [1, 5, BATCH])
def test_thresholds_by_any_batching(variables, thresholds, size):
    starts = range(0, BATCH, size)
    batches = [np.arange(start, min(start + size, BATCH)) for start in starts]
    found = _thresholds(NET, variables, IMAGES, batches)
    np.testing.assert_allclose(found, thresholds, rtol=1e-6)


def test_masked_rows_take_no_part(variables, thresholds):
    # Every batch of eight holds three to five pictures, the rest is padding.
    batches = [
        np.r_[0:5, 0, 0, 0],
        np.r_[7, 7, 5:9, 7, 7],
        np.r_[9:13, 1, 1, 1, 1],
        np.r_[2, 2, 2, 2, 2, 13:16],
    ]
    masks = [
        np.isin(np.arange(8), kept)
        for kept in (range(5), range(2, 6), range(4), range(5, 8))
    ]
    found = _thresholds(NET, variables, IMAGES, batches, masks)
    np.testing.assert_allclose(found, thresholds, rtol=1e-6)


def test_masked_rows_may_hold_anything():
    means = np.asarray([[1.0, 2.0], [np.nan, np.inf], [2.0, 4.0]], np.float32)
    state = coverage.init_thresholds(2)
    mask = np.asarray([True, False, True])
    state = coverage.update_thresholds(state, means, mask)
    np.testing.assert_array_equal(coverage.finish_thresholds(state), [1.5, 3.0])


def test_thresholds_on_eight_devices(variables, thresholds):
    mesh = parallel.data_mesh()
    batch = {"image": IMAGES, "mask": MASK}
    placed = parallel.put_batch(mesh, batch)
    whole = parallel.replicate(mesh, variables)
    state = parallel.replicate(mesh, coverage.init_thresholds(3))
    with jax.set_mesh(mesh):
        means = jax.jit(NET.means)(whole, placed["image"])
        update_fn = jax.jit(coverage.update_thresholds)
        state = update_fn(state, means, placed["mask"])
    np.testing.assert_allclose(coverage.finish_thresholds(state), thresholds, rtol=1e-6)


@pytest.mark.few(2)
@pytest.mark.parametrize("num_devices", [1, 8])
@pytest.mark.parametrize("batch_size", [8, 16])
def test_values_that_cancel_keep_their_digits(num_devices, batch_size):
    net = Coverage(Given(), CENTRED)
    images = _cancelling_images()
    mesh = parallel.data_mesh(jax.devices()[:num_devices])
    state = parallel.replicate(mesh, coverage.init_thresholds(1))
    with jax.set_mesh(mesh):
        for start in range(0, BATCH, batch_size):
            rows = images[start : start + batch_size]
            batch = {"image": rows, "mask": np.ones(batch_size, bool)}
            placed = parallel.put_batch(mesh, batch)
            means = jax.jit(net.means)({}, placed["image"])
            state = coverage.update_thresholds(state, means, placed["mask"])
    expected = (images.astype(np.float64) - 127).mean()
    np.testing.assert_allclose(coverage.finish_thresholds(state), [expected], rtol=1e-6)


def test_large_sums_that_cancel_keep_their_digits():
    # Of 12,288 values around 10⁴, in float32, a plain sum keeps three digits.
    half = _RNG.normal(0, 1e4, (2, 6144)).astype(np.float32)
    values = np.concatenate([half, -half], axis=1)
    values[:, 7] += 1.0
    values[:, ::5] = np.roll(values[:, ::5], 3, axis=1)
    expected = [math.fsum(row) / len(row) for row in values.tolist()]
    found = jax.jit(coverage._mean)(values)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("batch_sizes", [[1000], [10_000], [7, 64, 1, 300]])
@pytest.mark.parametrize("spread", [0.1, 1000.0])
def test_ten_thousand_pictures_in_any_batching(batch_sizes, spread):
    rng = np.random.default_rng(1)
    means = rng.normal(1.0, spread, (10_000, 3)).astype(np.float32)
    expected = [math.fsum(column) / len(means) for column in means.T.tolist()]
    np.testing.assert_allclose(_stream(means, batch_sizes), expected, rtol=1e-6)


def test_count_of_pictures_passes_the_integers_of_float32():
    state = coverage.init_thresholds(1)
    state = state.replace(
        count=jnp.int32(2**24), total=jnp.full(1, 3.0 * 2**24, jnp.float32)
    )
    state = coverage.update_thresholds(state, np.full((1, 1), 3, np.float32), [True])
    assert int(state.count) == 2**24 + 1


def test_no_pictures_have_no_thresholds():
    state = coverage.init_thresholds(2)
    state = coverage.update_thresholds(state, np.ones((3, 2), np.float32), [False] * 3)
    with pytest.raises(RequestError, match=r"thresholds: .*found none"):
        coverage.finish_thresholds(state)


def test_outputs_that_are_not_finite_have_no_thresholds():
    means = np.asarray([[1.0, np.inf]], np.float32)
    state = coverage.init_thresholds(2)
    state = coverage.update_thresholds(state, means, [True])
    with pytest.raises(RequestError, match=r"layers number \[2\]; check `weights`"):
        coverage.finish_thresholds(state)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(4, np.float32), r"expected 3 numbers.*from stem to head.*\[4\]"),
        (np.zeros((1, 3), np.float32), r"expected 3 numbers.*\[1, 3\]"),
        ([0.0, np.nan, np.inf], "others for the layers body, head"),
        (["a", "b", "c"], "expected an array of numbers"),
    ],
)
def test_wrong_thresholds_are_refused(variables, wrong, message):
    with pytest.raises(RequestError, match=f"thresholds: .*{message}"):
        NET.counts(variables, IMAGES, wrong)


def test_thresholds_of_another_network_are_refused_under_jit(variables):
    with pytest.raises(RequestError, match=r"thresholds: expected 3 .*found.*\[5\]"):
        jax.jit(NET.counts)(variables, IMAGES, jnp.zeros(5))


def test_right_thresholds_pass_as_float32():
    found = coverage.check_thresholds([0.1, 0.2], ["one", "two"])
    np.testing.assert_array_equal(found, np.asarray([0.1, 0.2], np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "images",
    [IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :-1], [1, 2]],
    ids=["dtype", "rank", "size", "list"],
)
def test_other_images_are_refused(variables, images):
    message = r"images: expected an array uint8 \[batch, 12, 10, 3\]"
    with pytest.raises(RequestError, match=message):
        NET.means(variables, images)


def test_unknown_neuron_is_refused():
    with pytest.raises(RequestError, match=r"`neuron`: .*unit, channel, found 'cell'"):
        Coverage(Net(), PREPROCESSING, "cell")


def test_features_are_shares_of_the_layers():
    found = coverage.features(np.asarray([[480, 21, 5]]), NET.layer_sizes.values())
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, [[0.5, 0.1, 1.0]], rtol=1e-7)


def _temporary_bytes(function, *arguments):
    compiled = jax.jit(function, compiler_options=QUICK).lower(*arguments).compile()
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


@pytest.mark.parametrize("neuron", coverage.NEURONS)
@pytest.mark.parametrize("function", ["means", "counts"])
@pytest.mark.slow
def test_no_output_outlives_its_counting(neuron, function):
    net = Coverage(Deep(), Preprocessing(Framing.square(32)), neuron)
    images = jax.ShapeDtypeStruct((8, 32, 32, 3), jnp.uint8)
    pictures = jax.ShapeDtypeStruct(images.shape, jnp.float32)
    variables = jax.eval_shape(Deep().init, jax.random.key(0), pictures)
    rest = [jax.ShapeDtypeStruct((12,), jnp.float32)] * (function == "counts")
    needed = _temporary_bytes(getattr(net, function), variables, images, *rest)
    one_layer = math.prod((8, 32, 32, 32)) * 4
    assert needed < 2.5 * one_layer


@pytest.mark.parametrize("function", ["means", "counts"])
@pytest.mark.slow
def test_memory_of_a_cpu_does_not_grow_with_the_batch(function):
    net = Coverage(Deep(), Preprocessing(Framing.square(32)))
    pictures = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(Deep().init, jax.random.key(0), pictures)
    rest = [jax.ShapeDtypeStruct((12,), jnp.float32)] * (function == "counts")
    few, many = (
        _temporary_bytes(
            getattr(net, function),
            variables,
            jax.ShapeDtypeStruct((size, 32, 32, 3), jnp.uint8),
            *rest,
        )
        for size in (4, 32)
    )
    # The pictures themselves may be copied.
    assert many < few + 2 * math.prod((32, 32, 32, 3))


def test_examples_in_docstrings():
    found = doctest.testmod(coverage)
    assert found.attempted > 0 and found.failed == 0

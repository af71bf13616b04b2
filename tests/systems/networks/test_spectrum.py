# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.spectrum against NumPy in float64."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import resnet
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import spectrum
from tests.models import QUICK


def _noise(*shape):
    rng = np.random.default_rng(math.prod(shape))
    return rng.integers(0, 256, shape).astype(np.float32)


def _waves(side):
    """A smooth picture: its spectrum spans five orders of magnitude."""
    row, column = np.mgrid[:side, :side] / side
    planes = [np.sin(5 * row + k * column) + np.cos(k * row) for k in (1, 4, 9)]
    return np.floor(63 * (2 + np.stack(planes, -1)))[None].astype(np.float32)


PICTURES = {
    "noise": _noise(2, 64, 64, 3),
    "smooth": _waves(224),
    "odd width": _noise(1, 32, 45, 3),
    "odd height": _noise(1, 33, 20, 2),
    "tiny": _noise(1, 4, 3, 1),
}


def _expected(images):
    """By the paper's recipe, with NumPy."""
    result = np.empty(images.shape)
    for index in np.ndindex(len(images), images.shape[-1]):
        place = index[0], slice(None), slice(None), index[1]
        transformed = np.fft.fft2(images[place].astype(np.float64) / 255)
        values = np.log(np.abs(transformed) + 1e-3)
        low, high = np.percentile(values, [5, 95])
        result[place] = np.clip(2 * ((values - low) / (high - low) - 0.5), -1, 1)
    return result


@functools.cache
def _compiled():
    return jax.jit(spectrum.spectrum, compiler_options=QUICK)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", PICTURES)
def test_spectrum_equals_numpy(name):
    images = PICTURES[name]
    found = _compiled()(images)
    np.testing.assert_allclose(found, _expected(images), atol=1e-3)


@pytest.mark.parametrize("width", [8, 9])
@pytest.mark.parametrize("decimals", [0, 7], ids=["ties", "no ties"])
@pytest.mark.slow
def test_percentiles_of_whole_spectra_by_their_halves(width, decimals):
    rng = np.random.default_rng(width)
    half = rng.normal(0, 3, (2, 3, 11, width // 2 + 1)).round(decimals)
    half = half.astype(np.float32)
    whole = np.concatenate([half, half[..., 1 : (width + 1) // 2]], axis=-1)
    found = spectrum._half_percentiles(jnp.asarray(half), width)
    expected = np.percentile(whole.astype(np.float64), [5, 95], axis=(2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 77, 255])
def test_picture_of_one_colour_has_a_spectrum(value):
    found = np.array(_compiled()(np.full((1, 64, 64, 3), value, np.float32)))
    assert (found[:, 0, 0] == (1 if value else -1)).all()
    found[:, 0, 0] = -1
    assert (found == -1).all()


def test_channels_do_not_mix():
    images = _noise(1, 16, 16, 3)
    swapped = _compiled()(images[..., ::-1])
    np.testing.assert_allclose(swapped[..., ::-1], _compiled()(images), atol=1e-5)


def test_one_picture_does_not_change_another():
    images = _noise(3, 16, 16, 3)
    alone = _compiled()(images[1:2])
    np.testing.assert_allclose(_compiled()(images)[1:2], alone, atol=1e-5)


def test_central_crop():
    images = _noise(2, 256, 256, 3)
    found = spectrum.crop(images, spectrum.CROP)
    np.testing.assert_array_equal(found, images[:, 16:240, 16:240])


def test_random_crops_reach_every_place():
    # Each pixel holds its own place.
    picture = np.stack(np.mgrid[:6, :7], -1)
    images = jnp.asarray(np.broadcast_to(picture, (400, 6, 7, 2)))
    crops = np.asarray(spectrum.crop(images, 4, jax.random.key(0)))
    corners = crops[:, :1, :1]
    np.testing.assert_array_equal(crops, corners + picture[:4, :4])
    expected = {(row, column) for row in range(3) for column in range(4)}
    assert set(map(tuple, corners[:, 0, 0].tolist())) == expected


def test_random_crops_depend_on_the_key_alone():
    images = _noise(4, 40, 40, 3)
    one, same, other = (
        spectrum.crop(jnp.asarray(images), 16, jax.random.key(seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.slow
def test_spectrum_of_a_random_crop_is_cut_along_the_batch():
    mesh = parallel.data_mesh()
    images = _noise(8, 24, 24, 3)

    def prepare(images):
        return spectrum.spectrum(spectrum.crop(images, 16, jax.random.key(0)))

    with jax.set_mesh(mesh):
        placed = parallel.put_batch(mesh, {"image": images})["image"]
        compiled = jax.jit(prepare).lower(placed).compile(QUICK)
        found = compiled(placed)
    assert "all-gather" not in compiled.as_text()
    np.testing.assert_allclose(found, prepare(jnp.asarray(images)), atol=1e-5)


IMAGES = jax.ShapeDtypeStruct((2, *spectrum.PREPROCESSING.framing.shape), jnp.float32)


def _init(dtype=jnp.float32):
    model = spectrum.AutoGanNet(2, dtype)
    return model, jax.eval_shape(model.init, jax.random.key(0), IMAGES)


def test_parameters_of_the_network():
    params = _init()[1]["params"]
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == 21_285_698


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_shapes_and_dtypes_of_the_network(dtype):
    model, variables = _init(dtype)
    logits, out = jax.eval_shape(model.apply, variables, IMAGES)
    assert (logits.shape, logits.dtype) == ((2, 2), jnp.float32)
    assert (out["spectrum"].shape, out["spectrum"].dtype) == (
        (2, 224, 224, 3),
        jnp.float32,
    )
    assert (out["conv1"].shape, out["conv1"].dtype) == ((2, 112, 112, 64), dtype)


@functools.cache
def _network():
    """The network on weights of its own, as functions of pictures and of a key."""
    model, shapes = _init()
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0, 0.1, leaf.shape), jnp.float32), shapes
    )

    def train(images, key):
        (_, out), _ = model.apply(
            variables,
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        return out["spectrum"]

    def test(images):
        return model.apply(variables, images)[1]["spectrum"]

    return jax.jit(train, compiler_options=QUICK), jax.jit(test, compiler_options=QUICK)


def test_network_looks_at_the_centre_in_tests():
    images = _noise(1, 256, 256, 3)
    expected = _compiled()(images[:, 16:240, 16:240])
    np.testing.assert_allclose(_network()[1](images), expected, atol=1e-5)


def test_network_crops_at_random_in_training():
    train, images = _network()[0], _noise(1, 256, 256, 3)
    one, same, other = (train(images, jax.random.key(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def _resnet_variables(depth):
    model = resnet.ResNet(depth)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


def test_a_start_from_a_resnet_fits_the_network():
    fresh, pretrained = _init()[1], _resnet_variables(34)
    started = spectrum.DETECTOR.start_from(fresh, pretrained)
    assert jax.tree.structure(started) == jax.tree.structure(fresh)
    conv1 = pretrained["params"]["conv1"]
    assert started["params"]["resnet"]["conv1"] is conv1


def test_a_start_from_another_depth_is_refused():
    with pytest.raises(RequestError, match="`weights`"):
        spectrum.DETECTOR.start_from(_init()[1], _resnet_variables(50))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.traces on eight devices."""

import contextlib
import doctest

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from fakedet_jax import systems
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import amtennet, traces
from tests.models import QUICK

BATCH, HEIGHT, WIDTH = 16, 10, 13
FEATURES = {
    "conv1": (3, 3),
    "conv2": (3, 3),
    "conv3": (3, 3),
    "conv4": (6, 6),
    "conv5": (6, 6),
}
_RNG = np.random.default_rng(0)
IMAGES = _RNG.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), dtype=np.uint8)
EXTRACTOR = {
    name: {
        "kernel": _RNG.normal(0, 0.2, (3, 3, *sizes)).astype(np.float32),
        "bias": _RNG.normal(size=sizes[1]).astype(np.float32),
    }
    for name, sizes in FEATURES.items()
}
VARIABLES = {"params": {"amten": EXTRACTOR}}


def _scipy_conv(name, planes):
    """A layer on `[height, width, in_features]`, in float64."""
    kernel, bias = (EXTRACTOR[name][key].astype(np.float64) for key in EXTRACTOR[name])
    padded = np.pad(planes.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    return np.stack(
        [
            scipy.signal.correlate(padded, kernel[..., feature], "valid")[..., 0]
            + bias[feature]
            for feature in range(len(bias))
        ],
        axis=-1,
    )


def _scipy_traces(image):
    """F_mt (RGB) and F_reu of one picture."""
    blue_first = image[..., ::-1].astype(np.float64)
    trace = _scipy_conv("conv1", blue_first) - blue_first
    higher = _scipy_conv("conv3", _scipy_conv("conv2", trace))
    both = np.concatenate([higher, trace], axis=-1)
    higher = _scipy_conv("conv5", _scipy_conv("conv4", both))
    return trace[..., ::-1], np.concatenate([higher, both], axis=-1)


@pytest.fixture(scope="module")
def whole():
    """F_mt of all pictures, by `jit_extract`."""
    return np.asarray(traces.jit_extract(VARIABLES, IMAGES))


@pytest.fixture(scope="module")
def whole_reused():
    """F_reu of all pictures, by `jit_extract`."""
    return np.asarray(traces.jit_extract(VARIABLES, IMAGES, reused=True))


def _assert_equal(found, expected):
    """To float32 rounding."""
    expected = np.asarray(expected)
    atol = 1e-6 * np.max(np.abs(expected), initial=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol)


def test_trace_equals_scipy(whole):
    assert whole.dtype == np.float32
    _assert_equal(whole[3], _scipy_traces(IMAGES[3])[0])


def test_reused_trace_equals_scipy(whole_reused):
    assert whole_reused.dtype == np.float32
    _assert_equal(whole_reused[3], _scipy_traces(IMAGES[3])[1])


def test_trace_has_the_channels_of_the_picture():
    # A predictor of nothing leaves the picture, with the other sign.
    nothing = jax.tree.map(np.zeros_like, VARIABLES)
    np.testing.assert_array_equal(
        traces.jit_extract(nothing, IMAGES), -IMAGES.astype(np.float32)
    )


def test_reused_trace_ends_with_the_trace_blue_first(whole, whole_reused):
    _assert_equal(whole_reused[..., 9:], whole[..., ::-1])


@pytest.mark.slow
def test_eager_equals_jit(whole):
    _assert_equal(traces.extract(VARIABLES, IMAGES), whole)


@pytest.mark.parametrize(
    "variables",
    [
        {"params": EXTRACTOR},
        {"params": {"amten": EXTRACTOR, "base": {"fc1": np.zeros(3)}}},
        {"params": {"amten": EXTRACTOR}, "batch_stats": {"base": np.zeros(3)}},
    ],
    ids=["extractor", "network", "statistics"],
)
@pytest.mark.parametrize("function", [traces.jit_extract, traces.pmap_extract])
def test_accepted_variables(function, variables, whole):
    _assert_equal(function(variables, IMAGES), whole)


FUNCTIONS = [
    traces.extract,
    traces.extract_reused,
    traces.jit_extract,
    traces.pmap_extract,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"params": {"conv": EXTRACTOR}}, r"\['conv'\]"),
        ({"amten": EXTRACTOR}, r"\['amten'\]"),
        ({"params": {"amten": {}}}, r"\['amten'\]"),
        ({}, r"\[\]"),
        (None, "NoneType"),
    ],
)
def test_foreign_variables_are_refused(function, variables, found):
    with pytest.raises(RequestError, match=rf"expected those of an .*found {found}"):
        function(variables, IMAGES)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "images",
    [IMAGES.astype(np.float32), IMAGES[0], IMAGES[..., :1], [[1]]],
    ids=["float", "one", "grey", "list"],
)
def test_foreign_images_are_refused(function, images):
    with pytest.raises(RequestError, match=r"images: expected a uint8 array"):
        function(VARIABLES, images)


@pytest.mark.parametrize("num_images", [16, 11, 3, 0])
def test_pmap_equals_jit(num_images, whole):
    found = traces.pmap_extract(VARIABLES, IMAGES[:num_images])
    assert found.shape == (num_images, HEIGHT, WIDTH, 3)
    _assert_equal(found, whole[:num_images])


def test_pmap_of_the_reused_trace_equals_jit(whole_reused):
    found = traces.pmap_extract(VARIABLES, IMAGES, reused=True)
    _assert_equal(found, whole_reused)


def test_pmap_takes_the_devices_that_are_given(whole):
    devices = jax.devices()[3:5]
    found = traces.pmap_extract(VARIABLES, IMAGES, devices)
    assert found.sharding.device_set == set(devices)
    _assert_equal(found, whole)


def test_pmap_of_a_device_array_equals_jit(whole):
    found = traces.pmap_extract(VARIABLES, jnp.asarray(IMAGES[:11]))
    _assert_equal(found, whole[:11])


def test_pmap_leaves_the_traces_on_their_devices():
    found = traces.pmap_extract(VARIABLES, IMAGES)
    shapes = {shard.data.shape for shard in found.addressable_shards}
    assert (len(found.sharding.device_set), shapes) == (8, {(2, HEIGHT, WIDTH, 3)})


@pytest.fixture(scope="module")
def sharded():
    """The mesh and the pictures, cut along it."""
    mesh = parallel.data_mesh()
    return mesh, parallel.put_batch(mesh, {"image": IMAGES})["image"]


def test_sharded_equals_the_whole(sharded, whole):
    mesh, images = sharded
    with jax.set_mesh(mesh):
        found = traces.jit_extract(VARIABLES, images)
    assert found.sharding.is_equivalent_to(images.sharding, images.ndim)
    _assert_equal(found, whole)


def test_sharded_gathers_nothing(sharded):
    mesh, images = sharded
    with jax.set_mesh(mesh):
        compiled = (
            jax.jit(traces.extract_reused).lower(VARIABLES, images).compile(QUICK)
        )
    assert "all-gather" not in compiled.as_text()


def test_vmap_equals_a_loop(whole):
    images = IMAGES.reshape(2, 8, *IMAGES.shape[1:])
    extract = jax.vmap(traces.extract, in_axes=(None, 0))
    found = jax.jit(extract, compiler_options=QUICK)(VARIABLES, images)
    _assert_equal(found.reshape(whole.shape), whole)


def test_accelerators_multiply_in_full_float32():
    jaxpr = str(jax.make_jaxpr(traces.extract_reused)(VARIABLES, IMAGES))
    assert "Precision.HIGHEST" in jaxpr and "precision=None" not in jaxpr


@contextlib.contextmanager
def _count_compilations():
    """A list that grows with each compilation."""
    compilations = []

    def listen(event, duration, **_):
        del duration
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compilations
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("function", [traces.jit_extract, traces.pmap_extract])
def test_repeated_calls_compile_once(function):
    images = np.zeros((8, 7, 9, 3), np.uint8)  # of no other test
    with _count_compilations() as compilations:
        function(VARIABLES, images)
        first = len(compilations)
        for value in range(3):
            function(VARIABLES, images + np.uint8(value))
    assert first > 0 and len(compilations) == first


def test_example_in_the_documentation():
    found = doctest.testmod(traces)
    assert found.attempted > 0 and found.failed == 0


def test_a_network_without_an_extractor_has_no_traces():
    framing = amtennet.PREPROCESSING.framing
    assert traces.features({"params": {"base": {}}}, framing) == {}
    assert systems.create("meso4").features is None

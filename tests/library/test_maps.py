# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.library.maps, through detectors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fakedet_jax as fd
from fakedet_jax.errors import ImageError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.library.maps import MapMaker
from fakedet_jax.systems.features import Feature
from tests import tiny
from tests.data.pictures import colourful


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    root = tmp_path_factory.mktemp("maps")
    data_dir = tiny.write_pictures(root / "pictures")
    workdir = tiny.fit(
        data_dir, root / "workdir", detector="plain", recipe={"num_epochs": 1}
    )
    with tiny.registered():
        return fd.load(workdir)


def _pictures(count):
    return np.stack([colourful(tiny.SIZE, tiny.SIZE, seed) for seed in range(count)])


def test_occlusion_is_the_difference_of_two_calls(detector):
    pictures = _pictures(3)
    found = detector.maps(pictures).occlusion
    assert found.shape == (3, 8, 8)
    covered = pictures.copy()
    means = np.round(pictures.mean((1, 2), keepdims=True))
    covered[:, 4:6, 10:12] = means  # 16 pixels are 8 cells of 2.
    lost = detector.log_odds(pictures) - detector.log_odds(covered)
    assert detector.info.calibration.kind == "none"
    np.testing.assert_allclose(found[:, 2, 5], lost, atol=1e-5)


def test_gradient_times_input_predicts_small_changes(detector):
    pictures = _pictures(2)
    found = detector.maps(pictures).gradient
    assert found.shape == (2, tiny.SIZE, tiny.SIZE)
    fitted = detector._fitted
    step = 1e-3

    def odds(images):
        values = fitted.log_probability_fn(fitted.variables, jnp.asarray(images))
        return log_odds.of_classes(np.asarray(values), fitted.info.is_fake)

    # A slightly darker picture: every pixel changes in proportion to itself.
    low, high = (odds(pictures * np.float32(1 + sign * step)) for sign in (-1, 1))
    slope = (high - low) / (2 * step)
    np.testing.assert_allclose(found.sum((1, 2)), slope, rtol=0.05, atol=0.02)


def test_any_number_of_pictures_takes_one_program(detector):
    pictures = _pictures(20)
    traced = []

    def noted(variables, images):
        traced.append(images.shape)
        return detector._fitted.log_probability_fn(variables, images)

    fitted = dataclasses.replace(detector._fitted, log_probability_fn=noted)
    maker = MapMaker(fitted, detector._mesh)
    whole = maker(pictures)
    num_traced = len(traced)
    part = maker(pictures[:3])
    assert len(traced) == num_traced > 0
    np.testing.assert_array_equal(part.occlusion, whole.occlusion[:3])
    np.testing.assert_array_equal(part.gradient, whole.gradient[:3])
    assert whole.occlusion.shape[0] == 20


def test_traces_are_the_feature_of_that_name(detector):
    def traces(request):
        assert request.mesh == detector._mesh
        return Feature(
            compute=jax.jit(lambda images: images.astype(jnp.float32) - 7),
            row_shape=(tiny.SIZE, tiny.SIZE, 3),
            dtype=np.dtype(np.float32),
            layers=("trace",),
        )

    fitted = dataclasses.replace(detector._fitted, features={"traces": traces})
    pictures = _pictures(18)
    found = MapMaker(fitted, detector._mesh)(pictures)
    np.testing.assert_array_equal(found.traces, pictures.astype(np.float32) - 7)


def test_a_network_has_the_maps_of_its_kind(detector):
    found = detector.maps(_pictures(1))
    assert found.traces is None
    assert found.layers is None


def test_a_picture_that_cannot_be_used_is_named(detector, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        detector.maps(path)


def test_pictures_of_any_size_are_framed_as_for_their_scores(detector):
    large = colourful(40, 50, 3)
    framed = detector._frame(("large", large))[0]
    np.testing.assert_array_equal(
        detector.maps(large).occlusion, detector.maps(framed).occlusion
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.codecs, against OpenCV."""

import cv2
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import codecs
from tests.data.pictures import colourful
from tests.perturb import samples


@pytest.mark.parametrize("quality", [90, 50, 10])
def test_the_jpeg_is_nearly_that_of_opencv(quality):
    picture = colourful(65, 90)
    flags = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ]
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], flags)
    expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
    difference = np.abs(codecs.jpeg(picture, quality).astype(int) - expected)
    # Two builds of the same library, with other rounding of the colours.
    assert difference.mean() < 0.5


def test_colour_has_half_the_resolution():
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, ::2, 0] = 255
    picture[:, 1::2, 2] = 255
    # Red and blue columns of one pixel become one colour between both.
    compressed = codecs.jpeg(picture, 100).astype(int)
    assert compressed[..., 0].std() < 40


@pytest.mark.parametrize("size", samples.SIZES)
def test_the_size_stays(size):
    compressed = codecs.jpeg(samples.random(*size), 50)
    assert compressed.shape == (*size, 3)
    assert compressed.dtype == np.uint8


def test_less_quality_is_further_from_the_picture():
    picture = colourful(64, 64)
    errors = [
        np.abs(codecs.jpeg(picture, quality).astype(int) - picture).mean()
        for quality in (100, 90, 70, 50, 30, 10, 1)
    ]
    assert errors == sorted(errors)
    assert errors[0] < errors[-1]


def test_quality_zero_is_the_worst_and_not_the_default():
    picture = samples.random(32, 32)
    worst = codecs.jpeg(picture, 1)
    np.testing.assert_array_equal(codecs.jpeg(picture, 0), worst)
    assert (codecs.jpeg(picture, 75) != worst).any()


@pytest.mark.parametrize("quality", [-1, 101])
def test_a_quality_off_the_scale_is_refused(quality):
    with pytest.raises(RequestError, match=f"from 0 to 100, found {quality}"):
        codecs.jpeg(samples.random(8, 8), quality)


@pytest.mark.parametrize("size", samples.SIZES)
def test_jpeg2000_keeps_the_size(size):
    compressed = codecs.jpeg2000(samples.random(*size), 4)
    assert compressed.shape == (*size, 3)
    assert compressed.dtype == np.uint8


def test_a_higher_ratio_is_further_from_the_picture():
    picture = samples.random(64, 64)
    errors = [
        np.abs(codecs.jpeg2000(picture, ratio).astype(int) - picture).mean()
        for ratio in (1.5, 2, 4, 8, 100)
    ]
    assert errors == sorted(errors)
    assert errors[0] < errors[-1]


def test_the_jpeg2000_is_nearly_that_of_opencv():
    picture = colourful(65, 90)
    # OpenCV counts thousandths of the picture's size.
    flags = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 125]
    _, encoded = cv2.imencode(".jp2", picture[..., ::-1], flags)
    expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
    difference = np.abs(codecs.jpeg2000(picture, 8).astype(int) - expected)
    assert difference.mean() < 2


@pytest.mark.parametrize("ratio", [0.5, 1001, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(RequestError, match=f"ratio from 1 to 1000, found {ratio:g}"):
        codecs.jpeg2000(samples.random(8, 8), ratio)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from fakedet_jax.synthetic_faces import camera


def _noise(iso: int) -> float:
    body = camera.BODIES[0]
    grey = np.full((64, 64, 3), camera.MIDDLE_GREY, np.float32)
    raw = camera.sense(grey, iso, body, np.random.default_rng(0))
    return float(raw[1::2, ::2].std())  # one of the two greens


def test_noise_rises_with_iso():
    noise = [_noise(iso) for iso in (400, 1600, 6400)]
    # Shot noise: four times the ISO is twice the noise, with read noise a little more.
    ratios = np.divide(noise[1:], noise[:-1])
    assert np.all((ratios > 1.9) & (ratios < 2.6))


def test_noise_at_middle_grey_is_that_of_the_electrons():
    body = camera.BODIES[0]
    electrons = body.full_well / 16  # ISO 1600
    expected = np.sqrt(camera.MIDDLE_GREY * electrons + body.read_noise**2) / electrons
    assert _noise(1600) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    "phase, code",
    [
        ((0, 0), cv2.COLOR_BayerRGGB2RGB),
        ((0, 1), cv2.COLOR_BayerGRBG2RGB),
        ((1, 0), cv2.COLOR_BayerGBRG2RGB),
        ((1, 1), cv2.COLOR_BayerBGGR2RGB),
    ],
)
def test_bilinear_demosaicing_equals_opencv(phase, code):
    mosaic = np.random.default_rng(1).integers(0, 256, (32, 32), np.uint8)
    ours = camera.demosaic_bilinear(mosaic.astype(np.float32), phase)
    theirs = cv2.cvtColor(mosaic, code)
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(ours[inner] - theirs[inner]).max() <= 0.75  # OpenCV rounds


@pytest.mark.parametrize("demosaic", ["bilinear", "gradient"])
@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_demosaicing_is_exact_on_an_even_colour(demosaic, phase):
    colour = np.array([0.2, 0.5, 0.8], np.float32)
    mosaic = np.empty((16, 16), np.float32)
    for channel, rows, columns in camera._filters(phase):
        mosaic[rows, columns] = colour[channel]
    function = getattr(camera, f"demosaic_{demosaic}")
    if demosaic == "gradient":
        # Its corrections vanish only where the colours are equal.
        mosaic[:], colour[:] = 0.5, 0.5
    np.testing.assert_allclose(
        function(mosaic, phase), np.broadcast_to(colour, (16, 16, 3)), atol=1e-6
    )


def test_gradient_demosaicing_is_exact_on_a_grey_ramp():
    ramp = np.add.outer(np.arange(16), 2 * np.arange(16)).astype(np.float32)
    picture = camera.demosaic_gradient(ramp, (0, 0))[3:-3, 3:-3]
    expected = np.repeat(ramp[3:-3, 3:-3, None], 3, axis=-1)
    np.testing.assert_allclose(picture, expected, atol=1e-4)


@pytest.mark.parametrize("body", camera.BODIES, ids=lambda body: body.model)
def test_white_balance_makes_grey_things_grey(body):
    illuminant = np.array([1.2, 1, 0.7], np.float32)
    light = np.broadcast_to(illuminant * np.float32(0.2), (32, 32, 3))
    raw = camera.sense(light, 100, body, np.random.default_rng(0))
    balance = 1 / (illuminant * np.array(body.sensitivity, np.float32))
    means = camera.develop(raw, balance, body).mean(axis=(0, 1))
    assert np.ptp(means) < 1.5


def test_srgb_is_the_standard_curve():
    # IEC 61966-2-1: 18 % grey is 0.4614, the linear part has slope 12.92.
    values = camera.srgb(np.array([-0.1, 0.0, 0.001, 0.18, 1.0], np.float32))
    np.testing.assert_allclose(values, [0, 0, 0.01292, 0.4614, 1], atol=1e-4)


def test_settings_suit_some_natural_light():
    rng = np.random.default_rng(0)
    drawn = [camera.sample_settings(rng) for _ in range(300)]
    values = [camera.exposure_value(settings) for settings in drawn]
    assert min(values) >= 1 and max(values) <= 14.5


def test_every_setting_is_used():
    rng = np.random.default_rng(0)
    drawn = [camera.sample_settings(rng) for _ in range(500)]
    assert {settings.iso for settings in drawn} == set(camera.ISOS)
    assert {settings.f_number for settings in drawn} == set(camera.F_NUMBERS)
    assert {settings.shutter for settings in drawn} == set(camera.SHUTTERS)
    assert {settings.focal_length for settings in drawn} == set(camera.FOCAL_LENGTHS)


def test_exposure_value_of_the_sunny_sixteen_rule():
    # ISO 100, f/16, 1/125 s is bright sun: EV 15 (14.97 with the rounded shutter).
    settings = camera.Settings(iso=100, f_number=16, shutter=125, focal_length=50)
    assert camera.exposure_value(settings) == pytest.approx(14.97, abs=0.01)

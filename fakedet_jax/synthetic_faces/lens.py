# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Simulates a lens: defocus, diffraction, distortion, colour fringes, vignetting.

Motion blur is applied here too. Lengths on the sensor are in pixels of the picture.
"""

import math

import numpy as np
import numpy.typing as npt

from fakedet_jax.media.resampling import bilinear
from fakedet_jax.synthetic_faces.scene import SCENE_EXTENT, SCENE_SIZE, Scene
from fakedet_jax.synthetic_faces.texture import Array

PICTURE_SIZE = 128
"""Side of the sensor and of every picture, in pixels."""


def defocus_diameter(f_number: float) -> float:
    """Diameter of the background's blur circle in pixels."""
    return 32.0 / f_number


def motion_length(exposure_time: float) -> float:
    """Length of the motion blur in pixels, for an exposure time in seconds.

    A hand drifts like a random walk, so the length grows more slowly than the time.
    """
    return 8.0 * (exposure_time * 8) ** 0.6


def distortion(focal_length: float) -> float:
    """Coefficient k of r' = r (1 + k r²): barrel below 0, pincushion above.

    Radii are in half widths of the frame, focal lengths in millimetres; the range of k
    is that of simple zoom lenses.
    """
    return 0.075 * math.log2(focal_length / 70)


def colour_fringe(focal_length: float) -> float:
    """Relative magnification of red over green, and of green over blue."""
    return -0.012 * math.log2(focal_length / 60)


def vignetting(f_number: float) -> Array:
    """Fraction of the light that reaches each pixel.

    Args:
        f_number: Aperture as an f-number.

    Returns:
        float32 `[PICTURE_SIZE, PICTURE_SIZE]` in (0, 1].
    """
    x, y = _sensor_grid()
    strength = 0.08 + 0.95 / f_number
    return 1 / (1 + np.float32(strength) * 0.55 * (x * x + y * y))


def through_lens(
    scene: Scene, f_number: float, motion: float, direction: float
) -> Array:
    """Blurs the light of a scene.

    The background is defocused; then motion, diffraction and the size of the photosites
    blur the whole scene.

    Args:
        scene: The scene.
        f_number: Aperture as an f-number.
        motion: Length of the motion blur in pixels.
        direction: Direction of the motion in radians.

    Returns:
        Linear light, float32 `[SCENE_SIZE, SCENE_SIZE, 3]`.
    """
    fx = np.fft.rfftfreq(SCENE_SIZE).astype(np.float32)[None]
    fy = np.fft.fftfreq(SCENE_SIZE).astype(np.float32)[:, None]
    scale = SCENE_SIZE / (PICTURE_SIZE * SCENE_EXTENT)  # Scene pixels per photosite.
    frequency = np.sqrt(fx * fx + fy * fy)
    shape = (SCENE_SIZE, SCENE_SIZE)

    behind = np.moveaxis(scene.background, -1, 0)
    circle = _disc_transfer(defocus_diameter(f_number) * scale)
    behind = np.fft.irfft2(np.fft.rfft2(behind) * circle, s=shape)
    front = np.moveaxis(scene.subject, -1, 0)
    light = front + (1 - scene.alpha) * behind

    transfer = np.sinc(fx * scale) * np.sinc(fy * scale)
    along = fx * np.float32(math.cos(direction)) + fy * np.float32(math.sin(direction))
    transfer *= np.sinc(along * np.float32(motion * scale))
    # Diffraction and the softness of a wide-open lens, both as Gaussians.
    sigma = scale * math.hypot(0.055 * f_number, 0.9 / f_number)
    transfer *= np.exp(-2 * (math.pi * sigma * frequency) ** 2)
    light = np.fft.irfft2(np.fft.rfft2(light) * transfer.astype(np.float32), s=shape)
    return np.moveaxis(np.maximum(light, 0), 0, -1)


def _disc_transfer(diameter: float) -> Array:
    """Transfer function of a uniform disc, `[SCENE_SIZE, SCENE_SIZE // 2 + 1]`."""
    axis = np.fft.fftfreq(SCENE_SIZE, 1 / SCENE_SIZE).astype(np.float32)
    distance = np.sqrt(axis[None] ** 2 + axis[:, None] ** 2)
    disc = np.clip(diameter / 2 - distance + 0.5, 0, 1)
    disc /= disc.sum()
    return np.fft.rfft2(disc).real.astype(np.float32)


def onto_sensor(light: Array, focal_length: float) -> Array:
    """Applies distortion and colour fringes to the light of a scene.

    Args:
        light: float32 `[SCENE_SIZE, SCENE_SIZE, 3]`.
        focal_length: Focal length in millimetres.

    Returns:
        float32 `[PICTURE_SIZE, PICTURE_SIZE, 3]`.
    """
    x, y = _sensor_grid()
    radius2 = x * x + y * y
    picture = np.empty((PICTURE_SIZE, PICTURE_SIZE, 3), np.float32)
    for channel in range(3):
        bend = _bend(radius2, focal_length)
        bend = bend * np.float32(1 - (1 - channel) * colour_fringe(focal_length))
        plane = np.ascontiguousarray(light[..., channel])
        picture[..., channel] = bilinear(
            plane, _scene_index(x * bend), _scene_index(y * bend)
        )
    return picture


def _bend(radius2: npt.NDArray, focal_length: float) -> npt.NDArray:
    """Factor that maps a position on the sensor to the position of its light.

    It is 1 in the middle of the sides, which keeps the corners inside the rendered
    scene.
    """
    k = -distortion(focal_length)
    return (1 + k * radius2) / (1 + k)


def frame_to_pixels(points: npt.NDArray, focal_length: float) -> npt.NDArray:
    """Maps points of the frame to the pixels where they are seen.

    Args:
        points: Frame coordinates (x, y), floating-point `[n, 2]`.
        focal_length: Focal length in millimetres.

    Returns:
        (x, y) in pixels, `[n, 2]`; pixel centres are at whole numbers, from 0.
    """
    seen = points.copy()
    for _ in range(6):
        radius2 = np.sum(seen**2, axis=1, keepdims=True)
        seen = points / _bend(radius2, focal_length)
    return (seen + 1) * (PICTURE_SIZE / 2) - 0.5


def _sensor_grid() -> tuple[Array, Array]:
    axis = (np.arange(PICTURE_SIZE, dtype=np.float32) + 0.5) * (2 / PICTURE_SIZE) - 1
    return axis[None], axis[:, None]


def _scene_index(frame: Array) -> Array:
    return (frame / SCENE_EXTENT + 1) * (SCENE_SIZE / 2) - 0.5

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Simulates a camera, from the light of a scene to an 8-bit picture.

Every step is a pure function of arrays, parameters and a random generator. Each of the
four settings that cameras write into their files affects the picture differently:

* ISO: gain, and with it shot and read noise,
* aperture: defocus of the background, diffraction, vignetting,
* exposure time: length of the motion blur,
* focal length: radial distortion, colour fringes, perspective and field of view (the
  last two in `scene.render`).

References:
    Bayer, U.S. patent 3,971,065 (colour filter array).
    Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of
    Bayer-patterned color images", ICASSP 2004 (the `gradient` demosaicing).
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from fakedet_jax.synthetic_faces.lens import (
    PICTURE_SIZE,
    frame_to_pixels,
    motion_length,
    onto_sensor,
    through_lens,
    vignetting,
)
from fakedet_jax.synthetic_faces.scene import Scene
from fakedet_jax.synthetic_faces.texture import Array

MIDDLE_GREY = 0.17
"""Linear value at which the light meter aims."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Camera settings that the photographer chooses.

    Attributes:
        iso: Sensitivity as an ISO number.
        f_number: Aperture as an f-number.
        shutter: Reciprocal of the exposure time in seconds.
        focal_length: Focal length in millimetres on 24 × 36 mm film.
    """

    iso: int
    f_number: float
    shutter: int
    focal_length: int

    @property
    def exposure_time(self) -> float:
        """Exposure time in seconds."""
        return 1 / self.shutter


@dataclasses.dataclass(frozen=True)
class Body:
    """A camera model: effects of its sensor and firmware on every picture.

    Attributes:
        make: Manufacturer, as written into files.
        model: Model, as written into files.
        phase: Row and column of the first red filter, each 0 or 1.
        demosaic: `bilinear` or `gradient`.
        full_well: Electrons that saturate a photosite at ISO 100.
        read_noise: Standard deviation of the read noise in electrons.
        sensitivity: Response of the red, green and blue photosites to white light.
        contrast: Slope of the tone curve at middle grey.
        sharpening: Strength of the firmware's unsharp mask.
    """

    make: str
    model: str
    phase: tuple[int, int]
    demosaic: str
    full_well: float
    read_noise: float
    sensitivity: tuple[float, float, float]
    contrast: float
    sharpening: float


# The makers are invented, so pictures say nothing about real products.
BODIES = (
    Body(
        "Aperta", "Aperta R5", (0, 0), "gradient", 22000, 6.4, (0.55, 1, 0.68), 1.0, 0
    ),
    Body(
        "Aperta", "Aperta C2", (0, 1), "bilinear", 17000, 8.0, (0.5, 1, 0.62), 1.1, 0.3
    ),
    Body(
        "Lumora", "Lumora 40", (1, 0), "bilinear", 20000, 7.2, (0.6, 1, 0.6), 1.05, 0.2
    ),
    Body(
        "Lumora", "Lumora X", (1, 1), "gradient", 25000, 5.6, (0.5, 1, 0.7), 0.95, 0.1
    ),
    Body(
        "Oculis", "Oculis S1", (0, 0), "bilinear", 19000, 7.2, (0.52, 1, 0.65), 1.1, 0.1
    ),
)

ISOS = (100, 200, 400, 800, 1600, 3200, 6400)
F_NUMBERS = (1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
SHUTTERS = (500, 250, 125, 60, 30, 15, 8)
FOCAL_LENGTHS = (24, 28, 35, 50, 70, 85, 105, 135)

_DARKEST, _BRIGHTEST = 1.0, 14.5  # Exposure values of candle light and sunshine.


@dataclasses.dataclass(frozen=True)
class Exposure:
    """The light on the sensor before it is measured, and the position of the face.

    Attributes:
        light: Linear light, float32 `[PICTURE_SIZE, PICTURE_SIZE, 3]`; middle grey at
            `MIDDLE_GREY`, tinted by the illuminant.
        illuminant: Colour of white objects in `light`, float32 `[3]`, green is 1.
        landmarks: (x, y) of the landmarks in pixels, float32 `[5, 2]`.
        box: Left, top, right, bottom of the face in pixels, float32 `[4]`.
    """

    light: Array
    illuminant: Array
    landmarks: Array
    box: Array


def sample_settings(rng: np.random.Generator) -> Settings:
    """Draws settings that expose a portrait correctly in some natural light."""
    while True:
        settings = Settings(
            iso=ISOS[rng.integers(len(ISOS))],
            f_number=F_NUMBERS[rng.integers(len(F_NUMBERS))],
            shutter=SHUTTERS[rng.integers(len(SHUTTERS))],
            focal_length=FOCAL_LENGTHS[rng.integers(len(FOCAL_LENGTHS))],
        )
        if _DARKEST <= exposure_value(settings) <= _BRIGHTEST:
            return settings


def exposure_value(settings: Settings) -> float:
    """Exposure value (ISO 100) of a scene that suits the settings."""
    triangle = settings.f_number**2 * settings.shutter * 100 / settings.iso
    return math.log2(triangle)


def photograph(
    scene: Scene, settings: Settings, body: Body, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], Exposure]:
    """Takes a picture.

    Args:
        scene: The scene, rendered for the focal length of `settings`.
        settings: Camera settings.
        body: Camera model.
        rng: Generator of motion, illuminant, exposure error and noise.

    Returns:
        The picture before compression, uint8 `[PICTURE_SIZE, PICTURE_SIZE, 3]`, and
        the light on the sensor.
    """
    exposure = expose(scene, settings, rng)
    raw = sense(exposure.light, settings.iso, body, rng)
    balance = _white_balance(exposure.illuminant, body, rng)
    return develop(raw, balance, body), exposure


def expose(scene: Scene, settings: Settings, rng: np.random.Generator) -> Exposure:
    """Projects the light of a scene through the lens onto the sensor.

    Args:
        scene: The scene, rendered for the focal length of `settings`.
        settings: Camera settings.
        rng: Generator of the motion, the illuminant and the exposure error.

    Returns:
        The light on the sensor.
    """
    direction = rng.uniform(0, math.pi)
    shake = math.exp(rng.normal(0, 0.12))
    warmth = float(np.clip((9 - exposure_value(settings)) / 8, -0.6, 1))
    warmth += rng.normal(0, 0.2)
    meter_error = rng.normal(0, 0.2)

    motion = motion_length(settings.exposure_time) * shake
    blurred = through_lens(scene, settings.f_number, motion, direction)
    light = onto_sensor(blurred, settings.focal_length)
    light *= vignetting(settings.f_number)[..., None]
    illuminant = np.exp(
        np.array([0.28 * warmth, 0, -0.38 * warmth]), dtype=np.float64
    ).astype(np.float32)
    middle = slice(PICTURE_SIZE // 4, -(PICTURE_SIZE // 4))
    metered = 0.65 * light[middle, middle].mean() + 0.35 * light.mean()
    light *= illuminant * np.float32(MIDDLE_GREY * 2**meter_error / metered)
    landmarks = frame_to_pixels(scene.landmarks, settings.focal_length)
    outline = frame_to_pixels(scene.face, settings.focal_length)
    box = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
    box = np.clip(box, 0, PICTURE_SIZE)
    return Exposure(
        light=light,
        illuminant=illuminant,
        landmarks=landmarks.astype(np.float32),
        box=box.astype(np.float32),
    )


def sense(light: Array, iso: int, body: Body, rng: np.random.Generator) -> Array:
    """Measures light behind a colour filter array.

    Args:
        light: Linear light, float32 `[h, w, 3]`; 1 saturates green.
        iso: ISO number; shot and read noise are amplified with the signal.
        body: Camera model.
        rng: Generator of the noise.

    Returns:
        The raw mosaic, float32 `[h, w]` in [0, 1].
    """
    mosaic = np.empty(light.shape[:2], np.float32)
    for channel, rows, columns in _filters(body.phase):
        plane = light[rows, columns, channel]
        mosaic[rows, columns] = plane * np.float32(body.sensitivity[channel])
    gain = iso / 100
    electrons = np.float32(body.full_well / gain)
    variance = mosaic * electrons + np.float32(body.read_noise**2)
    grain = rng.standard_normal(mosaic.shape, dtype=np.float32)
    mosaic += grain * np.sqrt(variance) / electrons
    # The converter has ten bits, and a full well clips.
    return np.clip(np.round(mosaic * 1023) / 1023, 0, 1)


def develop(raw: Array, balance: Array, body: Body) -> npt.NDArray[np.uint8]:
    """Develops a raw mosaic into a picture as the camera's firmware does.

    Args:
        raw: Raw mosaic, float32 `[h, w]` in [0, 1].
        balance: Factors of the channels that make white objects white, float32 `[3]`.
        body: Camera model.

    Returns:
        The picture, uint8 `[h, w, 3]`.
    """
    # Balancing before the interpolation avoids false colours at grey edges.
    balanced = raw.copy()
    for channel, rows, columns in _filters(body.phase):
        balanced[rows, columns] *= balance[channel]
    is_bilinear = body.demosaic == "bilinear"
    demosaic = demosaic_bilinear if is_bilinear else demosaic_gradient
    return finish(demosaic(balanced, body.phase), body)


def finish(linear: Array, body: Body) -> npt.NDArray[np.uint8]:
    """Applies tone curve, sRGB gamma and sharpening to balanced light.

    Args:
        linear: Linear light, float32 `[h, w, 3]`, at least 0; white is 1.
        body: Camera model.

    Returns:
        The picture, uint8 `[h, w, 3]`.
    """
    if body.contrast != 1:
        scaled = np.maximum(linear, 1e-5) / np.float32(MIDDLE_GREY)
        linear = np.float32(MIDDLE_GREY) * scaled ** np.float32(body.contrast)
    picture = srgb(soft_clip(linear))
    if body.sharpening:
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        low = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
        picture = picture + np.float32(body.sharpening) * (picture - low)
    return quantise(picture)


def soft_clip(linear: Array) -> Array:
    """Compresses highlights above 0.7 smoothly instead of clipping them.

    Args:
        linear: Linear values, float32 of any shape.

    Returns:
        float32 of the same shape, at most 1.
    """
    over = np.maximum(linear - 0.7, 0)
    return np.minimum(linear, 0.7) + 0.3 * over / (over + 0.3)


def srgb(linear: Array) -> Array:
    """Encodes linear values as sRGB.

    Args:
        linear: Linear values, float32 of any shape; negative ones become 0.

    Returns:
        float32 of the same shape, in [0, 1] for values up to 1.
    """
    linear = np.maximum(linear, 0)
    curve = 1.055 * np.exp(np.log(np.maximum(linear, 1e-6)) / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve)


def quantise(picture: Array) -> npt.NDArray[np.uint8]:
    """Quantises a picture to 8 bits.

    Args:
        picture: Floating-point, of any shape; values outside of [0, 1] are clipped.

    Returns:
        uint8 of the same shape.
    """
    return np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)


def demosaic_bilinear(mosaic: Array, phase: tuple[int, int]) -> Array:
    """Interpolates a mosaic by means of the nearest neighbours.

    Args:
        mosaic: Measured values, float32 `[h, w]`, at least 2×2.
        phase: Row and column of the first red filter, each 0 or 1.

    Returns:
        Red, green and blue, float32 `[h, w, 3]`.
    """
    padded = np.pad(mosaic, 1, mode="reflect")
    cross, vertical, horizontal, corners = _neighbour_means(padded)
    return _fill(mosaic, phase, cross, corners, horizontal, vertical)


def demosaic_gradient(mosaic: Array, phase: tuple[int, int]) -> Array:
    """Like `demosaic_bilinear`, corrected by the measured channel's curvature.

    Args:
        mosaic: Measured values, float32 `[h, w]`, at least 3×3.
        phase: Row and column of the first red filter, each 0 or 1.

    Returns:
        Red, green and blue, float32 `[h, w, 3]`; may exceed the range of `mosaic`.
    """
    padded = np.pad(mosaic, 2, mode="reflect")
    cross, vertical, horizontal, corners = _neighbour_means(padded[1:-1, 1:-1])
    far_rows = padded[:-4, 2:-2] + padded[4:, 2:-2]
    far_columns = padded[2:-2, :-4] + padded[2:-2, 4:]
    far = far_rows + far_columns
    green = cross + (4 * mosaic - far) / 8
    opposite = corners + (6 * mosaic - 1.5 * far) / 8
    correction = 5 * mosaic - 4 * corners
    across = horizontal + (correction - far_columns + 0.5 * far_rows) / 8
    upright = vertical + (correction - far_rows + 0.5 * far_columns) / 8
    return _fill(mosaic, phase, green, opposite, across, upright)


def _fill(
    mosaic: Array,
    phase: tuple[int, int],
    green: Array,
    opposite: Array,
    across: Array,
    upright: Array,
) -> Array:
    """Combines measured and interpolated values `[h, w]` of the three colours.

    Args:
        mosaic: Measured values.
        phase: Row and column of the first red filter.
        green: Estimate of green, valid at red and blue photosites.
        opposite: Estimate of blue at red photosites and of red at blue ones.
        across: Estimate, at green photosites, of the colour to their left and right.
        upright: Estimate, at green photosites, of the colour above and below.

    Returns:
        `[h, w, 3]`.
    """
    picture = np.empty((*mosaic.shape, 3), np.float32)
    red, green_1, green_2, blue = (f[1:] for f in _filters(phase))
    picture[..., 1] = mosaic
    picture[..., 1][red] = green[red]
    picture[..., 1][blue] = green[blue]
    for channel, own, other in ((0, red, blue), (2, blue, red)):
        plane = picture[..., channel]
        plane[own] = mosaic[own]
        plane[other] = opposite[other]
    # green_1 shares its row with red, green_2 with blue.
    picture[..., 0][green_1] = across[green_1]
    picture[..., 2][green_1] = upright[green_1]
    picture[..., 0][green_2] = upright[green_2]
    picture[..., 2][green_2] = across[green_2]
    return picture


def _neighbour_means(padded: Array) -> tuple[Array, Array, Array, Array]:
    """Means of the four nearest, the vertical, horizontal and diagonal neighbours."""
    vertical = (padded[:-2, 1:-1] + padded[2:, 1:-1]) / 2
    horizontal = (padded[1:-1, :-2] + padded[1:-1, 2:]) / 2
    diagonal = padded[:-2, :-2] + padded[:-2, 2:] + padded[2:, :-2] + padded[2:, 2:]
    return (vertical + horizontal) / 2, vertical, horizontal, diagonal / 4


def _filters(phase: tuple[int, int]) -> list[tuple[int, slice, slice]]:
    """Channel, rows and columns of red, green beside red, other green, and blue."""
    row, column = phase
    return [
        (0, slice(row, None, 2), slice(column, None, 2)),
        (1, slice(row, None, 2), slice(1 - column, None, 2)),
        (1, slice(1 - row, None, 2), slice(column, None, 2)),
        (2, slice(1 - row, None, 2), slice(1 - column, None, 2)),
    ]


def _white_balance(illuminant: Array, body: Body, rng: np.random.Generator) -> Array:
    """Factors of an automatic white balance that keeps some of the warmth."""
    error = np.exp(rng.normal(0, 0.03, 3)).astype(np.float32)
    seen = illuminant ** np.float32(0.85) * np.array(body.sensitivity, np.float32)
    return error / seen

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes a fake of a photograph and itself, as a pasted face would look.

One of two copies of the photograph gets other colours and is blurred or sharpened; the
other stays. The first, the source, is moved a little and blended into the second, the
target, through the face's mask. What is left are the traces that pasting leaves: a rim,
colours and sharpness that do not fit, features that are slightly displaced. No
generator leaves any of its own.

The order of steps, the ranges of scale and shift and the ratios of blending are those
of the paper. The ranges of colours, filters and masks are our choice, and so is the
ellipse in the place of a hull of many landmarks.

References:
    Shiohara, Yamasaki: "Detecting Deepfakes with Self-Blended Images", CVPR 2022.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces import regions
from fakedet_jax.faces.face import check_picture
from fakedet_jax.media.resampling import bilinear

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""How much of the source the core of the mask shows; one is drawn."""
MAX_RESIZE = 0.05
"""By how much width and height of the source change at most, each on its own."""
MAX_SHIFT = 0.03
"""How far the source moves at most, in parts of the picture's width and height."""

# Largest changes, so that most fakes pass at a glance: fakes that anybody recognises
# teach little.
_MAX_RGB = 10.0
_MAX_HUE, _MAX_SATURATION, _MAX_VALUE = 0.01, 0.06, 0.04
_MAX_BRIGHTNESS, _MAX_CONTRAST = 0.04, 0.08
_FACTORS = (2, 4)
_AMOUNTS = (0.5, 1.5)
_SHARPENED = 1.0  # Pixels: the standard deviation of what is taken away.

# Of the face's ellipse: its size, and how far the points of a grid move it, in parts of
# the picture's shorter side.
_SIZES = (0.7, 1.1)
_GRID = 5
_MAX_DEFORMATION = 0.05
# Standard deviations of both blurs, in the same unit.
_BLURS = (0.004, 0.016)
# What is less than inside after the first blur is outside.
_INSIDE = 0.999


@dataclasses.dataclass(frozen=True)
class Colours:
    """A change of colours.

    Attributes:
        rgb: Added to red, green and blue, in levels.
        hue: Added to the hue, in turns.
        saturation: Added to the saturation, which is from 0 to 1.
        value: Added to the value of HSV, which is from 0 to 1.
        brightness: Added to all channels, in parts of white.
        contrast: By how much distances from black grow, 0 for not at all.
    """

    rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hue: float = 0.0
    saturation: float = 0.0
    value: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything about a blend that is drawn, but for its mask.

    Attributes:
        colours: How colours change.
        factor: By which the sides shrink before they grow back; 1 sharpens instead.
        amount: Of sharpening.
        changes_source: Whether the source changes, or the target.
        resize: Factors of the source's width and height.
        shift: Of the source to the right and down, in parts of width and height.
        ratio: One of `RATIOS`.
    """

    colours: Colours
    factor: int
    amount: float
    changes_source: bool
    resize: tuple[float, float]
    shift: tuple[float, float]
    ratio: float


def self_blend(
    picture: np.ndarray, landmarks: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Makes a fake of a photograph.

    Args:
        picture: uint8 RGB `[height, width, 3]`.
        landmarks: `[5, 2]`, (x, y) in pixels; see `fakedet_jax.faces.face.Face`. None,
            NaN, or landmarks of no face in this picture mean an upright face in its
            middle, as in a crop.
        rng: Draws everything.

    Returns:
        uint8 RGB `[height, width, 3]`, a new array.

    Raises:
        ImageError: The array is no picture.
    """
    check_picture(picture)
    plan = draw(rng)
    mask = draw_mask(picture.shape[0], picture.shape[1], landmarks, rng)
    return blend(picture, mask, plan)


def draw(rng: np.random.Generator) -> Plan:
    """Draws what happens to a photograph, always with as many numbers.

    Args:
        rng: Draws them.
    """
    rgb = rng.uniform(-_MAX_RGB, _MAX_RGB, 3).tolist()
    limits = (_MAX_HUE, _MAX_SATURATION, _MAX_VALUE, _MAX_BRIGHTNESS, _MAX_CONTRAST)
    others = (rng.uniform(-1, 1, len(limits)) * limits).tolist()
    factor = int(rng.choice([1, 1, *_FACTORS]))  # To one half, it is sharpened.
    amount = float(rng.uniform(*_AMOUNTS))
    changes_source = bool(rng.integers(2))
    resize = 1 + MAX_RESIZE * rng.uniform(-1, 1, 2)
    shift = MAX_SHIFT * rng.uniform(-1, 1, 2)
    return Plan(
        Colours(tuple(rgb), *others),
        factor,
        amount,
        changes_source,
        tuple(resize.tolist()),
        tuple(shift.tolist()),
        float(rng.choice(RATIOS)),
    )


def blend(picture: np.ndarray, mask: np.ndarray, plan: Plan) -> np.ndarray:
    """Blends a photograph into itself; rounded once, at the end.

    `ratio · mask · source + (1 − ratio · mask) · target`. Where the mask is 0 and the
    source was changed, pixels are those of the photograph, bit by bit.

    Args:
        picture: uint8 RGB `[height, width, 3]`.
        mask: float32 `[height, width]`, from 0 to 1.
        plan: What happens.

    Returns:
        uint8 RGB `[height, width, 3]`.
    """
    original = picture.astype(np.float32)
    changed = change_colours(original, plan.colours)
    if plan.factor > 1:
        changed = shrink(changed, plan.factor)
    else:
        changed = sharpen(changed, plan.amount)
    source, target = original, changed
    if plan.changes_source:
        source, target = changed, original
    weights = np.float32(plan.ratio) * mask[..., None]
    mixed = target + weights * (move(source, plan.resize, plan.shift) - target)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


def change_colours(picture: np.ndarray, colours: Colours) -> np.ndarray:
    """Shifts RGB, then HSV, then contrast and brightness; clipped after each of these.

    Args:
        picture: float32 RGB `[height, width, 3]`, from 0 to 255.
        colours: The change.

    Returns:
        float32 `[height, width, 3]`, from 0 to 255.
    """
    # Imported here because few commands need it.
    from matplotlib import colors

    shifted = np.clip(picture + np.asarray(colours.rgb, np.float32), 0, 255)
    hue, saturation, value = np.moveaxis(colors.rgb_to_hsv(shifted / 255), -1, 0)
    hsv = (
        (hue + colours.hue) % 1,
        # Grey has no hue, and stays grey.
        np.where(saturation > 0, np.clip(saturation + colours.saturation, 0, 1), 0),
        np.clip(value + colours.value, 0, 1),
    )
    turned = 255 * colors.hsv_to_rgb(np.stack(hsv, -1))
    result = turned * (1 + colours.contrast) + 255 * colours.brightness
    return np.clip(result, 0, 255).astype(np.float32)


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Makes a picture smaller by means over its pixels, and larger again, bilinearly.

    Args:
        picture: float32 `[height, width, 3]`.
        factor: By which sides are divided; at least a pixel is left.

    Returns:
        float32 `[height, width, 3]`.
    """
    height, width = picture.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))

    def resize(plane: np.ndarray) -> np.ndarray:
        image = Image.fromarray(plane).resize(small, Image.Resampling.BOX)
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))

    return _each_plane(picture, resize)


def sharpen(picture: np.ndarray, amount: float) -> np.ndarray:
    """Adds what a Gaussian filter takes away, times an amount.

    Args:
        picture: float32 `[height, width, 3]`, from 0 to 255.
        amount: 0 for no change.

    Returns:
        float32 `[height, width, 3]`, clipped to 0 to 255.
    """
    blurred = _each_plane(picture, lambda plane: _blur(plane, _SHARPENED))
    return np.clip(picture + np.float32(amount) * (picture - blurred), 0, 255)


def move(
    picture: np.ndarray, resize: tuple[float, float], shift: tuple[float, float]
) -> np.ndarray:
    """Resizes a picture around its middle and shifts it, interpolated bilinearly.

    Beyond the border, its pixels are repeated.

    Args:
        picture: float32 `[height, width, 3]`.
        resize: Factors of width and height.
        shift: To the right and down, in parts of width and height.

    Returns:
        float32 `[height, width, 3]`.
    """
    height, width = picture.shape[:2]
    x, y = (
        ((np.arange(side) + 0.5 - side / 2 - part * side) / factor + side / 2 - 0.5)
        for side, factor, part in zip((width, height), resize, shift, strict=True)
    )
    columns, rows = x.astype(np.float32)[None], y.astype(np.float32)[:, None]
    return _each_plane(picture, lambda plane: bilinear(plane, columns, rows))


def draw_mask(
    height: int, width: int, landmarks: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Draws the mask of a face: an ellipse, deformed elastically and blurred twice.

    What the first blur leaves below 1 counts as outside, so that the mask shrinks where
    the second blur is weaker and grows where it is stronger.

    Args:
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        landmarks: See `self_blend`.
        rng: Draws it, with as many numbers for every picture.

    Returns:
        float32 `[height, width]`, from 0 to 1.
    """
    size = rng.uniform(*_SIZES)
    moves = rng.uniform(-1, 1, (2, _GRID, _GRID)).astype(np.float32)
    blurs = rng.uniform(*_BLURS, 2)
    side = min(height, width)
    region = _face(height, width, landmarks)
    radii = (region.radii[0] * size, region.radii[1] * size)
    region = dataclasses.replace(region, radii=radii)
    shift_x, shift_y = (
        _MAX_DEFORMATION
        * side
        * np.asarray(
            Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC)
        )
        for field in moves
    )
    x, y = np.arange(width)[None] + 0.5 + shift_x, np.arange(height)[:, None] + 0.5
    inside = (region.radius(x, y + shift_y) < 1).astype(np.float32)
    soft = _blur(inside, blurs[0] * side)
    # In a tiny picture nothing may be that far inside.
    core = np.where(soft < _INSIDE, np.float32(0), soft)
    mask = _blur(core if core.any() else inside, blurs[1] * side)
    return np.clip(mask, 0, 1)


def _face(height: int, width: int, landmarks: np.ndarray | None) -> regions.Region:
    """The region of the face; that of a crop where the landmarks tell none."""
    if landmarks is not None and np.isfinite(landmarks).all():
        points = np.asarray(landmarks, np.float64)
        try:
            regions.check_landmarks(points, height, width)
        except ImageError:
            pass
        else:
            region = regions.face_region(points)
            if regions.is_inside(np.array(region.centre), height, width):
                return region
    return regions.face_region(regions.upright_landmarks(height, width))


def _each_plane(
    picture: np.ndarray, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    planes = [
        function(np.ascontiguousarray(picture[..., channel])) for channel in range(3)
    ]
    return np.stack(planes, -1)


def _blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    # Imported here because it is slow and few commands need it.
    from scipy import ndimage

    blurred: np.ndarray = ndimage.gaussian_filter(plane, sigma, mode="nearest")
    return blurred

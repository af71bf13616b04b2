# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Four kinds of fake portraits, whose new pixels do not come from a sensor.

Each is a pure function of 8-bit pictures, geometry in pixels and a random generator. It
leaves the artefacts of its kind: upsampling inside a decoder, resampling, blending, and
the lack of a colour filter array and of sensor noise.
"""

import functools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fakedet_jax.media.resampling import bilinear
from fakedet_jax.synthetic_faces.camera import quantise
from fakedet_jax.synthetic_faces.lens import PICTURE_SIZE
from fakedet_jax.synthetic_faces.texture import Array

Picture = npt.NDArray[np.uint8]

FAKES = (
    "attribute_edit",
    "entire_synthesis",
    "expression_manipulation",
    "face_swap",
)
"""The kinds of fakes, sorted."""

_DECODER_SEED = 20260202
_FEATURES = 12


def synthesise(target: Picture, grain: float, rng: np.random.Generator) -> Picture:
    """Entire synthesis: a decoder makes every pixel.

    The decoder stands in for a generator that was trained on photographs. It gets the
    target at a quarter and at half the resolution, and draws it with transposed
    convolutions, nearest-neighbour upsampling and convolutions of fixed weights. Noise
    enters at every stage, as in style-based generators, so the result imitates the
    grain of photographs without their mosaic.

    Args:
        target: Picture to draw, uint8 `[128, 128, 3]`; its finest detail is not copied.
        grain: Standard deviation of the imitated grain in 8-bit steps.
        rng: Generator of the noise.

    Returns:
        The fake, uint8 `[128, 128, 3]`.
    """
    image = target.astype(np.float32) / 255
    half = _halve(image)
    quarter = _halve(half)
    first, second, _, detail_weights, grain_weights = _decoder_weights()
    # 32 -> 64: a transposed convolution, whose taps overlap unevenly.
    coarse = _transposed_convolution(quarter, first)
    middle = coarse + _soft_threshold(half - coarse, 0.012)
    # 64 -> 128: the same again, and a branch for detail on repeated pixels.
    fine = _transposed_convolution(middle, second)
    noise = 0.5 * rng.standard_normal(middle.shape, dtype=np.float32)
    features = _repeat(np.concatenate([middle, noise], axis=-1))
    detail = np.maximum(_convolve(features, detail_weights[0]), 0)
    detail = np.tanh(detail @ detail_weights[1]) * 0.035
    wanted = image - fine
    drawn = 0.85 * _soft_threshold(wanted, 0.02)
    energy = _blur(np.abs(wanted)) / 0.03
    picture = fine + drawn + detail * np.minimum(energy, 1.5)
    speckle = _repeat(rng.standard_normal((64, 64, 3), dtype=np.float32))
    speckle = _convolve(speckle, grain_weights)
    own = rng.standard_normal((PICTURE_SIZE, PICTURE_SIZE, 3), dtype=np.float32)
    own = _convolve(own, _grain_of_pixels())
    texture = 0.55 * speckle / speckle.std() + 0.4 * own / own.std()
    return quantise(picture + np.float32(grain / 255) * texture)


def edit_attribute(
    base: Picture,
    before: Picture,
    after: Picture,
    grain: float,
    rng: np.random.Generator,
) -> Picture:
    """Attribute editing: a decoder draws the changed region, which is blended in.

    Args:
        base: The photograph, uint8 `[128, 128, 3]`.
        before: The same portrait without mosaic and noise, uint8 `[128, 128, 3]`.
        after: That portrait with the attribute changed, uint8 `[128, 128, 3]`.
        grain: Standard deviation of the imitated grain in 8-bit steps.
        rng: Generator of the decoder's noise.

    Returns:
        The fake, uint8 `[128, 128, 3]`.
    """
    change = np.abs(after.astype(np.float32) - before).max(axis=-1)
    square = np.ones((3, 3), np.bool_)
    region = ndimage.binary_dilation(change > 9, square, iterations=9)
    mask = _blur(_blur(region.astype(np.float32)))[..., None]
    drawn = synthesise(after, grain, rng)
    return quantise((base + mask * (drawn.astype(np.float32) - base)) / 255)


def manipulate_expression(
    base: Picture, landmarks: Array, rng: np.random.Generator
) -> Picture:
    """Expression manipulation: mouth and eyes of a photograph are moved by warping.

    Args:
        base: The photograph, uint8 `[128, 128, 3]`.
        landmarks: (x, y) of its landmarks in pixels, `[5, 2]`.
        rng: Generator of the new expression.

    Returns:
        The fake, uint8 `[128, 128, 3]`.
    """
    eyes, mouth = landmarks[:2], landmarks[3:]
    down = mouth.mean(axis=0) - eyes.mean(axis=0)
    size = float(np.hypot(*down))
    down = down / size
    right = np.array([down[1], -down[0]])
    right = right * np.sign(right @ (eyes[1] - eyes[0]))
    smile = rng.choice([-1, 1]) * rng.uniform(0.09, 0.16) * size
    widen = rng.uniform(0.04, 0.12) * size * np.sign(smile)
    jaw = rng.uniform(-0.03, 0.12) * size
    moves = [
        # Centre, shift and reach in pixels.
        (mouth[0], -smile * down - widen * right, 0.44 * size),
        (mouth[1], -smile * down + widen * right, 0.44 * size),
        (mouth.mean(axis=0) + 0.25 * size * down, jaw * down, 0.42 * size),
    ]
    lid = rng.uniform(0.05, 0.1) * size * np.sign(rng.uniform(-1, 1))
    for eye in eyes:
        moves.append((eye - 0.1 * size * down, -lid * down, 0.32 * size))
        moves.append((eye + 0.1 * size * down, 0.6 * lid * down, 0.32 * size))
    x, y = _pixel_grid()
    shift_x, shift_y = np.zeros_like(x + y), np.zeros_like(x + y)
    # As in reenactment, the whole face is redrawn, with everything that moves.
    mask = _face_mask(landmarks)
    for (at_x, at_y), (by_x, by_y), reach in moves:
        distance2 = (x - np.float32(at_x)) ** 2 + (y - np.float32(at_y)) ** 2
        weight = np.exp(-distance2 / np.float32(reach**2))
        shift_x += np.float32(by_x) * weight
        shift_y += np.float32(by_y) * weight
        mask = np.maximum(mask, np.clip(4 * weight - 0.5, 0, 1))
    # Like a mesh renderer, this one works on its own grid, half a pixel off.
    warped = _resample(base, x - shift_x + 0.5, y - shift_y + 0.5)
    warped = _resample(warped, x - np.float32(0.5), y - np.float32(0.5))
    mask = _blur(mask)[..., None]
    return quantise((base + mask * (warped - base)) / 255)


def swap_face(
    base: Picture,
    landmarks: Array,
    donor: Picture,
    donor_landmarks: Array,
    rng: np.random.Generator,
) -> Picture:
    """Face swap: another face is resampled, recoloured and blended in.

    Args:
        base: The photograph, uint8 `[128, 128, 3]`.
        landmarks: (x, y) of its landmarks in pixels, `[5, 2]`.
        donor: A photograph of another identity, uint8 `[128, 128, 3]`.
        donor_landmarks: (x, y) of the landmarks in `donor`, `[5, 2]`.
        rng: Generator of the resolution at which the swapping model works.

    Returns:
        The fake, uint8 `[128, 128, 3]`.
    """
    # The swapping model works at a low resolution, which its last layer doubles.
    reduced = round(PICTURE_SIZE * rng.uniform(0.45, 0.65))
    ratio = 2 * reduced / PICTURE_SIZE
    small = _shrink(donor.astype(np.float32), reduced)
    drawn = _transposed_convolution(small, _decoder_weights()[2])
    matrix, offset = _similarity(landmarks, donor_landmarks)
    x, y = _pixel_grid()
    donor_x = matrix[0, 0] * x + matrix[0, 1] * y + offset[0]
    donor_y = matrix[1, 0] * x + matrix[1, 1] * y + offset[1]
    face = _resample(
        drawn, (donor_x + 0.5) * ratio - 0.5, (donor_y + 0.5) * ratio - 0.5
    )
    mask = _face_mask(landmarks)
    inner = mask > 0.5
    here, there = base[inner].astype(np.float32), face[inner]
    scale = np.clip((here.std(0) + 1) / (there.std(0) + 1), 0.6, 1.5)
    face = (face - there.mean(0)) * scale + here.mean(0)
    return quantise((base + mask[..., None] * (face - base)) / 255)


@functools.cache
def _decoder_weights() -> tuple[Array, Array, Array, tuple[Array, Array], Array]:
    """The fixed weights of the decoder.

    Returns:
        Three transposed convolutions `[4, 4, 3, 3]`, which interpolate with small
        errors as trained ones do; the detail branch; and the grain branch.
    """
    rng = np.random.default_rng(_DECODER_SEED)
    ramp = np.array([0.25, 0.75, 0.75, 0.25])
    interpolation = np.outer(ramp, ramp)[..., None, None] * np.eye(3)
    kernels = []
    for error in (0.009, 0.012, 0.011):
        noise = rng.normal(0, error, interpolation.shape)
        # Output pixels keep their brightness only roughly, which makes a checkerboard.
        kernels.append((interpolation + noise).astype(np.float32))
    detail = rng.normal(0, 0.5, (3, 3, 6, _FEATURES)).astype(np.float32)
    mixing = rng.normal(0, 0.5, (_FEATURES, 3)).astype(np.float32)
    grain = rng.normal(0, 0.3, (3, 3, 3, 3)).astype(np.float32)
    return kernels[0], kernels[1], kernels[2], (detail, mixing), grain


@functools.cache
def _grain_of_pixels() -> Array:
    """A kernel `[3, 3, 3, 3]` that correlates noise like the grain of photographs."""
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = 0.35 + 0.65 * np.eye(3)
    kernel[0, 1] = kernel[1, 0] = kernel[1, 2] = kernel[2, 1] = 0.12
    return kernel


def _transposed_convolution(image: Array, kernel: Array) -> Array:
    """Doubles the size of `[h, w, c]` by a 4 × 4 transposed convolution of stride 2."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width, _ = image.shape
    output = np.empty((2 * height, 2 * width, kernel.shape[-1]), np.float32)
    for row in range(2):
        for column in range(2):
            part = np.zeros((height, width, kernel.shape[-1]), np.float32)
            for i in range(2):
                for j in range(2):
                    # Output 2r + row sees inputs r + row - 1 + i.
                    shifted = padded[
                        row + i : row + i + height, column + j : column + j + width
                    ]
                    tap = kernel[3 - row - 2 * i, 3 - column - 2 * j]
                    part += shifted @ tap
            output[row::2, column::2] = part
    return output


def _convolve(image: Array, kernel: Array) -> Array:
    """Applies a 3 × 3 convolution `[3, 3, in, out]`; the border is repeated."""
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    output = np.zeros((height, width, kernel.shape[-1]), np.float32)
    for i in range(3):
        for j in range(3):
            output += padded[i : i + height, j : j + width] @ kernel[i, j]
    return output


def _halve(image: Array) -> Array:
    quarters = image[::2] + image[1::2]
    return (quarters[:, ::2] + quarters[:, 1::2]) / 4


def _repeat(image: Array) -> Array:
    """Doubles the size of an image by repeating pixels."""
    return image.repeat(2, axis=0).repeat(2, axis=1)


def _soft_threshold(values: Array, threshold: float) -> Array:
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


def _blur(plane: Array) -> Array:
    """Averages over 5 × 5 pixels, twice; the border is repeated."""
    for axis in (0, 1):
        for _ in range(2):
            widths = [(0, 0)] * plane.ndim
            widths[axis] = (3, 2)
            total = np.cumsum(np.pad(plane, widths, mode="edge"), axis=axis)
            upper = np.take(total, range(5, total.shape[axis]), axis=axis)
            lower = np.take(total, range(total.shape[axis] - 5), axis=axis)
            plane = ((upper - lower) / 5).astype(np.float32)
    return plane


def _shrink(image: Array, size: int) -> Array:
    """Shrinks `[h, h, 3]` to `[size, size, 3]` by averaging areas."""
    edges = np.linspace(0, image.shape[0], size + 1)
    weights = np.empty((size, image.shape[0]), np.float32)
    pixels = np.arange(image.shape[0])
    for i in range(size):
        overlap = np.minimum(edges[i + 1], pixels + 1) - np.maximum(edges[i], pixels)
        weights[i] = np.maximum(overlap, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.einsum("ih,hwc->iwc", weights, image, optimize=True)
    return np.einsum("jw,iwc->ijc", weights, rows, optimize=True)


def _resample(image: npt.NDArray, x: Array, y: Array) -> Array:
    """Interpolates an image `[h, w, 3]` at fractional positions."""
    x, y = np.broadcast_arrays(x, y)
    planes = [
        bilinear(np.ascontiguousarray(image[..., c], np.float32), x, y)
        for c in range(3)
    ]
    return np.stack(planes, axis=-1)


def _similarity(
    source: Array, target: Array
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Matrix and offset of the similarity that best maps `source` to `target`."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    norm = np.sum(a * a)
    cos = np.sum(a * b) / norm
    sin = np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / norm
    matrix = np.array([[cos, -sin], [sin, cos]], np.float32)
    offset = target.mean(axis=0) - matrix @ source.mean(axis=0)
    return matrix, offset.astype(np.float32)


def _face_mask(landmarks: Array) -> Array:
    """A soft mask `[128, 128]` of the region from the brows to below the mouth."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down = mouth - eyes
    size = np.float32(np.hypot(*down))
    down = down / size
    centre = 0.45 * eyes + 0.55 * mouth
    x, y = _pixel_grid()
    along = (x - centre[0]) * down[0] + (y - centre[1]) * down[1]
    across = (y - centre[1]) * down[0] - (x - centre[0]) * down[1]
    radius = np.sqrt((along / (1.08 * size)) ** 2 + (across / (0.9 * size)) ** 2)
    return np.clip((1.08 - radius) / 0.22, 0, 1).astype(np.float32)


def _pixel_grid() -> tuple[Array, Array]:
    axis = np.arange(PICTURE_SIZE, dtype=np.float32)
    return axis[None], axis[:, None]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Post-processing of pictures as pure functions of padded batches.

Pictures of different sizes share a batch and a compilation: each is at the top left of
its row, with its size in `sizes`. The padding is never read, and is undefined in the
result. The result of a picture depends only on the picture, its strength and its key,
not on the padding, the batch or the devices.

Filters and resampling are those of OpenCV for uint8, in the same fixed-point
arithmetic, so that they do not depend on the rounding of a device. A picture may be
smaller than a kernel; its border is then mirrored repeatedly.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: blur, resize and noise.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: mean, median and Gaussian filters, gamma correction
    and scaling.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.errors import RequestError

# The longest side that does not overflow the integers of `resize` and `scale`.
MAX_SIDE = 32_767
# Kernel sizes of the filters, in pixels.
KERNEL_SIZES = (3, 5, 7)
# Largest factor by which `scale` enlarges a side.
MAX_ENLARGEMENT = 2

# Fraction bits of OpenCV's weights for uint8.
_BLUR_BITS = 8
_RESIZE_BITS = 11
# Pixels of a row whose noise is drawn with one key.
_RUN = 64
# OpenCV's kernels for a standard deviation of 0, with `_BLUR_BITS` fraction bits:
# Gaussians of 0.3 ((size - 1) / 2 - 1) + 0.8 pixels, rounded to a few bits.
_AUTOMATIC_WEIGHTS = {
    3: (0, 0, 64, 128, 64, 0, 0),
    5: (0, 16, 64, 96, 64, 16, 0),
    7: (8, 28, 56, 72, 56, 28, 8),
}


def gaussian_blur(
    images: jax.Array, sizes: jax.Array, sigmas: jax.Array, *, kernel_size: int = 3
) -> jax.Array:
    """Blurs with a Gaussian kernel of fixed size, like `cv2.GaussianBlur`.

    The border is mirrored without repeating the edge pixels (`BORDER_REFLECT_101`).

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture.
        sigmas: float32 `[batch]`, standard deviations in pixels, positive.
        kernel_size: Side of the kernel in pixels, odd.

    Returns:
        uint8 `[batch, height, width, 3]`.

    Raises:
        RequestError: The kernel size is not odd.
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise RequestError(
            f"gaussian_blur: expected an odd kernel size, found {kernel_size}"
        )
    radius = kernel_size // 2
    weights = _gaussian_weights(sigmas, radius)
    return _round_bits(_convolve(images, sizes, weights), 2 * _BLUR_BITS)


def gaussian_filter(
    images: jax.Array, sizes: jax.Array, kernel_sizes: jax.Array
) -> jax.Array:
    """Blurs like `cv2.GaussianBlur` with a kernel size and a standard deviation of 0.

    OpenCV then uses 0.3 ((size - 1) / 2 - 1) + 0.8 pixels: 0.8, 1.1 and 1.4. For such
    small kernels, OpenCV and this function have tables rounded to a few bits.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture.
        kernel_sizes: int32 `[batch]`, each in `KERNEL_SIZES`.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    table = jnp.array([_AUTOMATIC_WEIGHTS[size] for size in KERNEL_SIZES], jnp.int32)
    weights = table[jnp.searchsorted(jnp.array(KERNEL_SIZES), kernel_sizes)]
    return _round_bits(_convolve(images, sizes, weights), 2 * _BLUR_BITS)


def mean_filter(
    images: jax.Array, sizes: jax.Array, kernel_sizes: jax.Array
) -> jax.Array:
    """Replaces each sample by the mean of a square around it, like `cv2.blur`.

    The border is mirrored without repeating the edge pixels (`BORDER_REFLECT_101`).

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture.
        kernel_sizes: int32 `[batch]`, each in `KERNEL_SIZES`.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    inside = _is_inside(kernel_sizes).astype(jnp.int32)
    total = _convolve(images, sizes, inside)
    # An odd number has no halves, and rounding errors are much smaller than 1 / number.
    number = (kernel_sizes**2).astype(jnp.float32)[:, None, None, None]
    return jnp.round(total.astype(jnp.float32) / number).astype(jnp.uint8)


def median_filter(
    images: jax.Array, sizes: jax.Array, kernel_sizes: jax.Array
) -> jax.Array:
    """Replaces each sample by the median of a square around it, like `cv2.medianBlur`.

    Edge pixels are repeated beyond the border (`BORDER_REPLICATE`). The median is found
    bit by bit from the highest: a bit is set where at most half of the square is below
    the value with that bit. These eight rounds of counting vectorise better than
    sorting.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture.
        kernel_sizes: int32 `[batch]`, each in `KERNEL_SIZES`.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    height, width = images.shape[1:3]
    lines = _extend(images, sizes, KERNEL_SIZES[-1] // 2, _repeat)
    inside = _is_inside(kernel_sizes).astype(jnp.uint8)
    inside = inside[:, :, None] * inside[:, None, :]
    half = (kernel_sizes**2 // 2).astype(jnp.uint8)[:, None, None]

    def settle(step: jax.Array, median: jax.Array) -> jax.Array:
        candidate = median | (jnp.uint8(128) >> step.astype(jnp.uint8))
        num_below = jnp.zeros_like(median)
        for row in range(KERNEL_SIZES[-1]):
            for column in range(KERNEL_SIZES[-1]):
                shifted = lines[:, row : row + height, 3 * column :][:, :, : 3 * width]
                is_below = (shifted < candidate).astype(jnp.uint8)
                num_below += is_below & inside[:, row, column, None, None]
        return jnp.where(num_below <= half, candidate, median)

    start = jnp.zeros((len(images), height, 3 * width), jnp.uint8)
    return lax.fori_loop(0, 8, settle, start).reshape(images.shape)


def gamma_correction(
    images: jax.Array, sizes: jax.Array, gammas: jax.Array
) -> jax.Array:
    """Replaces each sample x by 255 (x / 255) ^ gamma, rounded to nearest.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`; not used.
        gammas: float32 `[batch]`, positive; values below 1 brighten.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    del sizes
    levels = jnp.arange(256, dtype=jnp.float32) / 255
    tables = jnp.round(255 * levels ** gammas[:, None]).astype(jnp.uint8)
    return jax.vmap(lambda table, image: table[image])(tables, images)


def resize(images: jax.Array, sizes: jax.Array, scales: jax.Array) -> jax.Array:
    """Shrinks pictures and enlarges them to their size again.

    Both steps are `cv2.resize` with `INTER_LINEAR`, which uses the four nearest pixels
    without antialiasing, so that small scales cause aliasing. The sides in between are
    max(1, round(scale × side)), with the product in float32 and halves rounded to even;
    the pixels in between are uint8.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture, at most `MAX_SIDE`.
        scales: float32 `[batch]`, in (0, 1].

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    small = jnp.round(scales[:, None] * sizes.astype(jnp.float32)).astype(jnp.int32)
    small = jnp.maximum(small, 1)
    return _resample(_resample(images, sizes, small), small, sizes)


def scale(
    images: jax.Array, sizes: jax.Array, percentages: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Enlarges or shrinks pictures, like `cv2.resize` with `INTER_LINEAR`.

    A new side is percentage × side / 100, rounded to nearest with halves up, and at
    least 1.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture, at most `MAX_SIDE`.
        percentages: int32 `[batch]`, new sides in per cent of the old ones, from 1 to
            100 `MAX_ENLARGEMENT`.

    Returns:
        uint8 `[batch, MAX_ENLARGEMENT height, MAX_ENLARGEMENT width, 3]`, and the new
        sizes int32 `[batch, 2]`.
    """
    targets = jnp.maximum(1, (percentages[:, None] * sizes + 50) // 100)
    height, width = (MAX_ENLARGEMENT * side for side in images.shape[1:3])
    return _resample(images, sizes, targets, (height, width)), targets


def gaussian_noise(
    images: jax.Array, sizes: jax.Array, variances: jax.Array, keys: jax.Array
) -> jax.Array:
    """Adds independent normal noise to every sample, clips, and rounds to nearest.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`; not used.
        variances: float32 `[batch]`, not negative, where white is 1.
        keys: Typed keys `[batch]`, one for each picture.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    del sizes
    height, width = images.shape[1:3]
    num_runs = -(-width // _RUN)

    # A key for every run of pixels, so that the noise of a pixel does not depend on the
    # width of the batch.
    runs = jnp.arange(height)[:, None] * (MAX_SIDE + 1) + jnp.arange(num_runs)

    def draw(key: jax.Array, run: jax.Array) -> jax.Array:
        own = jax.random.fold_in(key, run)
        return jax.random.normal(own, (_RUN, 3), jnp.float32)

    noise = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(keys, runs.reshape(-1))
    noise = noise.reshape(-1, height, num_runs * _RUN, 3)[:, :, :width]
    deviations = 255 * jnp.sqrt(variances)[:, None, None, None]
    noisy = images.astype(jnp.float32) + deviations * noise
    return jnp.round(jnp.clip(noisy, 0, 255)).astype(jnp.uint8)


def _gaussian_weights(sigmas: jax.Array, radius: int) -> jax.Array:
    """Weights int32 `[batch, 2 radius + 1]` with `_BLUR_BITS` fraction bits and sum 1.

    The rounding error of a weight is carried to the next one towards the centre, and
    the centre completes the sum, so that flat regions do not change.
    """
    distances = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    exact = jnp.exp(-0.5 * (distances / sigmas[:, None]) ** 2)
    exact *= (1 << _BLUR_BITS) / exact.sum(1, keepdims=True)
    carried = jnp.zeros_like(sigmas)
    outer = []
    for tap in range(radius):
        wanted = exact[:, tap] + carried
        outer.append(jnp.round(wanted))
        carried = wanted - outer[-1]
    one = jnp.full_like(sigmas, 1 << _BLUR_BITS)
    centre = one - 2 * sum(outer, jnp.zeros_like(sigmas))
    return jnp.stack([*outer, centre, *reversed(outer)], axis=1).astype(jnp.int32)


def _is_inside(kernel_sizes: jax.Array) -> jax.Array:
    """Taps of the largest kernel that are within each kernel: bool `[batch, taps]`."""
    radius = KERNEL_SIZES[-1] // 2
    distances = jnp.abs(jnp.arange(-radius, radius + 1))
    return distances <= kernel_sizes[:, None] // 2


def _convolve(images: jax.Array, sizes: jax.Array, weights: jax.Array) -> jax.Array:
    """Convolves each picture along both axes, with a mirrored border.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`.
        weights: int32 `[batch, taps]`, with an odd number of taps.

    Returns:
        The weighted sums, int32 `[batch, height, width, 3]`.
    """
    height, width = images.shape[1:3]
    num_taps = weights.shape[1]
    lines = _extend(images, sizes, num_taps // 2, _mirror)
    down = jnp.zeros((len(images), height, lines.shape[2]), jnp.int32)
    for tap in range(num_taps):
        weight = weights[:, tap, None, None]
        down += weight * lines[:, tap : tap + height].astype(jnp.int32)
    across = jnp.zeros((len(images), height, 3 * width), jnp.int32)
    for tap in range(num_taps):
        weight = weights[:, tap, None, None]
        across += weight * down[:, :, 3 * tap : 3 * (tap + width)]
    return across.reshape(images.shape)


def _round_bits(values: jax.Array, bits: int) -> jax.Array:
    """Rounds off fraction bits, to nearest with halves up: uint8."""
    return ((values + (1 << (bits - 1))) >> bits).astype(jnp.uint8)


def _extend(
    images: jax.Array,
    sizes: jax.Array,
    radius: int,
    border: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    """Extends each picture beyond its borders.

    Args:
        images: `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`.
        radius: Pixels to add on each side.
        border: `(places, lengths) → places`, maps places to places in `[0, length)`.

    Returns:
        `[batch, height + 2 radius, (width + 2 radius) 3]`; pixels and channels share an
        axis because loops over an axis of length 3 are slow.
    """
    for axis in (1, 2):
        places = jnp.arange(images.shape[axis] + 2 * radius) - radius
        images = _take(images, border(places, sizes[:, axis - 1, None]), axis)
    return images.reshape(*images.shape[:2], -1)


def _repeat(places: jax.Array, lengths: jax.Array) -> jax.Array:
    """Replaces places outside of `[0, length)` by the nearest end."""
    return jnp.clip(places, 0, lengths - 1)


def _mirror(places: jax.Array, lengths: jax.Array) -> jax.Array:
    """Reflects places outside of `[0, length)` at the end pixels."""
    period = jnp.maximum(2 * (lengths - 1), 1)
    folded = places % period
    return jnp.minimum(folded, period - folded) * (lengths > 1)


def _resample(
    images: jax.Array,
    sizes: jax.Array,
    targets: jax.Array,
    shape: tuple[int, int] | None = None,
) -> jax.Array:
    """Resamples each picture bilinearly to a new size.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, sizes of the pictures.
        targets: int32 `[batch, 2]`, new sizes.
        shape: Height and width of the new batch; None keeps them.
    """
    height, width = images.shape[1:3] if shape is None else shape
    rows = _linear_taps(height, sizes[:, 0], targets[:, 0])
    columns = _linear_taps(width, sizes[:, 1], targets[:, 1])
    one = 1 << _RESIZE_BITS
    first, second, weight = columns
    weight = weight[:, None, :, None]
    values = images.astype(jnp.int32)
    values = (
        _take(values, first, 2) * (one - weight) + _take(values, second, 2) * weight
    )
    # OpenCV drops bits before each product and keeps two for the final rounding.
    values >>= 4
    first, second, weight = rows
    weight = weight[:, :, None, None]
    above = ((one - weight) * _take(values, first, 1)) >> 16
    below = (weight * _take(values, second, 1)) >> 16
    return ((above + below + 2) >> 2).astype(jnp.uint8)


def _linear_taps(
    length: int, sources: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The two source pixels of each pixel of a resampled line.

    Args:
        length: Length of the lines in the new batch.
        sources: int32 `[batch]`, lengths of the lines.
        targets: int32 `[batch]`, new lengths.

    Returns:
        Indices of the two source pixels and the weight of the second, each int32
        `[batch, length]`.
    """
    sources, targets = sources[:, None], targets[:, None]
    # Pixel centres agree: (place + ½) sources / targets - ½, as a fraction of integers.
    # Increased by 1, so that it is not negative and fits an unsigned integer.
    places = jnp.minimum(jnp.arange(length), targets - 1).astype(jnp.uint32)
    wide_sources, wide_targets = sources.astype(jnp.uint32), targets.astype(jnp.uint32)
    numerator = (2 * places + 1) * wide_sources + wide_targets
    denominator = 2 * wide_targets
    next_place = numerator // denominator
    rest = numerator - next_place * denominator
    weight = ((rest << (_RESIZE_BITS + 1)) + denominator) // (2 * denominator)
    first = next_place.astype(jnp.int32) - 1
    weight = jnp.where(first < 0, 0, weight.astype(jnp.int32))
    first = jnp.clip(first, 0, sources - 1)
    return first, jnp.minimum(first + 1, sources - 1), weight


def _take(values: jax.Array, indices: jax.Array, axis: int) -> jax.Array:
    """Picks lines of each picture along an axis, at its own `indices` `[batch, n]`."""

    def pick(picture: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.take(picture, own, axis=axis - 1, mode="clip")

    return jax.vmap(pick)(values, indices)

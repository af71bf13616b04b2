# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Post-processing of pictures on the device, as pure functions of padded batches.

Pictures of different sizes share a batch, and so a compilation: each lies at the top
left of its row, `sizes` says how large it is, and what lies beyond is neither read nor
of any meaning in the result. A picture's result depends on nothing but the picture, its
strength and its key: not on the padding, the batch or the devices.

Blur and resize are OpenCV's for uint8, in the fixed-point integers that OpenCV itself
computes with, so they do not depend on the device's rounding either.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: the four perturbations.
"""

import jax
import jax.numpy as jnp

from fakedet_jax.errors import RequestError

# The longest side whose coordinates fit the integers of `resize`.
MAX_SIDE = 32_767

# Fraction bits of the weights: OpenCV's for uint8.
_BLUR_BITS = 8
_RESIZE_BITS = 11
# Noise is drawn for this many pixels of a row at a time.
_RUN = 64


def gaussian_blur(
    images: jax.Array, sizes: jax.Array, sigmas: jax.Array, *, kernel_size: int = 3
) -> jax.Array:
    """Blurs with a Gaussian kernel of fixed size, as `cv2.GaussianBlur` does.

    The border is mirrored without repeating its pixels (`BORDER_REFLECT_101`).

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`, height and width of each picture.
        sigmas: float32 `[batch]`, standard deviations in pixels, positive.
        kernel_size: Of the kernel's sides in pixels, odd.

    Returns:
        uint8 `[batch, height, width, 3]`.

    Raises:
        RequestError: The kernel has no centre.
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise RequestError(
            f"gaussian_blur: expected an odd kernel size, found {kernel_size}"
        )
    radius = kernel_size // 2
    weights = _gaussian_weights(sigmas, radius)
    values = images.astype(jnp.int32)
    for axis in (1, 2):
        blurred = jnp.zeros_like(values)
        for tap in range(kernel_size):
            places = jnp.arange(images.shape[axis]) + (tap - radius)
            indices = _mirror(places, sizes[:, axis - 1, None])
            weight = weights[:, tap, None, None, None]
            blurred += weight * _take(values, indices, axis)
        values = blurred
    half = 1 << (2 * _BLUR_BITS - 1)
    return ((values + half) >> (2 * _BLUR_BITS)).astype(jnp.uint8)


def resize(images: jax.Array, sizes: jax.Array, scales: jax.Array) -> jax.Array:
    """Makes pictures smaller and brings them back to their size.

    Both ways are `cv2.resize` with `INTER_LINEAR`: the four nearest pixels, without
    antialiasing, which aliases where the scale is small, as careless processing does.
    The sides in between are max(1, round(scale × side)), the product taken in float32
    and halves rounded to even; the pixels in between are uint8.

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


def gaussian_noise(
    images: jax.Array, sizes: jax.Array, variances: jax.Array, keys: jax.Array
) -> jax.Array:
    """Adds independent normal noise to every sample, clips, and rounds to nearest.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        sizes: int32 `[batch, 2]`; not needed, as noise knows no border.
        variances: float32 `[batch]`, not negative, on the scale where white is 1.
        keys: Typed keys `[batch]`, one for each picture.

    Returns:
        uint8 `[batch, height, width, 3]`.
    """
    del sizes
    height, width = images.shape[1:3]
    num_runs = -(-width // _RUN)

    # A key for every run of pixels: what is drawn at a place must not depend on how
    # wide the batch is.
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
    """Integer weights `[batch, 2 radius + 1]` that add up to 1 in `_BLUR_BITS`.

    What the rounding of a weight leaves is carried to the next towards the centre, and
    the centre takes what is missing in the sum, so that flat regions stay as they are.
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


def _mirror(places: jax.Array, lengths: jax.Array) -> jax.Array:
    """Folds places beyond the ends of `[0, length)` back, around the end pixels."""
    period = jnp.maximum(2 * (lengths - 1), 1)
    folded = places % period
    return jnp.minimum(folded, period - folded) * (lengths > 1)


def _resample(images: jax.Array, sizes: jax.Array, targets: jax.Array) -> jax.Array:
    """Bilinear resampling of each picture from its size to another within the batch."""
    rows = _linear_taps(images.shape[1], sizes[:, 0], targets[:, 0])
    columns = _linear_taps(images.shape[2], sizes[:, 1], targets[:, 1])
    one = 1 << _RESIZE_BITS
    first, second, weight = columns
    weight = weight[:, None, :, None]
    values = images.astype(jnp.int32)
    values = (
        _take(values, first, 2) * (one - weight) + _take(values, second, 2) * weight
    )
    # OpenCV drops bits before each product and keeps two of them for the last rounding.
    values >>= 4
    first, second, weight = rows
    weight = weight[:, :, None, None]
    above = ((one - weight) * _take(values, first, 1)) >> 16
    below = (weight * _take(values, second, 1)) >> 16
    return ((above + below + 2) >> 2).astype(jnp.uint8)


def _linear_taps(
    length: int, sources: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where each pixel of a line comes from.

    Args:
        length: Pixels of the line in the batch.
        sources: int32 `[batch]`, pixels of the line before.
        targets: int32 `[batch]`, pixels after.

    Returns:
        Indices of the two neighbours and the weight of the second, each int32
        `[batch, length]`.
    """
    sources, targets = sources[:, None], targets[:, None]
    # Pixel centres agree: (place + ½) sources / targets - ½, as a fraction of integers.
    places = jnp.minimum(jnp.arange(length), targets - 1)
    numerator = (2 * places + 1) * sources - targets
    denominator = 2 * targets
    first = numerator // denominator
    rest = numerator - first * denominator
    weight = ((rest << (_RESIZE_BITS + 1)) + denominator) // (2 * denominator)
    weight = jnp.where(first < 0, 0, weight)
    first = jnp.clip(first, 0, sources - 1)
    return first, jnp.minimum(first + 1, sources - 1), weight


def _take(values: jax.Array, indices: jax.Array, axis: int) -> jax.Array:
    """Picks lines along an axis, other ones for each picture: `indices[batch, n]`."""

    def pick(picture: jax.Array, own: jax.Array) -> jax.Array:
        return jnp.take(picture, own, axis=axis - 1, mode="clip")

    return jax.vmap(pick)(values, indices)

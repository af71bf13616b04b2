# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""AutoGAN's detector: a residual network on the spectrum of the picture.

Generators upsample their feature maps step by step, which leaves copies of the spectrum
at high frequencies.

References:
    Zhang, Karaman, Chang: "Detecting and simulating artifacts in GAN fake images", WIFS
    2019.
"""

import functools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, pretrained, resnet
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

Bounds = tuple[jax.Array, jax.Array]

PREPROCESSING = Preprocessing(Framing.square(256), bgr=True)
CROP = 224

# Added to the magnitude, for pixels in [0, 1], before the logarithm.
_OFFSET = 1e-3
# The quantiles of the spectrum that are mapped to −1 and 1.
_LOW, _HIGH = 0.05, 0.95


class AutoGanNet(nn.Module):
    """ResNet-34 on the spectrum of a crop: 21,285,698 parameters for two classes.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the network's computation; spectrum and logits are float32.
    """

    num_classes: int
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, resnet.Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 256, 256, 3]`, BGR, 0–255 (`PREPROCESSING`).
            train: Whether the crop is random, with the PRNG `dropout`, and batch
                normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and named outputs in network
            order: `spectrum`, then those of `resnet.ResNet`.
        """
        key = self.make_rng("dropout") if train else None
        planes = spectrum(crop(images, CROP, key))
        network = resnet.ResNet(34, self.num_classes, self.dtype, name="resnet")
        logits, out = network(planes, train=train)
        return logits, {"spectrum": planes, **out}


def crop(images: jax.Array, side: int, key: jax.Array | None = None) -> jax.Array:
    """Cuts a square out of each picture.

    Args:
        images: `[batch, height, width, channels]`, at least `side` high and wide.
        side: Side of the square, pixels.
        key: PRNG key that draws a position for each picture, uniformly; None for the
            centre.

    Returns:
        `[batch, side, side, channels]`.
    """
    room = np.subtract(images.shape[1:3], side)
    if key is None:
        top, left = room // 2
        return images[:, top : top + side, left : left + side]
    corners = jax.random.randint(key, (len(images), 2), 0, room + 1)

    def one(image: jax.Array, corner: jax.Array) -> jax.Array:
        start = (corner[0], corner[1], 0)
        return lax.dynamic_slice(image, start, (side, side, image.shape[-1]))

    return jax.vmap(one)(images, corners)


def spectrum(images: jax.Array) -> jax.Array:
    """Computes the spectrum of each channel as AutoGAN's network takes it.

    `x = log(|F| + 0.001)` for pixels in [0, 1], then `2 (x − p5) / (p95 − p5) − 1`
    with the 5th and the 95th percentile of the channel, clipped to ±1. Where the
    percentiles are equal, as for a picture of one colour, values up to them become −1.

    Args:
        images: Float `[batch, height, width, channels]`, 0–255.

    Returns:
        float32 of the same shape, −1 to 1. Frequency 0 is in the first row and column,
        not shifted to the centre.
    """
    width = images.shape[2]
    values = jnp.log(_half_magnitudes(images.astype(jnp.float32) / 255) + _OFFSET)
    low, high = (bound[..., None, None] for bound in _half_percentiles(values, width))
    # float32 does not resolve smaller differences of the logarithm.
    extent = jnp.maximum(high - low, jnp.finfo(jnp.float32).eps)
    scaled = jnp.clip(2 * ((values - low) / extent - 0.5), -1, 1)
    # |F| of real values is even: the right half mirrors the left one.
    mirrored = jnp.roll(scaled[:, :, ::-1], 1, axis=2)
    right = mirrored[..., (width - 1) // 2 : 0 : -1]
    return jnp.concatenate([scaled, right], axis=-1).transpose(0, 2, 3, 1)


def _half_magnitudes(images: jax.Array) -> jax.Array:
    """|F| of `[b, h, w, c]` as `[b, c, h, w // 2 + 1]`, by two matrix products.

    A fast transform takes a third of the time on CPUs, but XLA gathers a sharded batch
    for it, whereas matrix products stay local. They take about a percent of the
    network's time.
    """
    height, width = images.shape[1:3]
    half = width // 2 + 1
    mean = images.mean((1, 2), keepdims=True)
    # Subtracting the mean, by far the largest term, saves float32 precision.
    cosines, sines = _waves(width)
    along = jnp.einsum(
        "bhwc,wk->bchk",
        images - mean,
        np.concatenate([cosines[:, :half], sines[:, :half]], axis=1),
        precision=lax.Precision.HIGHEST,
    )
    # (C − iS)(a − ib) = (Ca − Sb) − i(Sa + Cb)
    cosines, sines = _waves(height)
    both = jnp.einsum(
        "rh,bchk->bcrk",
        np.block([[cosines, -sines], [sines, cosines]]),
        jnp.concatenate([along[..., :half], along[..., half:]], axis=2),
        precision=lax.Precision.HIGHEST,
    )
    squares = jnp.square(both[:, :, :height]) + jnp.square(both[:, :, height:])
    # Frequency 0 is the sum of all pixels, which the mean has removed.
    total = jnp.abs(mean[:, 0, 0]) * (height * width)
    return jnp.sqrt(squares).at[:, :, 0, 0].set(total)


def _waves(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of all frequencies, float32 `[size, size]`."""
    # Reducing the angle in integers keeps it exact.
    turns = np.outer(np.arange(size), np.arange(size)) % size / size
    angles = 2 * math.pi * turns
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _half_percentiles(values: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """The 5th and 95th percentile of whole spectra, computed from their left halves.

    As in NumPy, quantile p of n sorted values is at position p (n − 1), interpolated
    linearly between neighbours.

    Args:
        values: float32 `[b, c, height, width // 2 + 1]`.
        width: Width of the whole spectrum.

    Returns:
        Both percentiles, float32 `[b, c]`.
    """
    # How often each column occurs in the whole spectrum.
    counts = np.full(values.shape[-1], 2, np.int32)
    counts[0] = 1
    if width % 2 == 0:
        counts[-1] = 1
    last = values.shape[-2] * width - 1
    places = [share * last for share in (_LOW, _HIGH)]
    neighbours = _select(_to_keys(values), counts, [int(place) for place in places])
    low, high = (
        below + (above - below) * (place % 1)
        for place, (below, above) in zip(places, neighbours, strict=True)
    )
    return low, high


def _select(
    keys: jax.Array, counts: np.ndarray, places: Sequence[int]
) -> list[tuple[jax.Array, jax.Array]]:
    """The sorted values at the given positions, and at the positions after them.

    Bisects the bits of the keys, which is exact; XLA's sort takes several times as long
    on CPUs.

    Args:
        keys: int32 `[..., height, columns]`, see `_to_keys`.
        counts: int32 `[columns]`, how often each column counts.
        places: Positions in ascending order, counted from 0.

    Returns:
        For each position two arrays, float32 `[...]`.
    """
    limits = jnp.iinfo(jnp.int32)

    def num_up_to(bound: jax.Array) -> jax.Array:
        below = keys <= bound[..., None, None]
        return jnp.sum(jnp.where(below, counts, 0), axis=(-2, -1))

    def halve(place: int, low: jax.Array, high: jax.Array) -> Bounds:
        # The mean, rounded down, without overflow.
        middle = (low & high) + ((low ^ high) >> 1)
        reached = num_up_to(middle) > place
        return jnp.where(reached, low, middle + 1), jnp.where(reached, middle, high)

    def halve_all(_: int, bounds: list[Bounds]) -> list[Bounds]:
        return [halve(place, *pair) for place, pair in zip(places, bounds, strict=True)]

    shape = keys.shape[:-2]
    ends = jnp.full(shape, limits.min), jnp.full(shape, limits.max)
    bounds = lax.fori_loop(0, limits.bits, halve_all, [ends] * len(places))
    result = []
    for place, (found, _) in zip(places, bounds, strict=True):
        is_larger = keys > found[..., None, None]
        larger = jnp.where(is_larger, keys, limits.max).min((-2, -1))
        following = jnp.where(num_up_to(found) > place + 1, found, larger)
        result.append((_from_keys(found), _from_keys(following)))
    return result


def _to_keys(values: jax.Array) -> jax.Array:
    """int32 keys with the same order as float32 values."""
    bits = lax.bitcast_convert_type(values, jnp.int32)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(jnp.int32).max, bits)


def _from_keys(keys: jax.Array) -> jax.Array:
    bits = jnp.where(keys < 0, keys ^ jnp.iinfo(jnp.int32).max, keys)
    return lax.bitcast_convert_type(bits, jnp.float32)


DETECTOR = NetworkDetector(
    name="autogan",
    build=AutoGanNet,
    preprocessing=PREPROCESSING,
    recipe=Recipe(
        optimizer="torch_sgd",
        learning_rate=0.01,
        momentum=0.9,
        dampening=0.9,
        weight_decay=1e-4,
        batch_size=16,
        num_epochs=20,
    ),
    pretrained=pretrained.RESNET34,
    start_from=functools.partial(pretrained.start_from, inside="resnet"),
)

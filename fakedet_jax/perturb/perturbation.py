# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The perturbations that can be asked for by name, and what their strengths mean."""

import dataclasses
import math
from collections.abc import Callable

import jax
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import codecs, operations

# From uint8 [batch, height, width, 3], sizes int32 [batch, 2], strengths float32
# [batch] and keys [batch] to pictures and their sizes.
DeviceFn = Callable[
    [jax.Array, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]
]
# From uint8 [height, width, 3] and a strength to such a picture.
HostFn = Callable[[np.ndarray, float], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Operation:
    """A kind of perturbation.

    Attributes:
        title: What it is called in a figure.
        strength_name: What its strength is, with the unit.
        expected: The valid strengths in words.
        accepts: Whether a finite strength is valid.
        on_device: What it does to a batch; None for what only the host can do.
        on_host: What it does to a picture; None for what the device does.
    """

    title: str
    strength_name: str
    expected: str
    accepts: Callable[[float], bool]
    on_device: DeviceFn | None = None
    on_host: HostFn | None = None


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """An operation at a strength.

    Attributes:
        operation: A name in `OPERATIONS`.
        strength: As the operation measures it.

    Raises:
        RequestError: There is no such operation, or the strength is not valid.

    >>> Perturbation("resize", 1.5)
    Traceback (most recent call last):
    fakedet_jax.errors.RequestError: resize: expected a scale in (0, 1], found 1.5
    """

    operation: str
    strength: float

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise RequestError(
                f"expected the perturbation {', '.join(OPERATIONS)}, found "
                f"{self.operation!r}"
            )
        kind = self.kind
        if not math.isfinite(self.strength) or not kind.accepts(self.strength):
            raise RequestError(
                f"{self.operation}: expected {kind.expected}, found {self.strength:g}"
            )

    def __str__(self) -> str:
        return f"{self.operation} {self.strength:g}"

    @property
    def kind(self) -> Operation:
        """What the operation is."""
        return OPERATIONS[self.operation]


def _jpeg(picture: np.ndarray, strength: float) -> np.ndarray:
    return codecs.jpeg(picture, int(strength))


def _gaussian_blur(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    del keys
    return operations.gaussian_blur(images, sizes, strengths), sizes


def _resize(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    del keys
    return operations.resize(images, sizes, strengths), sizes


def _gaussian_noise(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return operations.gaussian_noise(images, sizes, strengths, keys), sizes


OPERATIONS = {
    "jpeg": Operation(
        title="JPEG compression",
        strength_name="quality",
        expected=f"a whole quality from 0 to {codecs.MAX_QUALITY}",
        accepts=lambda quality: (
            0 <= quality <= codecs.MAX_QUALITY and quality == int(quality)
        ),
        on_host=_jpeg,
    ),
    "gaussian_blur": Operation(
        title="Gaussian blur, 3 × 3",
        strength_name="standard deviation, pixels",
        expected="a positive standard deviation in pixels",
        accepts=lambda sigma: sigma > 0,
        on_device=_gaussian_blur,
    ),
    "resize": Operation(
        title="Resize, down and back",
        strength_name="scale",
        expected="a scale in (0, 1]",
        accepts=lambda scale: 0 < scale <= 1,
        on_device=_resize,
    ),
    "gaussian_noise": Operation(
        title="Gaussian noise",
        strength_name="variance, white is 1",
        expected="a variance that is not negative",
        accepts=lambda variance: variance >= 0,
        on_device=_gaussian_noise,
    ),
}

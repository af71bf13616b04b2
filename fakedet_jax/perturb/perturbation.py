# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The perturbations that can be asked for by name, and what their strengths mean."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import codecs, operations

# From uint8 [batch, height, width, 3], sizes int32 [batch, 2], strengths float32
# [batch] and keys [batch] to pictures and their sizes.
DeviceFn = Callable[
    [jax.Array, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]
]
# From the first three to pictures of the same sizes.
PictureFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
# From uint8 [height, width, 3] and a strength to such a picture.
HostFn = Callable[[np.ndarray, float], np.ndarray]

# What a mix is called: of operations, and of the strengths of one.
MIX = "mix"

_MAX_GAIN = 100 * (operations.MAX_ENLARGEMENT - 1)
# Beyond these all but a few grey levels become one.
_MIN_GAMMA, _MAX_GAMMA = 0.01, 100


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
        is_random: Whether what it does depends on the key.
    """

    title: str
    strength_name: str
    expected: str
    accepts: Callable[[float], bool]
    on_device: DeviceFn | None = None
    on_host: HostFn | None = None
    is_random: bool = False


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


@dataclasses.dataclass(frozen=True)
class Mix:
    """One of several perturbations, another one for each picture.

    Attributes:
        choices: The perturbations, of one operation or of several. Operations are
            equally likely, and so are the strengths of each.

    Raises:
        RequestError: There is nothing to choose from.

    >>> str(Mix((Perturbation("jpeg", 90), Perturbation("jpeg", 60))))
    'jpeg-mix'
    """

    choices: tuple[Perturbation, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise RequestError("mix: expected at least one perturbation, found none")

    def __str__(self) -> str:
        return MIX if self.operation == MIX else f"{self.operation}-{MIX}"

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the operations, in the order of the choices."""
        return tuple(dict.fromkeys(choice.operation for choice in self.choices))

    @property
    def operation(self) -> str:
        """The name of the operation if there is one, else "mix"."""
        names = self.operations
        return names[0] if len(names) == 1 else MIX

    @property
    def strength(self) -> str:
        """What stands for the strength in a table."""
        return MIX

    def draw(self, number: int) -> Perturbation:
        """Makes a choice of a random number, which should have many bits."""
        number, place = divmod(number, len(self.operations))
        name = self.operations[place]
        own = [choice for choice in self.choices if choice.operation == name]
        return own[number % len(own)]


def _jpeg(picture: np.ndarray, strength: float) -> np.ndarray:
    return codecs.jpeg(picture, int(strength))


def _scale_up(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    del keys
    return operations.scale(images, sizes, 100 + _whole(strengths))


def _scale_down(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    del keys
    return operations.scale(images, sizes, 100 - _whole(strengths))


def _whole(strengths: jax.Array) -> jax.Array:
    return strengths.astype(jnp.int32)


def _gaussian_noise(
    images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return operations.gaussian_noise(images, sizes, strengths, keys), sizes


def _keeping_size(function: PictureFn) -> DeviceFn:
    """What needs no randomness and leaves pictures as large as they are."""

    def on_device(
        images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del keys
        return function(images, sizes, strengths), sizes

    return on_device


def _filter(title: str, function: PictureFn) -> Operation:
    """A filter whose strength is the size of its kernel."""
    *others, largest = map(str, operations.KERNEL_SIZES)
    return Operation(
        title=title,
        strength_name="kernel size, pixels",
        expected=f"a kernel size of {', '.join(others)} or {largest}",
        accepts=lambda size: size in operations.KERNEL_SIZES,
        on_device=_keeping_size(
            lambda images, sizes, strengths: function(images, sizes, _whole(strengths))
        ),
    )


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
        on_device=_keeping_size(operations.gaussian_blur),
    ),
    "resize": Operation(
        title="Resize, down and back",
        strength_name="scale",
        expected="a scale in (0, 1]",
        accepts=lambda scale: 0 < scale <= 1,
        on_device=_keeping_size(operations.resize),
    ),
    "gaussian_noise": Operation(
        title="Gaussian noise",
        strength_name="variance, white is 1",
        expected="a variance that is not negative",
        accepts=lambda variance: variance >= 0,
        on_device=_gaussian_noise,
        is_random=True,
    ),
    "mean_filter": _filter("Mean filter", operations.mean_filter),
    "median_filter": _filter("Median filter", operations.median_filter),
    "gaussian_filter": _filter("Gaussian filter", operations.gaussian_filter),
    "gamma_correction": Operation(
        title="Gamma correction",
        strength_name="gamma; 1 changes nothing",
        expected=f"a gamma from {_MIN_GAMMA} to {_MAX_GAMMA}",
        accepts=lambda gamma: _MIN_GAMMA <= gamma <= _MAX_GAMMA,
        on_device=_keeping_size(operations.gamma_correction),
    ),
    "jpeg2000": Operation(
        title="JPEG 2000 compression",
        strength_name="compression ratio",
        expected=f"a ratio from {codecs.MIN_RATIO} to {codecs.MAX_RATIO}",
        accepts=lambda ratio: codecs.MIN_RATIO <= ratio <= codecs.MAX_RATIO,
        on_host=codecs.jpeg2000,
    ),
    # Pictures stay at the new size; what scores them brings them to its input's.
    "scale_up": Operation(
        title="Scaling up",
        strength_name="per cent that the sides gain",
        expected=f"a whole percentage from 0 to {_MAX_GAIN}",
        accepts=lambda gain: 0 <= gain <= _MAX_GAIN and gain == int(gain),
        on_device=_scale_up,
    ),
    "scale_down": Operation(
        title="Scaling down",
        strength_name="per cent that the sides lose",
        expected="a whole percentage from 0 to 99",
        accepts=lambda loss: 0 <= loss <= 99 and loss == int(loss),
        on_device=_scale_down,
    ),
}

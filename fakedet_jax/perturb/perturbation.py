# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The operations that perturb pictures, by name, and perturbations of a strength.

A new operation is a function in `operations` or `codecs` and a row here. Other packages
add theirs with `register`.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import codecs, operations
from fakedet_jax.runtime.registry import Registry

# (images uint8 [batch, height, width, 3], sizes int32 [batch, 2], strengths float32
# [batch], keys [batch]) → (images, sizes).
DeviceFn = Callable[
    [jax.Array, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]
]
# (images, sizes, strengths) → images of the same sizes.
PictureFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
# (picture uint8 [height, width, 3], strength) → picture.
HostFn = Callable[[np.ndarray, float], np.ndarray]

# Name of a mix of operations, or of the strengths of one operation.
MIX = "mix"

_MAX_GAIN = 100 * (operations.MAX_ENLARGEMENT - 1)
# Beyond these limits most grey levels fall together.
_MIN_GAMMA, _MAX_GAMMA = 0.01, 100


@dataclasses.dataclass(frozen=True)
class Operation:
    """A kind of perturbation.

    Either `on_device` or `on_host` is given.

    Attributes:
        name: Name in specifications such as `NAME:STRENGTH`.
        title: Name in figures.
        strength_name: Meaning of the strength, with its unit.
        expected: The valid strengths in words, for messages.
        accepts: Whether a finite strength is valid.
        on_device: Perturbs a padded batch; see `operations`. Compiled by JAX.
        on_host: Perturbs one picture, outside of JAX.
        is_random: Whether the result depends on the keys.
    """

    name: str
    title: str
    strength_name: str
    expected: str
    accepts: Callable[[float], bool]
    on_device: DeviceFn | None = None
    on_host: HostFn | None = None
    is_random: bool = False

    def __post_init__(self) -> None:
        if (self.on_device is None) == (self.on_host is None):
            raise ValueError(f"{self.name}: expected either on_device or on_host")


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """An operation with a strength.

    Attributes:
        operation: A name in `OPERATIONS`.
        strength: Strength, in the unit of the operation.

    Raises:
        RequestError: The operation is unknown, or the strength is not valid.

    >>> Perturbation("resize", 1.5)
    Traceback (most recent call last):
    fakedet_jax.errors.RequestError: resize: expected a scale in (0, 1], found 1.5
    """

    operation: str
    strength: float

    def __post_init__(self) -> None:
        kind = self.kind
        if not math.isfinite(self.strength) or not kind.accepts(self.strength):
            raise RequestError(
                f"{self.operation}: expected {kind.expected}, found {self.strength:g}"
            )

    def __str__(self) -> str:
        return f"{self.operation} {self.strength:g}"

    @property
    def kind(self) -> Operation:
        """The operation, looked up by its name."""
        return OPERATIONS[self.operation]


@dataclasses.dataclass(frozen=True)
class Mix:
    """Several perturbations, of which one is drawn for each picture.

    Attributes:
        choices: The perturbations, of one operation or of several. All operations are
            equally likely, and so are all strengths of an operation.

    Raises:
        RequestError: `choices` is empty.

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
        """The name of the operation, or "mix" if there are several."""
        names = self.operations
        return names[0] if len(names) == 1 else MIX

    @property
    def strength(self) -> str:
        """The entry for the strength in tables."""
        return MIX

    def draw(self, number: int) -> Perturbation:
        """Chooses one of the perturbations.

        Args:
            number: A random number, at least 0, with many more bits than needed.
        """
        number, place = divmod(number, len(self.operations))
        name = self.operations[place]
        own = [choice for choice in self.choices if choice.operation == name]
        return own[number % len(own)]


OPERATIONS = Registry[Operation]("perturb")

names = OPERATIONS.names
register = OPERATIONS.add
unregister = OPERATIONS.unregister


def _scaling(sign: int) -> DeviceFn:
    """Changes the sides by a percentage: 1 enlarges them, -1 shrinks them."""

    def on_device(
        images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del keys
        return operations.scale(images, sizes, 100 + sign * _whole(strengths))

    return on_device


def _whole(strengths: jax.Array) -> jax.Array:
    return strengths.astype(jnp.int32)


def _keeping_size(function: PictureFn) -> DeviceFn:
    """Wraps a function that is not random and keeps the sizes of pictures."""

    def on_device(
        images: jax.Array, sizes: jax.Array, strengths: jax.Array, keys: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del keys
        return function(images, sizes, strengths), sizes

    return on_device


def _filter(name: str, title: str, function: PictureFn) -> Operation:
    """A filter whose strength is the size of its kernel."""
    *others, largest = map(str, operations.KERNEL_SIZES)
    return Operation(
        name=name,
        title=title,
        strength_name="kernel size, pixels",
        expected=f"a kernel size of {', '.join(others)} or {largest}",
        accepts=lambda size: size in operations.KERNEL_SIZES,
        on_device=_keeping_size(
            lambda images, sizes, strengths: function(images, sizes, _whole(strengths))
        ),
    )


register(
    Operation(
        name="jpeg",
        title="JPEG compression",
        strength_name="quality",
        expected=f"a whole quality from 0 to {codecs.MAX_QUALITY}",
        accepts=lambda quality: (
            0 <= quality <= codecs.MAX_QUALITY and quality == int(quality)
        ),
        on_host=lambda picture, quality: codecs.jpeg(picture, int(quality)),
    ),
)
register(
    Operation(
        name="gaussian_blur",
        title="Gaussian blur, 3 × 3",
        strength_name="standard deviation, pixels",
        expected="a positive standard deviation in pixels",
        accepts=lambda sigma: sigma > 0,
        on_device=_keeping_size(operations.gaussian_blur),
    ),
)
register(
    Operation(
        name="resize",
        title="Resize, down and back",
        strength_name="scale",
        expected="a scale in (0, 1]",
        accepts=lambda scale: 0 < scale <= 1,
        on_device=_keeping_size(operations.resize),
    ),
)
register(
    Operation(
        name="gaussian_noise",
        title="Gaussian noise",
        strength_name="variance, white is 1",
        expected="a variance that is not negative",
        accepts=lambda variance: variance >= 0,
        on_device=lambda images, sizes, variances, keys: (
            operations.gaussian_noise(images, sizes, variances, keys),
            sizes,
        ),
        is_random=True,
    ),
)
register(_filter("mean_filter", "Mean filter", operations.mean_filter))
register(_filter("median_filter", "Median filter", operations.median_filter))
register(_filter("gaussian_filter", "Gaussian filter", operations.gaussian_filter))
register(
    Operation(
        name="gamma_correction",
        title="Gamma correction",
        strength_name="gamma; 1 changes nothing",
        expected=f"a gamma from {_MIN_GAMMA} to {_MAX_GAMMA}",
        accepts=lambda gamma: _MIN_GAMMA <= gamma <= _MAX_GAMMA,
        on_device=_keeping_size(operations.gamma_correction),
    ),
)
register(
    Operation(
        name="jpeg2000",
        title="JPEG 2000 compression",
        strength_name="compression ratio",
        expected=f"a ratio from {codecs.MIN_RATIO} to {codecs.MAX_RATIO}",
        accepts=lambda ratio: codecs.MIN_RATIO <= ratio <= codecs.MAX_RATIO,
        on_host=codecs.jpeg2000,
    ),
)
# Pictures stay at the new size; what scores them brings them to its input's.
register(
    Operation(
        name="scale_up",
        title="Scaling up",
        strength_name="per cent that the sides gain",
        expected=f"a whole percentage from 0 to {_MAX_GAIN}",
        accepts=lambda gain: 0 <= gain <= _MAX_GAIN and gain == int(gain),
        on_device=_scaling(1),
    ),
)
register(
    Operation(
        name="scale_down",
        title="Scaling down",
        strength_name="per cent that the sides lose",
        expected="a whole percentage from 0 to 99",
        accepts=lambda loss: 0 <= loss <= 99 and loss == int(loss),
        on_device=_scaling(-1),
    ),
)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Robustness suites: fixed tables of perturbations, so that results can be compared.

A suite never changes under its name and version. Another grid, seed or order is another
version. Other packages add suites with `register`.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: four perturbations at five
    intensities each. The paper does not print its grid; the one here is a choice.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: mean, median and Gaussian filters, gamma correction,
    JPEG, JPEG 2000 and scaling, with fixed strengths and with strengths drawn for each
    picture. The paper prints only the ranges of JPEG and JPEG 2000; the steps are a
    choice.
"""

import dataclasses
import itertools

import jax

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb.perturbation import MIX, Mix, Perturbation
from fakedet_jax.runtime.registry import Registry


@dataclasses.dataclass(frozen=True)
class Suite:
    """Conditions under which a detector is measured.

    Attributes:
        name: Value of the setting `suite` that selects it.
        version: Increases whenever one of the other attributes changes.
        seed: Seed of random operations and mixes.
        conditions: Grouped by operation, each from mild to severe, or by strength where
            both ends are severe; then, if there are any, the mixes of each operation's
            strengths and last the mix of all.
    """

    name: str
    version: int
    seed: int
    conditions: tuple[Perturbation | Mix, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the operations, in the order of the conditions."""
        names = dict.fromkeys(item.operation for item in self.conditions)
        return tuple(name for name in names if name != MIX)

    def key(self, index: int) -> jax.Array:
        """The random key of a condition, the same on every machine.

        Args:
            index: Position in `conditions`.
        """
        return jax.random.fold_in(jax.random.key(self.seed, impl="threefry2x32"), index)


_SUITES = Registry[Suite]("suite")

names = _SUITES.names
create = _SUITES.__getitem__
register = _SUITES.add
unregister = _SUITES.unregister


def mix_of(operation: str) -> Mix:
    """The mix of an operation's strengths in the first suite that applies it.

    Args:
        operation: Name of the operation.

    Raises:
        RequestError: No suite applies the operation.

    >>> [choice.strength for choice in mix_of("mean_filter").choices]
    [3, 5, 7]
    """
    for name in names():
        grid = _single(_SUITES[name])
        own = tuple(one for one in grid if one.operation == operation)
        if own:
            return Mix(own)
    raise RequestError(
        f"`perturb`: no suite applies {operation!r}, so that it has no {MIX}; give a "
        "strength"
    )


def mix_of_all() -> Mix:
    """The mix of all operations and strengths of the suite `amten`."""
    return Mix(_single(_SUITES["amten"]))


def _single(suite: Suite) -> tuple[Perturbation, ...]:
    """The conditions of a suite that are no mixes."""
    return tuple(one for one in suite.conditions if isinstance(one, Perturbation))


def _grid(**strengths: tuple[float, ...]) -> tuple[Perturbation, ...]:
    return tuple(
        Perturbation(operation, strength)
        for operation, own in strengths.items()
        for strength in own
    )


def _with_mixes(grid: tuple[Perturbation, ...]) -> tuple[Perturbation | Mix, ...]:
    """Appends a mix for each operation, and one of all."""
    mixes = [
        Mix(tuple(own)) for _, own in itertools.groupby(grid, lambda one: one.operation)
    ]
    return (*grid, *mixes, Mix(grid))


# In this order: `mix_of` takes the first suite that applies an operation.
register(
    Suite(
        name="amten",
        version=1,
        seed=0,
        conditions=_with_mixes(
            _grid(
                mean_filter=(3, 5, 7),
                median_filter=(3, 5, 7),
                gaussian_filter=(3, 5, 7),
                gamma_correction=(0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2),
                jpeg=(90, 85, 80, 75, 70, 65, 60),
                jpeg2000=(2, 4, 6, 8),
                scale_up=(1, 3, 5, *range(10, 91, 10)),
                scale_down=(1, 3, 5, *range(10, 46, 5)),
            )
        ),
    )
)
register(
    Suite(
        name="fakespotter",
        version=1,
        seed=0,
        conditions=_grid(
            jpeg=(90, 70, 50, 30, 10),
            gaussian_blur=(0.5, 1, 1.5, 2, 3),
            resize=(0.9, 0.75, 0.5, 0.35, 0.25),
            gaussian_noise=(0.001, 0.005, 0.01, 0.02, 0.05),
        ),
    )
)

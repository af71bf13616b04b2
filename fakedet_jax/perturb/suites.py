# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Robustness suites: frozen tables of perturbations, whose numbers can be compared.

A table never changes under its name and version: whoever wants another grid, seed or
order writes another version.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: four perturbations at five
    intensities each. The paper does not print its grid; the one here is a choice.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: mean, median and Gaussian filters, gamma correction,
    JPEG, JPEG 2000 and scaling, with strengths of their own and drawn for each picture.
    The steps of JPEG and JPEG 2000 between the ends of their ranges are a choice.
"""

import dataclasses
import itertools

import jax

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb.perturbation import MIX, Mix, Perturbation


@dataclasses.dataclass(frozen=True)
class Suite:
    """Conditions under which a detector is measured.

    Attributes:
        name: As the setting `suite` names it.
        version: Rises when anything else here changes.
        seed: Of whatever is random.
        conditions: Each operation's from mild to severe, or in the order of the
            strength where there are two ways to be severe; then, if there are any, the
            mixes of each operation's strengths and at last of everything.
    """

    name: str
    version: int
    seed: int
    conditions: tuple[Perturbation | Mix, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the operations, in the order of the conditions."""
        names = dict.fromkeys(item.operation for item in self.conditions)
        return tuple(name for name in names if name != MIX)

    def key(self, index: int) -> jax.Array:
        """The key of the condition at an index, of the same kind on every machine."""
        return jax.random.fold_in(jax.random.key(self.seed, impl="threefry2x32"), index)


def create(name: str) -> Suite:
    """Looks a suite up.

    Raises:
        RequestError: There is none of this name.
    """
    if name not in _SUITES:
        raise RequestError(f"`suite`: expected {', '.join(names())}, found {name!r}")
    return _SUITES[name]


def names() -> list[str]:
    """The valid names, sorted."""
    return sorted(_SUITES)


def mix_of(operation: str) -> Mix:
    """All strengths at which the suites apply an operation.

    Raises:
        RequestError: No suite applies it.

    >>> [choice.strength for choice in mix_of("mean_filter").choices]
    [3, 5, 7]
    """
    for name in names():
        grid = [
            one for one in _SUITES[name].conditions if isinstance(one, Perturbation)
        ]
        own = tuple(one for one in grid if one.operation == operation)
        if own:
            return Mix(own)
    raise RequestError(f"mix: no suite applies {operation!r}; give a strength")


def mix_of_all() -> Mix:
    """All operations and strengths of AMTENnet's paper."""
    conditions = _SUITES["amten"].conditions
    return Mix(tuple(one for one in conditions if isinstance(one, Perturbation)))


def _grid(**strengths: tuple[float, ...]) -> tuple[Perturbation, ...]:
    return tuple(
        Perturbation(operation, strength)
        for operation, own in strengths.items()
        for strength in own
    )


def _with_mixes(grid: tuple[Perturbation, ...]) -> tuple[Perturbation | Mix, ...]:
    """Adds a mix for each operation, and one of all."""
    mixes = [
        Mix(tuple(own)) for _, own in itertools.groupby(grid, lambda one: one.operation)
    ]
    return (*grid, *mixes, Mix(grid))


_SUITES = {
    suite.name: suite
    for suite in (
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
        ),
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
        ),
    )
}

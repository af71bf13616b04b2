# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Robustness suites: frozen tables of perturbations, whose numbers can be compared.

A table never changes under its name and version: whoever wants another grid, seed or
order writes another version.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: four perturbations at five
    intensities each. The paper does not print its grid; the one here is a choice.
"""

import dataclasses

import jax

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb.perturbation import Perturbation


@dataclasses.dataclass(frozen=True)
class Suite:
    """Conditions under which a detector is measured.

    Attributes:
        name: As the flag `--suite` names it.
        version: Rises when anything else here changes.
        seed: Of whatever is random.
        conditions: Each operation's from mild to severe.
    """

    name: str
    version: int
    seed: int
    conditions: tuple[Perturbation, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of the operations, in the order of the conditions."""
        return tuple(dict.fromkeys(item.operation for item in self.conditions))

    def key(self, index: int) -> jax.Array:
        """The key of the condition at an index, of the same kind on every machine."""
        return jax.random.fold_in(jax.random.key(self.seed, impl="threefry2x32"), index)


def create(name: str) -> Suite:
    """Looks a suite up.

    Raises:
        RequestError: There is none of this name.
    """
    if name not in _SUITES:
        raise RequestError(f"--suite: expected {', '.join(names())}, found {name!r}")
    return _SUITES[name]


def names() -> list[str]:
    """The valid names, sorted."""
    return sorted(_SUITES)


def _grid(**strengths: tuple[float, ...]) -> tuple[Perturbation, ...]:
    return tuple(
        Perturbation(operation, strength)
        for operation, own in strengths.items()
        for strength in own
    )


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
    )
}

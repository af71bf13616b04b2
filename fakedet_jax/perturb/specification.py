# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Perturbations as they are written on the command line."""

from collections.abc import Sequence

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import suites
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS, Mix, Perturbation

# The pictures as they are.
NONE = "none"

_EXPECTED = f"{NONE}, OPERATION:STRENGTH, OPERATION:{MIX} or {MIX}"


def parse(text: str) -> Perturbation | Mix | None:
    """Reads what is done to a picture.

    Args:
        text: `none` for nothing; `OPERATION:STRENGTH`; `OPERATION:mix` for a strength
            that is drawn for each picture among those of the suites; `mix` for an
            operation that is drawn too, among those of the suite `amten`.

    Returns:
        The perturbation, None for nothing.

    Raises:
        RequestError: It cannot be read, or there is no such perturbation.

    >>> parse("jpeg:60")
    Perturbation(operation='jpeg', strength=60.0)
    >>> str(parse("median_filter:mix")), parse("none")
    ('median_filter-mix', None)
    """
    if text == NONE:
        return None
    if text == MIX:
        return suites.mix_of_all()
    operation, separator, strength = text.partition(":")
    if not separator:
        raise RequestError(f"`perturb`: expected {_EXPECTED}, found {text!r}")
    if operation not in OPERATIONS:
        raise RequestError(
            f"`perturb`: expected {_EXPECTED} with an operation of "
            f"{', '.join(OPERATIONS)}, found {text!r}"
        )
    if strength == MIX:
        return suites.mix_of(operation)
    try:
        number = float(strength)
    except ValueError as error:
        raise RequestError(
            f"`perturb`: expected a number or {MIX} after {operation}:, found "
            f"{strength!r}"
        ) from error
    try:
        return Perturbation(operation, number)
    except RequestError as error:
        raise RequestError(f"`perturb`: {error}") from error


def parse_all(texts: Sequence[str]) -> tuple[Perturbation | Mix | None, ...]:
    """Reads several, as `parse` reads each.

    Raises:
        RequestError: One cannot be read, or is there twice.
    """
    found: dict[str, Perturbation | Mix | None] = {}
    for text in texts:
        parsed = parse(text)
        if parsed in found.values():
            raise RequestError(f"`perturb`: {text!r} is there twice; leave one out")
        found[text] = parsed
    return tuple(found.values())

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads perturbations from text such as `jpeg:60` or `median_filter:mix`."""

from collections.abc import Sequence

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import suites
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS, Mix, Perturbation

# Leaves the pictures unchanged.
NONE = "none"

_EXPECTED = f"{NONE}, OPERATION:STRENGTH, OPERATION:{MIX} or {MIX}"


def parse(text: str) -> Perturbation | Mix | None:
    """Reads the specification of a perturbation.

    Args:
        text: `none`; `OPERATION:STRENGTH`; `OPERATION:mix`, which draws a strength for
            each picture among those of the first suite that applies the operation; or
            `mix`, which draws operation and strength among those of the suite `amten`.

    Returns:
        The perturbation or mix; None for `none`.

    Raises:
        RequestError: The text is not of this form, or names an unknown operation or an
            invalid strength.

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
            f"{', '.join(OPERATIONS)}; found {text!r}"
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
    """Reads several specifications, each as `parse` does.

    Args:
        texts: The specifications.

    Returns:
        The perturbations, in the same order.

    Raises:
        RequestError: A text cannot be read, or two mean the same.
    """
    found: dict[str, Perturbation | Mix | None] = {}
    for text in texts:
        parsed = parse(text)
        if parsed in found.values():
            raise RequestError(f"`perturb`: {text!r} is given twice; leave one out")
        found[text] = parsed
    return tuple(found.values())

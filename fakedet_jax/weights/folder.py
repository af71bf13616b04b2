# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a converted network: variables through Orbax, and a card.

`card.json` says what the variables are and where they came from; it is written last,
and the folder takes its name only when it is complete.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.runtime import checkpoint, records
from fakedet_jax.weights import mapping
from fakedet_jax.weights.tensors import TensorFile, UnreadableError, check_total, count

CARD = "card.json"
_VARIABLES = "variables"
_STEP = 0


def digest(variables: mapping.Variables) -> str:
    """Identifies variables by their paths, shapes and float32 values.

    Args:
        variables: Nested dicts of arrays.

    Returns:
        SHA-256, hexadecimal; the same on every machine.

    >>> tree = {"params": {"a": {"bias": np.zeros(2)}}}
    >>> digest(tree) == digest({"params": {"a": {"bias": np.zeros(2, np.float32)}}})
    True
    """
    result = hashlib.sha256()
    for path, array in sorted(mapping.flatten(variables).items()):
        values = np.ascontiguousarray(array, "<f4")
        result.update(f"{path}\0{_to_text(values.shape)}\0".encode())
        result.update(values.data)
    return result.hexdigest()


def identity(variables: mapping.Variables) -> dict[str, Any]:
    """What a card must say of its variables: `digest`, and the shapes of `arrays`.

    Args:
        variables: Nested dicts of arrays.
    """
    shapes = {
        path: _to_text(array.shape)
        for path, array in mapping.flatten(variables).items()
    }
    return {"digest": digest(variables), "arrays": shapes}


def write_variables(output: Path, variables: mapping.Variables) -> None:
    """Writes the variables of a network into a folder, for `read`.

    Args:
        output: The folder.
        variables: Nested dicts of float32 arrays.

    Raises:
        OSError: They could not be written.
    """
    with checkpoint.Store(output / _VARIABLES, max_to_keep=None) as store:
        store.save(_STEP, variables, {})


@contextlib.contextmanager
def atomic(output: Path) -> Iterator[Path]:
    """A folder that takes its name only when it is complete.

    Args:
        output: The folder; it does not exist, or is empty.

    Yields:
        The folder under a temporary name, to be filled.

    Raises:
        OSError: It could not be made or renamed; nothing is left behind.
    """
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        temporary.replace(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@dataclasses.dataclass(frozen=True)
class _Card:
    """The fields of a card that every reader relies on."""

    model: str
    digest: str
    sha256: str
    format: str
    bytes: int
    arrays: dict[str, str]


def read_card(path: Path, field: str = "weights") -> dict[str, Any]:
    """Reads the card of a converted network.

    Args:
        path: The folder.
        field: The setting that names it.

    Raises:
        RequestError: There is none, or it is damaged.
    """
    advice = "name a file, or a folder that `mode=convert` completed"
    card = records.read(path / CARD, dict[str, Any], field=field, advice=advice)
    source = f"`{field}`: {str(path / CARD)!r}"
    records.convert(card, _Card, source=source, advice=advice)
    return card


def read(path: Path) -> TensorFile:
    """Reads a converted network.

    Args:
        path: The folder.

    Returns:
        The arrays by their paths, in our own layout.

    Raises:
        RequestError: Its card is missing or damaged.
        UnreadableError: It is incomplete or damaged otherwise.
    """
    card = read_card(path)
    try:
        shapes = {name: _to_shape(text) for name, text in card["arrays"].items()}
        check_total(4 * sum(count(shape) for shape in shapes.values()))
        # NumPy arrays in the place of the stored ones make Orbax return such.
        abstract = mapping.nest(
            {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        )
        with checkpoint.Store(path / _VARIABLES, read_only=True) as store:
            if store.steps() != [_STEP]:
                raise UnreadableError("lacks its variables; convert again")
            variables = store.read_tree(_STEP, abstract)
    except UnreadableError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, OSError) as error:
        raise UnreadableError(
            "is damaged: its variables are not what its card says; convert again"
        ) from error
    if digest(variables) != card["digest"]:
        raise UnreadableError(
            "is damaged: its numbers are not those that were converted; convert again"
        )
    return TensorFile(
        path=path,
        format=card["format"],
        layout="flax",
        tensors=mapping.flatten(variables),
        sha256=card["sha256"],
        num_bytes=card["bytes"],
    )


def _to_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _to_shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x") if size)

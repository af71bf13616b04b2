# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of named things that other packages can extend."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import text


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T")
_N = TypeVar("_N", bound=_Named)


class Registry(Generic[_T]):
    """Maps names to values; every name belongs to one value.

    >>> colours = Registry[int]("colour")
    >>> colours.register("red", 0xFF0000)
    >>> colours["red"] == 0xFF0000, colours.names()
    (True, ['red'])
    >>> colours["blue"]
    Traceback (most recent call last):
        ...
    fakedet_jax.errors.RequestError: `colour`: expected red, found 'blue'
    """

    def __init__(self, field: str) -> None:
        """Starts empty.

        Args:
            field: Name of the setting that selects a value; error messages name it.
        """
        self._field = field
        self._values: dict[str, _T] = {}

    def register(self, name: str, value: _T) -> None:
        """Adds a value.

        Args:
            name: The name that users select it by.
            value: The value.

        Raises:
            ValueError: The name is taken, or is not a plain word.
        """
        if not name.isidentifier():
            raise ValueError(
                f"{self._field}: expected a name of letters, digits and underscores, "
                f"found {name!r}"
            )
        if name in self._values:
            raise ValueError(
                f"{self._field}: {name!r} is registered already; choose another name"
            )
        self._values[name] = value

    def add(self: "Registry[_N]", value: _N) -> None:
        """Registers a value under its own `name`; see `register`."""
        self.register(value.name, value)

    def unregister(self, name: str) -> None:
        """Removes a value, such as one that a test has added."""
        del self._values[name]

    def names(self) -> list[str]:
        """The registered names, in the order of registration."""
        return list(self._values)

    def __getitem__(self, name: str) -> _T:
        """Looks a value up.

        Raises:
            RequestError: Nothing is registered under this name.
        """
        if name not in self._values:
            raise RequestError(text.unknown(self._field, name, self._values))
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

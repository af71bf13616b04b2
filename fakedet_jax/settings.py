# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings: frozen dataclasses whose fields carry their own help, choices and bounds.

A setting is said once, as a field made by `option`. All else follows from it: the
check of its value, the flag of the command line, its entry in `config.json`, and the
check that a resumed run has the same settings. `part` nests one group of settings in
another; names are flat, so that a field of a part is set like one of the whole.

>>> @dataclasses.dataclass(frozen=True)
... class Crop(Settings):
...     side: int = option(64, "Side of the crop in pixels.", minimum=8)
>>> build(Crop, {"side": 4})
Traceback (most recent call last):
    ...
fakedet_jax.errors.RequestError: `side`: expected at least 8, found 4
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.text import joined, suggest, unknown

_S = TypeVar("_S", bound="Settings")

Choices = Sequence[object] | Callable[[], Sequence[object]]


@dataclasses.dataclass(frozen=True)
class Option:
    """What is known of a setting besides its type and default.

    Attributes:
        help: One line for people.
        choices: Valid values, or a function that lists them.
        minimum: Least valid number.
        maximum: Largest valid number.
        above: Valid numbers are larger.
        below: Valid numbers are smaller.
        may_change: Whether a resumed run may have another value.
        is_architecture: Whether it decides which network is built, not how it is
            trained.
        is_stored: Whether `config.json` holds it.
        accepts_empty: Whether empty text is a value; otherwise it stands for none.
        name: What users call it; None for the name of the field.
    """

    help: str
    choices: Choices | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    may_change: bool = False
    is_architecture: bool = False
    is_stored: bool = True
    accepts_empty: bool = False
    name: str | None = None

    def check(self, name: str, value: Any) -> None:
        """Refuses a value that is no valid choice or out of bounds.

        Args:
            name: What users call the setting.
            value: The value; each element of a tuple is checked.

        Raises:
            RequestError: It is not valid.
        """
        if isinstance(value, tuple):
            wrong = [element for element in value if element not in self._choices]
            if self.choices and (wrong or not value):
                near = [suggest(str(element), self._names) for element in wrong]
                raise RequestError(
                    joined(
                        f"`{name}`: expected some of {', '.join(self._names)}, found "
                        f"{', '.join(map(repr, wrong)) or 'none'}",
                        *near,
                    )
                )
            for element in value if not self.choices else ():
                self.check(name, element)
            return
        if self.choices is not None and value not in self._choices:
            raise RequestError(unknown(name, value, self._choices))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        is_valid = (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if not is_valid:
            raise RequestError(f"`{name}`: expected {self._bounds}, found {value:g}")

    @property
    def _choices(self) -> Sequence[object]:
        found = self.choices or ()
        return found() if callable(found) else found

    @property
    def _names(self) -> list[str]:
        return [str(choice) for choice in self._choices]

    @property
    def _bounds(self) -> str:
        """The valid numbers in words."""
        low, high = self.minimum, self.maximum
        if self.above is not None and self.below is not None:
            return f"a number between {self.above:g} and {self.below:g}"
        if low is not None and self.below is not None:
            return f"a number from {low:g} to less than {self.below:g}"
        if low is not None and high is not None:
            return f"a number from {low:.12g} to {high:.12g}"
        if self.above is not None:
            limit = "" if high is None else f" up to {high:g}"
            return f"a number above {self.above:g}{limit}"
        if low is not None:
            return f"at least {low:g}"
        return "a finite number"


@dataclasses.dataclass(frozen=True)
class Part:
    """How a group of settings belongs to a whole.

    Attributes:
        select: From the values given so far to the class of the part.
        every: All classes that `select` may give.
        is_optional: Whether the part is None unless one of its fields is given.
        is_partial: Whether the value is a dictionary of the given fields alone.
        triggers: For a part that may be None: the fields of which one must be given
            for the part to be there; any of its fields where empty.
        reason: Why the other fields need a trigger, to end a message.
        only: Fields that are taken from the class; all where it is None.
    """

    select: Callable[[Mapping[str, Any]], type["Settings"]]
    every: Callable[[], Iterable[type["Settings"]]]
    is_optional: bool = False
    is_partial: bool = False
    triggers: tuple[str, ...] = ()
    reason: str = ""
    only: Callable[[Option], bool] | None = None


def option(default: Any = dataclasses.MISSING, help: str = "", **facts: Any) -> Any:
    """Declares a setting, as a field of a `Settings` class.

    Args:
        default: Its default; required where it is left out.
        help: One line for people.
        **facts: Other attributes of `Option`.

    Returns:
        A dataclass field.
    """
    return dataclasses.field(
        default=default, metadata={"option": Option(help, **facts)}
    )


def part(
    cls: type["Settings"] | None = None,
    *,
    is_optional: bool = False,
    select: Callable[[Mapping[str, Any]], type["Settings"]] | None = None,
    every: Callable[[], Iterable[type["Settings"]]] | None = None,
    **facts: Any,
) -> Any:
    """Declares a group of settings, as a field of a `Settings` class.

    Args:
        cls: Class of the group.
        is_optional: Whether the group is None unless one of its fields is given.
        select: Instead of `cls`: from the values given so far to the class.
        every: With `select`: all classes that it may give.
        **facts: Other attributes of `Part`.

    Returns:
        A dataclass field.
    """
    if cls is not None:
        fixed = cls
        found = Part(lambda values: fixed, lambda: (fixed,), is_optional, **facts)
    else:
        assert select is not None and every is not None
        found = Part(select, every, is_optional, **facts)
    metadata = {"part": found}
    if found.is_partial:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    if is_optional or cls is None:
        # Which class a selected part has is known when the whole is made.
        return dataclasses.field(default=None, metadata=metadata)
    return dataclasses.field(default_factory=cls, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all groups of settings; checks its values when it is made."""

    def __post_init__(self) -> None:
        """Checks choices and bounds, and gives selected parts their defaults.

        Raises:
            RequestError: A value is not valid.
        """
        for field in dataclasses.fields(self):
            known = field.metadata.get("option")
            value = getattr(self, field.name)
            if known is not None and value is not None:
                known.check(_name_of(field), value)
        for field in dataclasses.fields(self):
            nested = field.metadata.get("part")
            is_missing = getattr(self, field.name) is None
            if nested is not None and is_missing and not nested.is_optional:
                object.__setattr__(self, field.name, nested.select(vars(self))())


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A setting of a class or of one of its parts.

    Attributes:
        name: What users call it.
        type: Type of its value, without None.
        default: Its default; `dataclasses.MISSING` where it is required.
        option: What else is known of it.
        owner: The class that declares it.
    """

    name: str
    type: Any
    default: Any
    option: Option
    owner: type[Settings]


def leaves(
    cls: type[Settings], values: Mapping[str, Any] | None = None
) -> Iterator[Leaf]:
    """Lists the settings of a class and of its parts.

    Args:
        cls: The class.
        values: Values that decide which class a part has; None lists the settings of
            all classes that it may have.

    Yields:
        The settings; one name may come several times.
    """
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if (known := field.metadata.get("option")) is not None:
            yield Leaf(
                _name_of(field),
                _without_none(hints[field.name]),
                field.default,
                known,
                cls,
            )
        elif (nested := field.metadata.get("part")) is not None:
            classes = nested.every() if values is None else [nested.select(values)]
            for one in classes:
                for leaf in leaves(one, values):
                    if nested.is_partial:
                        # Others know what holds where it is not given.
                        leaf = dataclasses.replace(leaf, default=None)
                    if nested.only is None or nested.only(leaf.option):
                        yield leaf


def build(cls: type[_S], values: Mapping[str, Any]) -> _S:
    """Makes settings from flat values.

    Args:
        cls: Class of the settings.
        values: By the names that users know; all that is left out has its default.

    Returns:
        The settings.

    Raises:
        RequestError: A value is not valid, missing or unknown.
    """
    used: set[str] = set()
    untriggered: dict[str, str] = {}
    made = _build(cls, values, used, untriggered)
    for name in values:
        if name not in used:
            if name in untriggered:
                raise RequestError(f"`{name}`: {untriggered[name]}")
            raise RequestError(f"`{name}`: there is no such setting here; leave it out")
    return made


def to_json(settings: Settings | Mapping[str, Any]) -> dict[str, Any]:
    """The stored settings with those of all parts, flat, as JSON values.

    Args:
        settings: The settings.

    Returns:
        By the names that users know: numbers, text, booleans, lists and None; paths
        are absolute.
    """
    if isinstance(settings, Mapping):
        return {name: _to_json(value) for name, value in settings.items()}
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if "option" in field.metadata:
            if field.metadata["option"].is_stored:
                found[_name_of(field)] = _to_json(value)
        elif value is not None:
            found |= to_json(value)
    return found


def from_json(cls: type[_S], found: Mapping[str, Any], where: str, advice: str) -> _S:
    """Makes settings from a flat JSON object; what it lacks has its default.

    Args:
        cls: Class of the settings.
        found: The object; entries that are no settings of the class are ignored.
        where: Names the object in messages, such as "`workdir`: '…/config.json'".
        advice: What to do about a wrong value.

    Returns:
        The settings.

    Raises:
        RequestError: A value is of another type or not valid.
    """
    values = {}
    for leaf in leaves(cls, found):
        if found.get(leaf.name) is not None:
            try:
                values[leaf.name] = parse(leaf.type, found[leaf.name])
            except (TypeError, ValueError) as error:
                raise RequestError(
                    f"{where}: {leaf.name}: expected {describe(leaf.type)}, found "
                    f"{found[leaf.name]!r}; {advice}"
                ) from error
    try:
        return build(cls, values)
    except RequestError as error:
        raise RequestError(f"{where}: {error}; {advice}") from error


def describe(type_: Any) -> str:
    """Says in words what values of a type are.

    >>> describe(tuple[int, ...])
    'whole numbers'
    """
    if typing.get_origin(type_) is tuple:
        return {int: "whole numbers", float: "numbers"}.get(
            typing.get_args(type_)[0], "a list of names"
        )
    words = {
        bool: "true or false",
        int: "a whole number such as 10",
        float: "a number such as 0.01",
    }
    return words.get(type_, "text" if type_ is str else "a path")


def differences(
    earlier: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]
) -> list[str]:
    """Says what differs between the settings of two runs.

    Args:
        earlier: Of the run that was there first, of `to_json`.
        now: Of the run that wants to go on.
        free: Names of settings that may differ.

    Returns:
        Such as "seed=0 (now 1)".
    """
    return [
        f"{name}={earlier.get(name)!r} (now {value!r})"
        for name, value in now.items()
        if name not in free and earlier.get(name) != value
    ]


def _build(
    cls: type[_S],
    values: Mapping[str, Any],
    used: set[str],
    untriggered: dict[str, str],
) -> _S:
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if "option" in field.metadata:
            name = _name_of(field)
            if name in values:
                used.add(name)
                arguments[field.name] = values[name]
            elif (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                raise RequestError(
                    f"`{name}`: this setting is required "
                    f"({field.metadata['option'].help.rstrip('.')}), found none"
                )
        elif "part" in field.metadata:
            nested: Part = field.metadata["part"]
            chosen = nested.select(values)
            known = {
                leaf.name
                for leaf in leaves(chosen, values)
                if nested.only is None or nested.only(leaf.option)
            }
            given = {name: values[name] for name in values if name in known}
            if nested.is_partial:
                used |= set(given)
                arguments[field.name] = given
                continue
            is_triggered = bool(set(nested.triggers or known) & set(values))
            if nested.is_optional and nested.triggers and not is_triggered:
                needed = " or ".join(f"`{trigger}`" for trigger in nested.triggers)
                untriggered |= dict.fromkeys(
                    given, f"give {needed} too; {nested.reason}"
                )
            elif given or not nested.is_optional:
                arguments[field.name] = _build(chosen, values, used, untriggered)
    return cls(**arguments)


def _name_of(field: "dataclasses.Field[Any]") -> str:
    known: Option = field.metadata["option"]
    return known.name or field.name


def _without_none(hint: Any) -> Any:
    """`X` from `X | None`."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        kept = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return kept[0]
    return hint


def _to_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return [_to_json(element) for element in value]
    return value


def parse(type_: Any, value: Any) -> Any:
    """Brings a value from JSON or from the command line to the type of a setting.

    Args:
        type_: The type, as `Leaf.type`.
        value: Text, a number, a boolean, or a list of them.

    Returns:
        The value.

    Raises:
        TypeError: It is of another type.
        ValueError: It is text that is no such number.
    """
    if typing.get_origin(type_) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(type(value))
        return tuple(parse(typing.get_args(type_)[0], element) for element in value)
    if type_ is Path:
        if not isinstance(value, str | Path):
            raise TypeError(type(value))
        return Path(value)
    if type_ in (int, float) and isinstance(value, str):
        return type_(value)
    if type_ is float and type(value) is int:
        return float(value)
    if type(value) is not type_:
        raise TypeError(type(value))
    return value

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flags from settings: every setting of a mode is a flag of the same name."""

import collections
import dataclasses
import functools
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from fakedet_jax import settings, systems
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.text import suggest
from fakedet_jax.settings import Leaf, Settings

FLAGS = flags.FLAGS

_S = TypeVar("_S", bound=Settings)

# Settings that the arguments after the flags fill.
POSITIONAL = ("paths", "study")

# Flags of all modes; they say how this process runs, not what it does.
_CLUSTER = ("distributed", "coordinator_address", "num_processes", "process_id")

_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")


def define(modes: Mapping[str, type[Settings]]) -> None:
    """Defines the flags of all modes, once.

    Args:
        modes: The values of `--mode`, with the settings that each takes.
    """
    if "mode" in FLAGS:
        return
    flags.DEFINE_string("mode", None, f"What to do: {', '.join(modes)}.")
    found: dict[str, dict[str, list[Leaf]]] = collections.defaultdict(dict)
    for mode, cls in modes.items():
        for leaf in settings.leaves(cls):
            if leaf.name not in POSITIONAL:
                found[leaf.name].setdefault(mode, []).append(leaf)
    for name, by_mode in found.items():
        types = [leaf.type for leaves in by_mode.values() for leaf in leaves]
        _definer(types)(name, None, _help(by_mode))
    flags.DEFINE_bool("distributed", None, "Join the processes of a cluster.")
    flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0.")
    _definer([int])("num_processes", None, "Number of processes.")
    _definer([int])("process_id", None, "Number of this process, from 0.")


def given(modes: Mapping[str, type[Settings]]) -> dict[str, Any]:
    """The values of the flags that were given, but for `--mode` and the cluster's.

    Args:
        modes: All modes; their settings say for which flags empty text is a value.
    """
    ours = FLAGS.flags_by_module_dict()[__name__]
    accepting = {
        leaf.name
        for cls in modes.values()
        for leaf in settings.leaves(cls)
        if leaf.option.accepts_empty
    }
    return {
        flag.name: flag.value
        for flag in ours
        if flag.present
        and (flag.value not in (None, "") or flag.name in accepting)
        and flag.name not in ("mode", *_CLUSTER)
    }


def cluster() -> tuple[Any, ...] | None:
    """Where this process belongs to in a cluster; None where it runs alone."""
    values = tuple(FLAGS[name].value for name in _CLUSTER)
    return values[1:] if values != (None,) * len(values) else None


def near(name: str, cls: type[Settings] | None) -> str:
    """Names the flags that a misspelt one may have meant.

    Args:
        name: The misspelt name.
        cls: Settings of the mode, whose flags come first; None where it is not known.

    Returns:
        Such as `did you mean --num_epochs?`; empty where nothing is near.
    """
    ours = [flag.name for flag in FLAGS.flags_by_module_dict()[__name__]]
    own = names(cls) if cls else ours
    forms = [name for name in own if name not in POSITIONAL]
    return suggest(name, forms, "--{}") or suggest(name, ours, "--{}")


def as_flags(message: str) -> str:
    """Writes the settings that a message names as the flags that set them.

    Below the command line a setting stands between backquotes, `name` or `name=value`.
    A mode and the settings right after it become the command that runs it.

    >>> as_flags("`no_such_setting`: left as it is")
    '`no_such_setting`: left as it is'
    >>> as_flags("run `mode=evaluate` again")
    'run `fakedet evaluate` again'
    """
    message = re.sub(r"`mode=(\w+)`((?: `\w+(?:=[^`]*)?`)*)", _as_command, message)
    return re.sub(r"`(\w+)(=[^`]*)?`", _as_flag, message)


def _as_command(found: re.Match[str]) -> str:
    mode, settings = found.groups()
    words = as_flags(settings)
    if "`" in words:  # Not all of them are flags.
        return f"`fakedet {mode}`{words}"
    return f"`fakedet {mode}{words}`"


def _as_flag(setting: re.Match[str]) -> str:
    name, value = setting.groups(default="")
    return f"--{name}{value}" if name in FLAGS else setting.group()


def check_accepted(
    mode: str, modes: Mapping[str, type[Settings]], values: Mapping[str, Any]
) -> None:
    """Refuses flags that a mode does not use.

    Args:
        mode: The mode.
        modes: All modes.
        values: The given flags.

    Raises:
        RequestError: There is such a flag.
    """
    accepted = names(modes[mode], values)
    possible = names(modes[mode])
    for name in values:
        if name in accepted:
            continue
        if name in possible:
            detector = values.get("detector", values.get("model", systems.DEFAULT))
            users = [
                other
                for other in systems.names()
                if name in names(modes[mode], {"detector": other, "model": other})
            ]
            raise RequestError(
                f"`{name}`: {detector} has no such option, only {', '.join(users)} "
                "has; leave it out"
            )
        users = [other for other in modes if name in names(modes[other])]
        raise RequestError(
            f"`{name}`: `mode={mode}` does not use it, only {', '.join(users)} does; "
            "leave it out"
        )


def names(cls: type[Settings], values: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the settings of a class; see `settings.leaves`."""
    return [leaf.name for leaf in settings.leaves(cls, values)]


def paths(cls: type[Settings]) -> set[str]:
    """Names of the settings of a class, and of all of its parts, that are paths."""
    return {leaf.name for leaf in settings.leaves(cls) if leaf.type is Path}


def read(cls: type[_S], values: Mapping[str, Any]) -> _S:
    """Makes settings from the values of flags.

    Args:
        cls: Class of the settings.
        values: Text, lists of text, or values that absl has parsed already.

    Returns:
        The settings.

    Raises:
        RequestError: A value is not valid, missing or unknown.
    """
    parsed = dict(values)
    for leaf in settings.leaves(cls, values):
        if leaf.name in values:
            parsed[leaf.name] = _parse(leaf, values[leaf.name])
    return settings.build(cls, parsed)


def write(value: Settings) -> list[str]:
    """Flags that say what settings say; those with their defaults are left out.

    Args:
        value: The settings.

    Returns:
        Such as `--num_workers=2`.
    """
    found = settings.to_json(value)
    default = settings.to_json(type(value)())
    return [
        f"--{name}={','.join(entry) if isinstance(entry, list) else entry}"
        for name, entry in found.items()
        if entry != default[name]
    ]


def _parse(leaf: Leaf, value: Any) -> Any:
    is_list = typing.get_origin(leaf.type) is tuple
    if isinstance(value, list) and not is_list:
        if len(value) > 1:
            raise RequestError(
                f"`{leaf.name}`: expected one value, found {','.join(value)}; run the "
                "command once for each"
            )
        value = "".join(value)
    if isinstance(value, str) and is_list:
        value = [part.strip() for part in value.split(",")] if value else []
    if isinstance(value, str) and leaf.type is bool:
        if value.lower() not in (*_TRUE, *_FALSE):
            raise RequestError(
                f"`{leaf.name}`: expected true or false, found {value!r}"
            )
        value = value.lower() in _TRUE
    try:
        return settings.parse(leaf.type, value)
    except (TypeError, ValueError) as error:
        shown = ",".join(value) if isinstance(value, list) else value
        raise RequestError(
            f"`{leaf.name}`: expected {settings.describe(leaf.type)}, found {shown!r}"
        ) from error


def _definer(types: Sequence[Any]) -> Any:
    """What defines a flag that holds values of all of these types."""
    if any(typing.get_origin(one) is tuple for one in types):
        return flags.DEFINE_list
    kinds = {str if one is Path else one for one in types}
    if kinds == {bool, str}:
        # Of a mode it is a switch, of another a place: as text it can be both.
        return flags.DEFINE_string
    if len(kinds) > 1:
        raise TypeError(f"one flag cannot hold values of {kinds}")
    return {
        bool: flags.DEFINE_bool,
        int: functools.partial(_define_number, int),
        float: functools.partial(_define_number, float),
    }.get(kinds.pop(), flags.DEFINE_string)


def _define_number(kind: type, name: str, default: None, help: str) -> None:
    parser = _NumberParser(kind)
    flags.DEFINE(parser, name, default, help, serializer=flags.ArgumentSerializer())


class _NumberParser(flags.ArgumentParser):
    """Parses a whole number or a number, and says so where it finds none."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self._kind = kind
        self._parser = flags.IntegerParser() if kind is int else flags.FloatParser()

    def parse(self, argument: Any) -> Any:
        try:
            return self._parser.parse(argument)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"expected {settings.describe(self._kind)}, found {argument!r}"
            ) from error

    def flag_type(self) -> str:
        return self._parser.flag_type()


def _help(by_mode: Mapping[str, Sequence[Leaf]]) -> str:
    """The help of a flag: what it means in which modes."""
    meanings: dict[str, list[str]] = collections.defaultdict(list)
    for mode, leaves in by_mode.items():
        for text in dict.fromkeys(map(describe, leaves)):
            meanings[text].append(mode)
    return " ".join(f"{text} [{', '.join(users)}]" for text, users in meanings.items())


def describe(leaf: Leaf, published: Any = None) -> str:
    """What a setting means, its choices and its default, for people.

    Args:
        leaf: The setting.
        published: Its default where a detector brings one.
    """
    words, default = leaf.option.help, leaf.default
    if published is not None:
        default = published
    choices = leaf.option.choices or ()
    names = [str(choice) for choice in (choices() if callable(choices) else choices)]
    if not all(name in words for name in names):
        words += f" One of {', '.join(names)}."
    if default is dataclasses.MISSING:
        return f"{words} Required."
    if isinstance(default, tuple | list):
        default = ",".join(map(str, default))
    if default in (None, ""):
        return words if "default" in words else f"{words} Default: not set."
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"{words} Default: {shown}."

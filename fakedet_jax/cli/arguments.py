# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What arguments mean before their flags are read: a sub-command, a cry for help."""

import dataclasses
from collections.abc import Collection, Sequence

_HELP = ("--help", "-help", "-h", "-?", "--helpshort", "-helpshort")
_VERSION = ("--version", "-version")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments of a command line.

    Attributes:
        mode: The mode that the first argument names, as in `fakedet predict`; empty
            where it names none.
        rest: The other arguments, for absl.
        wants_help: Whether help is asked for.
        wants_version: Whether the version is asked for.
    """

    mode: str
    rest: tuple[str, ...]
    wants_help: bool
    wants_version: bool


def read(arguments: Sequence[str], modes: Collection[str]) -> Arguments:
    """Tells a sub-command and a cry for help from flags and files.

    Args:
        arguments: What follows the name of the program.
        modes: Names of the modes.

    >>> found = read(["predict", "--workdir=w", "a.jpg"], ["train", "predict"])
    >>> found.mode, found.rest
    ('predict', ('--workdir=w', 'a.jpg'))
    """
    flags, files = list(arguments), []
    if "--" in flags:  # Files follow, whatever they are called.
        at = flags.index("--")
        flags, files = flags[:at], flags[at:]
    kept = [flag for flag in flags if flag not in (*_HELP, *_VERSION)]
    mode = kept.pop(0) if kept and kept[0] in modes else ""
    return Arguments(
        mode,
        (*kept, *files),
        any(flag in _HELP for flag in flags),
        any(flag in _VERSION for flag in flags),
    )

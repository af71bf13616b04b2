# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What `--help` prints: the modes, or the flags of one mode in groups."""

import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_origin

from fakedet_jax import settings, systems
from fakedet_jax.cli import flags
from fakedet_jax.cli.modes import MODES
from fakedet_jax.config import TrainConfig
from fakedet_jax.settings import Leaf, Settings
from fakedet_jax.systems.options import Options
from fakedet_jax.training.recipe import Recipe

_MAX_WIDTH = 100
_INDENT = 28

_EXAMPLES = (
    ("what pictures are good for, and which detector suits them", "check"),
    ("train a detector, with the flags that check prints", "train"),
    ("score photographs", "predict"),
)


def overview() -> str:
    """What a command line without a mode is answered with: examples and the modes."""
    lines = ["Detects AI-synthesised and manipulated faces.", "", "Examples:"]
    for purpose, name in _EXAMPLES:
        lines += [f"  # {purpose}", f"  {MODES[name].example}"]
    lines += ["", "Modes:"]
    for name, mode in MODES.items():
        lines += _entry(f"  {name}", mode.summary, indent=17)
    lines += [
        "",
        "`fakedet MODE --help` lists the flags of a mode with their defaults;",
        "`fakedet --version` tells the version. `--mode=MODE` does the same as MODE.",
        "On a cluster, train, evaluate and cross_dataset take --distributed, or",
        "--coordinator_address, --num_processes and --process_id.",
    ]
    return "\n".join(lines)


def of_mode(mode: str, values: Mapping[str, Any]) -> str:
    """The flags of a mode in groups, each with its meaning and default.

    Args:
        mode: Its name.
        values: Flags that were given; a detector or dataset among them decides which
            options are listed.

    Raises:
        RequestError: There is no such detector.
    """
    cls = MODES[mode].settings
    published = _published(cls, values)
    groups: dict[str, dict[str, Leaf]] = {}
    seen = set(flags.POSITIONAL)
    files: list[str] = []
    for leaf in settings.leaves(cls, values):
        if leaf.name in flags.POSITIONAL and not files:
            files = [
                "",
                "Files:",
                *_entry("  FILE …", leaf.option.help, indent=_INDENT),
            ]
        if leaf.name not in seen:
            seen.add(leaf.name)
            groups.setdefault(_title(leaf.owner, cls, values), {})[leaf.name] = leaf
    lines = [f"fakedet {mode}: {MODES[mode].summary}", "", f"  {MODES[mode].example}"]
    lines += files
    # What the mode itself is asked for comes first, whatever its parts.
    own = _title(cls, cls, values)
    for title in sorted(groups, key=lambda title: title != own):
        lines += ["", title]
        # What must be given comes first.
        found = groups[title].values()
        for leaf in sorted(found, key=lambda leaf: leaf.default is not MISSING):
            words = flags.as_flags(flags.describe(leaf, published.get(leaf.name)))
            lines += _entry(f"  {_form(leaf)}", words, indent=_INDENT)
    if len(systems.names()) > 1 and "detector" in seen:
        lines += ["", "`--detector=NAME --help` lists the options of another detector."]
    lines += ["", "`--flagfile=FILE` reads flags from a file, one a line."]
    return "\n".join(lines)


def _published(cls: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that a detector brings."""
    if cls is not TrainConfig:
        return {}
    recipe = systems.create(values.get("detector", systems.DEFAULT)).recipe
    return settings.to_json(recipe)


def _title(
    owner: type[Settings], cls: type[Settings], values: Mapping[str, Any]
) -> str:
    if owner is cls:
        return "Flags:"
    if issubclass(owner, Options):
        return f"Options of {systems.name_of(values)}:"
    if owner is Recipe and cls is TrainConfig:
        name = values.get("detector", systems.DEFAULT)
        return f"Optimisation; the defaults are the recipe of {name}:"
    first = (owner.__doc__ or owner.__name__).strip().splitlines()[0]
    return f"{first.rstrip('.')}:"


def _form(leaf: Leaf) -> str:
    """How a flag is written, such as `--workdir=PATH`."""
    if leaf.type is bool:
        return f"--[no]{leaf.name}"
    kinds = {int: "NUMBER", float: "NUMBER", Path: "PATH"}
    word = "LIST" if get_origin(leaf.type) is tuple else kinds.get(leaf.type, "TEXT")
    return f"--{leaf.name}={word}"


def _entry(form: str, words: str, *, indent: int) -> list[str]:
    """A form and its meaning in two columns."""
    width = min(shutil.get_terminal_size((88, 24)).columns, _MAX_WIDTH)
    lines = textwrap.wrap(words, max(width - indent, 40), break_long_words=False)
    head = form.ljust(indent)
    first = []
    if len(form) > indent - 2:
        first, head = [form], " " * indent
    told = [head + lines[0], *(" " * indent + line for line in lines[1:])]
    return [*first, *told]

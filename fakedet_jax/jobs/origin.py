# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a page says of its own origin."""

import datetime
import shlex
import sys
from pathlib import Path

from fakedet_jax import __version__

# What starts the command line; other programs use the package in their own ways.
_PROGRAMS = ("fakedet", "main.py", "__main__.py")


def describe() -> dict[str, object]:
    """The command, if there was one, the version and the date, by name."""
    found: dict[str, object] = {
        "version": __version__,
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
    }
    if Path(sys.argv[0]).name in _PROGRAMS:
        found = {"command": shlex.join(["fakedet", *sys.argv[1:]]), **found}
    return found

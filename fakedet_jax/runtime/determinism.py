# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The same bits run after run on GPUs: what XLA must be told before it starts.

XLA's flag `xla_gpu_deterministic_ops` "guarantees run-to-run determinism on GPU", says
its help. It excludes operations whose result depends on the order in which threads
finish, such as atomic additions of floats, and turns off autotuning, which chooses
algorithms by measuring them, not always the same ones. Other platforms ignore it.

XLA reads the variable `XLA_FLAGS` once per process, when the first backend starts.

References:
    OpenXLA, `DebugOptions` in xla/xla.proto, and pull request 12520.
"""

import os
import re
from pathlib import Path

from jax._src import xla_bridge  # There is no public way to ask what has started.

from fakedet_jax.errors import RequestError

_VARIABLE = "XLA_FLAGS"
_FLAG = "xla_gpu_deterministic_ops"


def require() -> None:
    """Makes XLA compile deterministic programs for GPUs from now on.

    Call it before JAX is asked for devices or computes anything. What the user has put
    into `XLA_FLAGS` is kept.

    Raises:
        RequestError: JAX has started without the flag; or `XLA_FLAGS` says the opposite
            or names a file without the flag.
    """
    given = os.environ.get(_VARIABLE, "")
    # XLA takes anything that does not begin with a dash for the name of a file.
    path = Path(given) if given and not given.lstrip().startswith("-") else None
    values = re.findall(rf"--{_FLAG}(?:=(\S*)|(?!\S))", _read(path) if path else given)
    wanted = f"--{_FLAG}=true"
    if values and values[-1] not in ("false", "0"):
        return
    if values:
        raise RequestError(
            f"`deterministic`: {_VARIABLE} says --{_FLAG}={values[-1]}; leave out one "
            "of them"
        )
    if path is not None:
        raise RequestError(
            f"`deterministic`: {_VARIABLE} names the file {given!r}; write {wanted} "
            "into it"
        )
    if xla_bridge.backends_are_initialized():
        raise RequestError(
            f"`deterministic`: JAX has started without {wanted} in this process; ask "
            f"for it before JAX is used, or set {_VARIABLE}={wanted}"
        )
    os.environ[_VARIABLE] = f"{given} {wanted}".strip()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""  # XLA itself will say that there is no such file.

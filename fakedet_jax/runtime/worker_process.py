# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Starts modules of this package as plain child processes that talk through pipes.

Unlike those of a `multiprocessing` pool they import neither the caller's main module
nor JAX: they start quickly, cannot deadlock, and do not start the caller's program
again.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def start(
    module: str, arguments: Sequence[str] = (), **options: Any
) -> "subprocess.Popen[bytes]":
    """Runs `python -m MODULE ARGUMENTS…` with the import path of this process.

    Args:
        module: Full name of the module.
        arguments: Of its command line.
        **options: Of `subprocess.Popen`, such as `stdin` and `stdout`.

    Returns:
        The process, which the caller ends.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path),
        # Small products gain nothing from threads, and workers share the cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], env=environment, **options
    )


def available_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

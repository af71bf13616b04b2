# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Starts child processes: whole commands, and modules of this package as workers."""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from fakedet_jax.runtime.signals import Stopped, StopRequest

# Exit codes of a process that a signal has stopped, after it had saved or before it
# could, with that signal.
STOP_CODES = {
    code: number
    for number in (signal.SIGINT, signal.SIGTERM)
    for code in (128 + number, -number)
}

_POLL_SECONDS = 0.1
_ECHO_SECONDS = 5


class CommandError(RuntimeError):
    """A command failed.

    Attributes:
        code: Exit code of the command.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(command: Sequence[str], unshown: tuple[str, ...] = ()) -> int:
    """Runs a command to its end, passes signals on to it and repeats its output.

    Args:
        command: The program and its arguments; it gets the import path of this process.
        unshown: Beginnings of lines that are not repeated.

    Returns:
        0, or the exit code of a process that a signal stopped, see `STOP_CODES`.

    Raises:
        CommandError: The command failed; the message is the last line that it printed.
        Stopped: This process was asked to stop, and the command has stopped too.
    """
    last_lines: collections.deque[str] = collections.deque(maxlen=20)
    with (
        StopRequest() as stop,
        # In a group of its own: otherwise Ctrl-C would reach it directly too, and a
        # second signal ends it before it has saved.
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
            process_group=0,
        ) as process,
    ):
        echo = threading.Thread(
            target=_echo, args=(process, last_lines, unshown), daemon=True
        )
        echo.start()
        try:
            is_told = False
            while process.poll() is None:
                if stop.signum and not is_told:
                    process.send_signal(stop.signum)
                    is_told = True
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.kill()
            raise
        # With a time limit, as a process that it left behind keeps the output open.
        echo.join(_ECHO_SECONDS)
    code = process.returncode
    if stop.signum:
        raise Stopped(stop.signum)
    if code and code not in STOP_CODES:
        raise CommandError(_reason(code, last_lines), code)
    return code


def start_module(
    module: str, arguments: Sequence[str] = (), **options: Any
) -> "subprocess.Popen[bytes]":
    """Starts `python -m MODULE ARGUMENTS…` as a worker that talks through pipes.

    Unlike the workers of a `multiprocessing` pool, it imports neither the caller's main
    module nor JAX: it starts quickly, cannot deadlock, and does not start the caller's
    program again.

    Args:
        module: Full name of the module.
        arguments: Arguments of its command line.
        **options: Options of `subprocess.Popen`, such as `stdin` and `stdout`.

    Returns:
        The process, which the caller ends.
    """
    # Small products gain nothing from threads, and workers share the cores.
    environment = _environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], env=environment, **options
    )


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def import_path() -> str:
    """Where this process finds modules, as `PYTHONPATH` for others."""
    return os.pathsep.join(path or os.curdir for path in sys.path)


def _environment(**more: str) -> dict[str, str]:
    """The environment of this process with its import path, for a checkout anywhere."""
    return {**os.environ, "PYTHONPATH": import_path(), **more}


def _echo(
    process: "subprocess.Popen[str]",
    last_lines: collections.deque[str],
    unshown: tuple[str, ...],
) -> None:
    for line in process.stdout or ():
        last_lines.append(line)
        if not line.startswith(unshown):
            sys.stderr.write(line)
            sys.stderr.flush()


def _reason(code: int, last_lines: Sequence[str]) -> str:
    """Why a process failed: its last error message of this package, else last line."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in last_lines if line.strip()]
    own = [line for line in lines if line.startswith("fakedet: ")]
    last = (own or lines or [f"exit code {code}"])[-1]
    return last.removeprefix("fakedet: ")

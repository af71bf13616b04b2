# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a process of its own, and hands signals on to it."""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from fakedet_jax.runtime.signals import Stopped, StopRequest

# By the exit code: the signal that a process saved and stopped for, or that ended it
# before it could.
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
        code: Its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(command: Sequence[str], unshown: tuple[str, ...] = ()) -> int:
    """Runs a command to its end, hands signals on to it and repeats what it prints.

    Args:
        command: The program and its arguments.
        unshown: How the lines begin that are not repeated.

    Returns:
        0, or the exit code of a process that a signal stopped.

    Raises:
        CommandError: It failed; the message is the last line that it printed.
        Stopped: This process was asked to stop, and so the other one did.
    """
    # A checkout that is run from elsewhere is not on the path of the new process.
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    last_lines: collections.deque[str] = collections.deque(maxlen=20)
    with (
        StopRequest() as stop,
        # In a group of its own, or a key press would reach it twice and a second
        # signal ends it before it has saved.
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
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
        # A process that it left behind would keep the output open.
        echo.join(_ECHO_SECONDS)
    code = process.returncode
    if stop.signum:
        raise Stopped(stop.signum)
    if code and code not in STOP_CODES:
        raise CommandError(_reason(code, last_lines), code)
    return code


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
    """Why a process failed: the line of ours if there is one, else its last."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in last_lines if line.strip()]
    own = [line for line in lines if line.startswith("fakedet: ")]
    last = (own or lines or [f"exit code {code}"])[-1]
    return last.removeprefix("fakedet: ")

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line: absl flags in, one frozen dataclass out, one job called.

The only package that knows flags. Exit codes: 0 done; 1 the run failed; 2 the request
was wrong; 128 + n stopped by signal n after saving.
"""

import logging
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from fakedet_jax import __version__
from fakedet_jax.cli import arguments as reading
from fakedet_jax.cli import flags, help
from fakedet_jax.cli.flags import as_flags
from fakedet_jax.cli.modes import MODES, check_mode, classes, define_flags, execute
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import plugins
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.runtime.text import joined

__all__ = ["as_flags", "define_flags", "execute", "run"]

FLAGS = absl_flags.FLAGS


def run() -> None:
    """Runs the command line and exits."""
    plugins.load()
    define_flags()
    app.run(_main, flags_parser=_parse)


class _Formatter(logging.Formatter):
    """Names flags where a message names settings."""

    def format(self, record: logging.LogRecord) -> str:
        return as_flags(super().format(record))


def _parse(arguments: Sequence[str]) -> list[str]:
    program, *rest = arguments
    found = reading.read(rest, MODES)
    if found.wants_version:
        _show(f"fakedet_jax {__version__}")
    if not rest:
        _show(help.overview())
    # absl shows with --helpfull the flags of the file that was started.
    for flag in FLAGS.flags_by_module_dict()[flags.__name__]:
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    try:
        left = FLAGS([program, *found.rest])
    except SystemExit:
        sys.exit(0)  # All flags were asked for and shown.
    except absl_flags.UnrecognizedFlagError as error:
        _exit(_unknown_flag(error.flagname, found.mode or FLAGS["mode"].value), 2)
    except absl_flags.Error as error:
        # absl would print all flags; the message says which one it is.
        _exit(f"{error}; see {_advice(found.mode)}", 2)
    _set_mode(found.mode)
    if found.wants_help:
        _help(FLAGS["mode"].value, left[1:])
    return left


def _set_mode(mode: str) -> None:
    """Makes a sub-command the mode; it is empty where there was none."""
    given = FLAGS["mode"].value
    if mode and given not in (None, mode):
        _exit(
            f"the mode is {mode} and --mode={given} at the same time; leave one out", 2
        )
    FLAGS["mode"].value = mode or given


def _help(mode: str | None, files: Sequence[str]) -> NoReturn:
    """Prints the help of a mode, or of all, and exits."""
    if mode is None and not files:
        _show(help.overview())
    try:
        text = help.of_mode(check_mode(mode, files), flags.given(classes()))
    except RequestError as error:
        _exit(str(error), 2)
    _show(text)


def _show(text: str) -> NoReturn:
    """Prints what was asked for, and exits."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
    sys.exit(0)


def _unknown_flag(name: str, mode: str | None) -> str:
    known = MODES[mode].settings if mode in MODES else None
    hint = flags.near(name, known) or f"see {_advice(mode or '')}"
    return f"Unknown command line flag '{name}'; {hint}"


def _advice(mode: str) -> str:
    return f"fakedet {mode} --help" if mode in MODES else "fakedet --help"


def _main(arguments: Sequence[str]) -> None:
    _set_up_logging()
    try:
        execute(FLAGS.mode, tuple(arguments[1:]))
    except RequestError as error:
        _exit(str(error), 2)
    except Stopped as stopped:
        _exit(joined(str(stopped), stopped.advice), 128 + stopped.signum)
    except KeyboardInterrupt:
        _exit("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except (OSError, RuntimeError, MemoryError) as error:
        logging.getLogger(__name__).debug("failed", exc_info=True)
        _exit(str(error) or repr(error), 1)


def _set_up_logging() -> None:
    """Plain lines on standard error; other packages raise what matters."""
    if not FLAGS["verbosity"].present:
        # Orbax warns at every restart of things that are as they should be. What fails
        # in its threads is raised where they are waited for, and has echoes that would
        # bury the line that says what to do.
        absl_logging.set_verbosity(absl_logging.FATAL)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        sys.unraisablehook = lambda unraisable: None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    logger = logging.getLogger("fakedet_jax")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _exit(message: str, code: int) -> NoReturn:
    print(f"fakedet: {as_flags(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lets SIGTERM and SIGINT ask a long run to save and stop."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Stopped(Exception):  # noqa: N818 - not an error
    """A run stopped on request, after it had saved its work.

    Attributes:
        signum: Number of the signal.
        step: The step that was saved, None where the work has no steps.
        advice: What to do to go on; empty for a run that cannot.
    """

    def __init__(
        self,
        signum: int,
        step: int | None = None,
        advice: str = "run the same command again to go on",
    ) -> None:
        where = "" if step is None else f" at step {step}"
        super().__init__(f"stopped by {signal.Signals(signum).name}{where}")
        self.signum = signum
        self.step = step
        self.advice = advice


class StopRequest:
    """Remembers the first SIGTERM or SIGINT while its `with` block runs.

    A second signal has its usual effect at once. Only the main thread receives signals;
    in another one the block is never asked to stop.

    Attributes:
        signum: Number of the signal, None before it came.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._previous[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(self, *unused: object) -> None:
        self._restore()

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.signum = signum
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous.clear()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shows on stderr how far a long loop is and when it will be done."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import Self, SupportsFloat, TextIO

# Least time between two lines, on a terminal and in a log.
TERMINAL_SECONDS = 0.5
LOG_SECONDS = 30.0

_BAR_WIDTH = 20


class Progress:
    """Shows done and total items, items per second, the time left and the loss.

    A terminal shows one line that is redrawn. Anything else (a log file, a pipe) gets a
    plain line at most every 30 seconds. Both get a last line at the end.

    The rate leaves out the time up to the first update, in which a loop compiles.

    Example:
        with Progress(len(dataset), label="evaluate") as progress:
            for batch in batches:
                ...
                progress.update(batch["mask"].sum())
    """

    def __init__(
        self,
        total: int,
        *,
        label: str = "",
        unit: str = "images",
        initial: int = 0,
        has_warm_up: bool = True,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the clock; nothing is shown before the first update.

        Args:
            total: Number of items, including `initial`.
            label: Name of the work, shown at the start of the line.
            unit: Noun for the items, in the plural.
            initial: Items that the run has done before it was resumed.
            has_warm_up: Whether the first update takes longer than others, because it
                compiles; the rate then leaves it out.
            quiet: Whether to show nothing.
            stream: Where to write; stderr by default.
            clock: Function that returns seconds.
        """
        self._total = total
        self._label = label
        self._unit = unit
        self._done = initial
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._loss: SupportsFloat | None = None
        self._note = ""
        self._start = clock()
        self._last_shown = self._start
        # When the first update came, and how many items were done by then.
        self._steady_from: tuple[float, int] | None = (
            None if has_warm_up else (self._start, initial)
        )
        self._closed = False
        self._is_first = True

    def update(
        self, num_items: int, loss: SupportsFloat | None = None, *, note: str = ""
    ) -> None:
        """Counts items as done, and shows the line when it is due.

        Args:
            num_items: Number of items that were finished since the last update.
            loss: The latest loss. It is converted to a number only when it is shown, so
                a value on a device costs no transfer at other steps.
            note: What else to show, until the next note; empty keeps the last one.
        """
        now = self._clock()
        self._done += int(num_items)
        if loss is not None:
            self._loss = loss
        self._note = note or self._note
        first, self._is_first = self._is_first, False
        if self._steady_from is None:
            self._steady_from = (now, self._done)
        interval = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        # On a terminal the first line appears at once: the loop has started.
        if now - self._last_shown >= interval or (first and self._is_terminal):
            self._last_shown = now
            self._show(now)

    def close(self) -> None:
        """Shows the last line. Closing twice shows it once."""
        if self._closed:
            return
        self._closed = True
        self._show(self._clock(), final=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def _rate(self, now: float) -> float | None:
        """Items per second, None while it is unknown."""
        if self._steady_from is None:
            return None
        since, done = self._steady_from
        # Of less than a second, the rate would be a guess.
        if now < since + 1 or self._done <= done:
            return None
        return (self._done - done) / (now - since)

    def _line(self, now: float, *, final: bool = False) -> str:
        rate = self._rate(now)
        parts = [f"{self._done:,}/{self._total:,} {self._unit}"]
        if self._total > 0:
            share = min(1.0, self._done / self._total)
            filled = int(share * _BAR_WIDTH)
            if self._is_terminal:
                parts.append(f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]")
            # Rounded down, so that 100% appears only at the end.
            parts.append(f"{self._done * 100 // self._total}%")
        if rate is not None:
            parts.append(f"{_significant(rate)} {self._unit}/s")
        if final:
            parts.append(f"took {_duration(now - self._start)}")
        elif rate is not None:
            left = max(0, self._total - self._done) / rate
            parts.append(f"{_duration(left)} left")
        if self._loss is not None:
            parts.append(f"loss {float(self._loss):.4g}")
        if self._note:
            parts.append(self._note)
        return "  ".join([self._label, *parts] if self._label else parts)

    def _show(self, now: float, *, final: bool = False) -> None:
        if self._quiet:
            return
        text = self._line(now, final=final)
        if self._is_terminal:
            # One column stays free, as a full line wraps and cannot be redrawn.
            text = f"\r{text[: shutil.get_terminal_size().columns - 1]}\x1b[K"
        if final or not self._is_terminal:
            text += "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # A terminal that closes, as with an ssh session, must not end the run.
            self._quiet = True


def _significant(rate: float) -> str:
    """Formats with about three significant digits, never as a power of ten."""
    if rate >= 100:
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"

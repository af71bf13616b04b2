# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.progress with a clock and a stream of their own."""

import io

import pytest

from fakedet_jax.runtime import progress


class _Clock:
    """A clock that stands still until it is told otherwise."""

    now = 100.0

    def __call__(self):
        return self.now


class _Terminal(io.StringIO):
    def isatty(self):
        return True


class _Unread:
    """A loss that must not be read."""

    def __float__(self):
        raise AssertionError("the loss was read although nothing is shown")


def _run(stream, seconds, *, total=1000, **options):
    """Counts 100 items at each of the times, in seconds after the start."""
    clock = _Clock()
    with progress.Progress(total, stream=stream, clock=clock, **options) as bar:
        for second in seconds:
            clock.now = 100.0 + second
            bar.update(100, loss=0.12345)
    return stream.getvalue()


def test_a_log_gets_a_line_every_thirty_seconds_and_one_at_the_end():
    lines = _run(io.StringIO(), range(10, 110, 10)).splitlines()
    assert lines == [
        "300/1,000 images  30%  10.0 images/s  0:01:10 left  loss 0.1235",
        "600/1,000 images  60%  10.0 images/s  0:00:40 left  loss 0.1235",
        "900/1,000 images  90%  10.0 images/s  0:00:10 left  loss 0.1235",
        "1,000/1,000 images  100%  10.0 images/s  took 0:01:40  loss 0.1235",
    ]


def test_the_speed_leaves_out_the_first_step():
    # 60 seconds of compilation, then 100 items per second.
    last = _run(io.StringIO(), [60, 61, 62]).splitlines()[-1]
    assert "  100 images/s  took 0:01:02" in last


def test_a_terminal_is_redrawn_in_one_line():
    text = _run(_Terminal(), [1, 2, 3], label="evaluate")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert text.count("\r") == 4
    assert text.startswith("\revaluate  100/1,000 images  [##..................]  10%")


def test_a_terminal_is_redrawn_twice_a_second_at_most():
    text = _run(_Terminal(), [0.1 * step for step in range(1, 10)])
    assert text.count("\r") == 3


def test_a_terminal_line_is_never_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text = _run(_Terminal(), [1]).replace("\x1b[K", "").removesuffix("\n")
    assert all(len(line) <= 19 for line in text.split("\r"))


def test_a_note_stays_until_the_next_one():
    stream, clock = _Terminal(), _Clock()
    with progress.Progress(4, stream=stream, clock=clock) as bar:
        for note in ("", "1 error", "", "2 errors"):
            clock.now += 1
            bar.update(1, note=note)
    endings = [line.rsplit("  ", 1)[-1] for line in stream.getvalue().split("\r")[1:]]
    assert endings[1:4] == ["1 error\x1b[K", "1 error\x1b[K", "2 errors\x1b[K"]


def test_quiet_shows_and_reads_nothing():
    stream = io.StringIO()
    clock = _Clock()
    with progress.Progress(10, stream=stream, clock=clock, quiet=True) as bar:
        clock.now += 60
        bar.update(10, loss=_Unread())
    assert stream.getvalue() == ""


def test_the_loss_is_read_only_when_it_is_shown():
    clock = _Clock()
    bar = progress.Progress(10, stream=io.StringIO(), clock=clock)
    bar.update(1, loss=_Unread())
    bar.update(1, loss=0.5)
    bar.close()


def test_a_resumed_run_starts_where_it_stopped():
    last = _run(io.StringIO(), [10, 20], initial=800).splitlines()[-1]
    assert last.startswith("1,000/1,000 images  100%  10.0 images/s")


def test_the_end_is_shown_once():
    stream = io.StringIO()
    bar = progress.Progress(0, stream=stream, clock=_Clock())
    bar.close()
    bar.close()
    assert stream.getvalue() == "0/0 images  took 0:00:00\n"


def test_an_interrupted_loop_shows_how_far_it_came():
    stream = io.StringIO()
    with (
        pytest.raises(KeyboardInterrupt),
        progress.Progress(1000, stream=stream, clock=_Clock()) as bar,
    ):
        bar.update(999)
        raise KeyboardInterrupt
    assert stream.getvalue() == "999/1,000 images  99%  took 0:00:00\n"


def test_a_terminal_that_has_gone_does_not_end_the_loop():
    class Gone(io.StringIO):
        def write(self, text):
            raise OSError("input/output error")

    assert _run(Gone(), [40, 80]) == ""


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (36061, "10:01:01")]
)
def test_durations(seconds, expected):
    assert _run(io.StringIO(), [seconds]).count(f"took {expected}  ") == 1


def test_the_unit_can_be_named():
    assert "100/1,000 frames" in _run(io.StringIO(), [1], unit="frames")


def test_without_a_warm_up_the_rate_counts_from_the_start():
    last = _run(io.StringIO(), [10, 20], initial=800, has_warm_up=False).splitlines()[
        -1
    ]
    assert last.startswith("1,000/1,000 images  100%  10.0 images/s")
    last = _run(io.StringIO(), [40], total=100, has_warm_up=False).splitlines()[-1]
    assert last.startswith("100/100 images  100%  2.50 images/s")

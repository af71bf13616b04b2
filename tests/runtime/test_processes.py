# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.processes."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from fakedet_jax.runtime import processes
from fakedet_jax.runtime.signals import Stopped

_IGNORING = """
import signal, sys, time
def stop(signum, frame):
    print("saved", flush=True)
    sys.exit(128 + signum)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


def _run(code):
    return processes.run([sys.executable, "-c", code])


def test_what_it_prints_is_repeated(capfd):
    assert _run("import sys; print('out'); print('err', file=sys.stderr)") == 0
    shown = capfd.readouterr()
    assert sorted(shown.err.split()) == ["err", "out"]
    assert shown.out == ""


def test_a_failure_has_the_line_of_the_command_as_its_reason(capfd):
    code = "print('fakedet: `seed`: expected 1'); print('x'); raise SystemExit(2)"
    with pytest.raises(RuntimeError, match=r"^`seed`: expected 1$"):
        _run(code)


def test_lines_that_are_not_repeated_are_still_a_reason(capfd):
    code = "print('fakedet: `seed`: expected 1'); print('x'); raise SystemExit(2)"
    with pytest.raises(processes.CommandError, match=r"^`seed`: expected 1$") as caught:
        processes.run([sys.executable, "-c", code], unshown=("fakedet: ",))
    assert caught.value.code == 2
    assert capfd.readouterr().err == "x\n"


def test_a_crash_has_its_last_line_as_its_reason(capfd):
    with pytest.raises(RuntimeError, match=r"^ValueError: too small$"):
        _run("raise ValueError('too small')")


def test_a_kill_is_named(capfd):
    with pytest.raises(RuntimeError, match=r"^killed by SIGKILL$"):
        _run("import os; os.kill(os.getpid(), 9)")


def test_the_package_is_found_from_anywhere(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    _run("import fakedet_jax; print(fakedet_jax.__file__)")
    assert capfd.readouterr().err.strip() == str(
        os.path.normpath(f"{processes.__file__}/../../__init__.py")
    )


def test_a_process_that_was_stopped_alone_tells_by_its_exit_code(capfd):
    assert _run("raise SystemExit(143)") == 143
    assert processes.STOP_CODES[143] == signal.SIGTERM


def test_a_signal_is_handed_on_and_waited_for(capfd, monkeypatch):
    class Screen:
        """Sends the signal once the process is ready for it."""

        def write(self, text):
            if "ready" in text:
                os.kill(os.getpid(), signal.SIGTERM)
            lines.append(text.strip())

        def flush(self):
            pass

    lines = []
    monkeypatch.setattr(sys, "stderr", Screen())
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(Stopped) as caught:
        _run(_IGNORING)
    assert caught.value.signum == signal.SIGTERM
    assert lines == ["ready", "saved"]


def test_a_worker_has_the_import_path_and_one_thread(tmp_path, monkeypatch):
    (tmp_path / "told.py").write_text("import os; print(os.environ['OMP_NUM_THREADS'])")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    worker = processes.start_module("told", stdout=subprocess.PIPE)
    assert worker.communicate()[0] == b"1\n"


def test_no_more_cores_are_available_than_there_are():
    assert 1 <= processes.available_cores() <= os.cpu_count()

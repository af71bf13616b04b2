# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of large runs on Ray; but for a few, only `make test-ray` can run them."""

import contextlib
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakedet_jax.bulk import ray_engine
from fakedet_jax.config import EngineConfig
from fakedet_jax.errors import RequestError
from tests import tiny
from tests.data import pictures

PROJECT = Path(__file__).parents[2]
UNIT_SIZE = 4
ENGINE = EngineConfig("ray", num_workers=2)

# Workers find the detector as they find those of other packages.
PLUGIN = """
from fakedet_jax import systems
from tests import tiny
if tiny.DETECTOR.name not in systems.names():
    systems.register(tiny.DETECTOR)
"""

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    data_dir = tiny.write_pictures(folder / "training")
    return tiny.fit(data_dir, folder / "workdir", recipe={"num_epochs": 1})


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of 203 files: pictures many times, one damaged, and two missing."""
    folder = tmp_path_factory.mktemp("ray")
    paths = []
    for number in range(20):
        paths.append(folder / f"{number:03}.png")
        content = pictures.encode(pictures.colourful(20, 24, number), "PNG")
        paths[-1].write_bytes(content)
    broken = folder / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [folder / "none.png", *paths * 10, broken, Path("none.png")]
    (folder / "list.txt").write_text("\n".join(map(str, paths)))
    return folder / "list.txt"


@pytest.fixture(scope="module")
def expected(workdir, listed, tmp_path_factory):
    """The parts of a run without an engine."""
    folder = tmp_path_factory.mktemp("ray") / "run"
    assert tiny.run_cli(*_arguments(workdir, listed, folder)) == 0
    return _parts(folder)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    folder = tmp_path / "plugin"
    info = folder / "tiny_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "tiny_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[fakedet_jax.plugins]\ntiny = tiny_plugin\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(PROJECT)]))


def _arguments(workdir, listed, output, *more):
    return [
        "--mode=predict",
        f"--workdir={workdir}",
        f"--inputs={listed}",
        f"--output={output}",
        f"--unit_size={UNIT_SIZE}",
        "--batch_size=8",
        *more,
    ]


def _on_ray(*arguments):
    return _arguments(*arguments, "--engine=ray", "--engine_workers=2")


def _parts(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def _wait_for_parts(process, output, count):
    while len(list(output.glob("part-*"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def _descendants(pid):
    """Processes that one has started, and those have started, with their names."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended meanwhile.
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(path.name)] = parent, (path / "cmdline").read_bytes()
    family = {pid}
    while more := {one for one in found if found[one][0] in family} - family:
        family |= more
    return {one: found[one][1] for one in family - {pid}}


def _busy_workers(pid):
    """Numbers of the processes that are at a task."""
    return [
        one for one, name in _descendants(pid).items() if name[:12] == b"ray::fakedet"
    ]


@needs_ray
def test_parts_are_those_of_a_run_without_an_engine(
    workdir, listed, expected, plugin, tmp_path, capfd
):
    assert tiny.run_cli(*_on_ray(workdir, listed, tmp_path / "run")) == 0
    assert _parts(tmp_path / "run") == expected
    errors = capfd.readouterr().err
    assert "203 inputs computed, 3 rows with an error" in errors
    assert "2 × does not exist" in errors
    assert "of the whole run, 51 of 51 units done" in errors


@needs_ray
def test_the_crops_of_a_prepared_dataset_are_scored(
    workdir, prepared_dir, plugin, tmp_path
):
    alone, on_ray = tmp_path / "alone", tmp_path / "run"
    assert tiny.run_cli(*_arguments(workdir, prepared_dir, alone)) == 0
    assert tiny.run_cli(*_on_ray(workdir, prepared_dir, on_ray)) == 0
    assert len(_parts(alone)) > 1
    assert _parts(on_ray) == _parts(alone)


@needs_ray
def test_killed_workers_are_replaced(workdir, listed, expected, plugin, tmp_path):
    output = tmp_path / "run"
    process = tiny.start(*_on_ray(workdir, listed, output))
    for count in (2, 12, 22):
        _wait_for_parts(process, output, count)
        while not (busy := _busy_workers(process.pid)):
            assert process.poll() is None
        os.kill(busy[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert _parts(output) == expected


@needs_ray
def test_a_stopped_run_leaves_no_process_and_goes_on(
    workdir, listed, expected, plugin, tmp_path
):
    output = tmp_path / "run"
    process = tiny.start(*_on_ray(workdir, listed, output))
    _wait_for_parts(process, output, 3)
    started = _descendants(process.pid)
    assert len(started) > 4
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "of 51 units done" in errors
    assert "stopped by SIGTERM; run the same command again to go on" in errors
    assert not any(Path(f"/proc/{one}").exists() for one in started)
    assert 3 <= len(_parts(output)) < 51
    assert tiny.run_cli(*_on_ray(workdir, listed, output)) == 0
    assert _parts(output) == expected


@needs_ray
def test_workers_with_other_devices_are_refused(
    workdir, listed, plugin, tmp_path, monkeypatch, capfd
):
    # This process has its devices already.
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    assert tiny.run_cli(*_on_ray(workdir, listed, tmp_path / "run")) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert message.startswith("fakedet: --engine: expected workers with the devices")
    assert "batch_size=8 (now 9) on " in message
    assert not _parts(tmp_path / "run")


def _work(common, task):
    """What a task does that is told so."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "refuse":
        raise RequestError("`output`: two\nlines")
    if task == "import":
        raise ModuleNotFoundError("No module named 'cv2'")
    if task == "warn":
        logging.getLogger("fakedet_jax.test").warning("%s warns", common)
    return f"{common}: {task}"


@needs_ray
def test_a_task_that_dies_each_time_costs_no_other(caplog):
    done = ray_engine.run(_work, "all", ["a", "die", "warn", "b"], engine=ENGINE)
    assert dict(done) == {
        "a": "all: a",
        "b": "all: b",
        "die": None,
        "warn": "all: warn",
    }
    assert caplog.messages == ["all warns"]


@needs_ray
def test_a_wrong_request_in_a_worker_ends_the_work():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RequestError, match=r"^`output`: two\nlines$"):
        list(ray_engine.run(_work, "all", ["a", "refuse"], engine=ENGINE))
    assert signal.getsignal(signal.SIGTERM) == before


@needs_ray
def test_a_worker_without_a_package_is_a_request_error():
    with pytest.raises(RequestError, match=r"workers lack a package \(No module named"):
        list(ray_engine.run(_work, "all", ["import"], engine=ENGINE))


@needs_ray
def test_few_tasks_are_taken_before_there_is_room():
    taken = []

    def tasks():
        for number in range(30):
            taken.append(number)
            yield number

    done = 0
    for _ in ray_engine.run(_work, "all", tasks(), engine=ENGINE):
        done += 1
        assert len(taken) - done < 5
    assert done == 30


@needs_ray
def test_more_gpus_than_there_are_is_a_request_error():
    engine = EngineConfig("ray", num_workers=1, num_gpus=99)
    with pytest.raises(RequestError, match=r"^`engine_gpus`: expected at most \d"):
        list(ray_engine.run(_work, "all", ["a"], engine=engine))


@needs_ray
def test_a_cluster_that_is_not_there_is_a_request_error():
    engine = EngineConfig("ray", address="127.0.0.1:1")
    with pytest.raises(
        RequestError, match=r"^`engine_address`: .* '127\.0\.0\.1:1'"
    ) as e:
        list(ray_engine.run(_work, "all", ["a"], engine=engine))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine=ray"], "--engine: Ray cannot be imported (import of ray halted"),
        (["--engine=spark"], "--engine: expected ray, found 'spark'"),
        (["--engine_gpus=1"], "--engine_gpus: give --engine too; it says what runs"),
    ],
)
def test_what_an_engine_needs_is_told(tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.setitem(sys.modules, "ray", None)
    run = _arguments(tmp_path, tmp_path / "list.txt", tmp_path / "run", *arguments)
    assert tiny.run_cli(*run) == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_an_engine_needs_a_folder(tmp_path, capfd):
    arguments = ["--mode=predict", f"--workdir={tmp_path}", "--engine=ray", "a.png"]
    assert tiny.run_cli(*arguments) == 2
    assert "--engine: only a run with parts has it" in capfd.readouterr().err


def test_nothing_to_do_needs_no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert not list(ray_engine.run(_work, "all", [], engine=ENGINE))


def test_ray_is_not_imported_without_need():
    code = "import sys, fakedet_jax.jobs.parts; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)

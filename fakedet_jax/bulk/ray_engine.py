# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs tasks on Ray: one for each unit of work, on this machine or on a cluster.

Ray finds room for tasks, starts their processes and replaces those that die. It keeps
nothing that counts: tasks write their results into the folder of the run, where every
later run finds them, with Ray or without. Machines see all files under the same paths,
and have the same version of this package.
"""

import contextlib
import functools
import itertools
import logging
import os
import pickle
import signal
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fakedet_jax.config import EngineConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import plugins, processes, text

# How often a task is tried whose process dies.
NUM_ATTEMPTS = 3

_POLL_SECONDS = 0.2
# Tasks that wait for room, so that a worker never waits for this process.
_NUM_WAITING = 2
# Of the memory that Ray shares between processes. Tasks are small, but Ray takes a
# third of the machine unless it is told otherwise.
_SHARED_BYTES = 128 * 2**20

_LOGGER = logging.getLogger(__name__)

_Common = TypeVar("_Common")
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class _Answer(NamedTuple):
    """What comes back from a task: its result, and warnings that it logged."""

    result: Any
    warnings: list[str]


def check_installed() -> None:
    """Checks that Ray is installed.

    Raises:
        RequestError: It is not.
    """
    _import()


def run(
    function: Callable[[_Common, _Task], _Result],
    common: _Common,
    tasks: Iterable[_Task],
    *,
    engine: EngineConfig,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[_Task, _Result | None]]:
    """Calls a function for each task, in processes that Ray runs.

    Warnings that tasks log appear in the log of this process.

    Args:
        function: Function of a module, from `common` and a task to a result.
        common: The same for all tasks. Each process reads it once, so that the function
            can cache what it makes of it.
        tasks: The tasks; they are consumed only as fast as there is room for them.
        engine: The settings.
        is_stopped: Called several times a second. `True` ends the work at once and
            loses unfinished tasks.

    Yields:
        Each task with its result as soon as it is there, in any order. The result is
        None where the process died each time.

    Raises:
        RequestError: Ray is not installed or cannot be reached, or has no machine with
            that many GPUs; or the function has raised it.
        RuntimeError: Ray failed.
    """
    waiting = iter(tasks)
    first = list(itertools.islice(waiting, 1))
    if not first:
        return
    waiting = itertools.chain(first, waiting)
    with _cluster(engine) as ray:
        call = ray.remote(
            name="fakedet",
            num_cpus=1,
            num_gpus=engine.num_gpus,
            max_retries=NUM_ATTEMPTS - 1,
            # Processes with GPUs would end after each task.
            max_calls=0,
        )(_call)
        shared = ray.put(pickle.dumps((Path.cwd(), common)))
        running: dict[Any, _Task] = {}
        try:
            while not is_stopped():
                room = max(0, _room(ray, engine) - len(running))
                for task in itertools.islice(waiting, room):
                    running[call.remote(function, shared, task)] = task
                if not running:
                    return
                done, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
                for reference in done:
                    yield running.pop(reference), _result(ray, reference)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


@contextlib.contextmanager
def _cluster(engine: EngineConfig) -> Iterator[Any]:
    """Joins the cluster, or starts one on this machine and ends it."""
    options: dict[str, Any] = {}
    if not engine.address:
        options = {
            "num_cpus": engine.num_workers or processes.available_cores(),
            "object_store_memory": _SHARED_BYTES,
            "include_dashboard": False,
        }
    before = signal.getsignal(signal.SIGTERM)
    with _environment(engine), warnings.catch_warnings():
        # JAX warns of forks, after which a process may wait for ever for a thread that
        # it lacks. Here another program starts right after each.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called")
        ray = _import()
        try:
            ray.init(
                address=engine.address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **options,
            )
        except (
            OSError,
            ValueError,
            RuntimeError,
            ray.exceptions.RayError,
        ) as error:
            where = f"at {engine.address!r}" if engine.address else "on this machine"
            raise RequestError(
                f"`engine_address`: Ray cannot be started or reached {where} "
                f"({text.one_line(error)}); give the address and the token of a "
                "running cluster, or leave it out"
            ) from error
        finally:
            # Ray ends the process on this signal.
            signal.signal(signal.SIGTERM, before)
    try:
        _check_gpus(ray, engine)
        yield ray
    finally:
        ray.shutdown()


def _check_gpus(ray: Any, engine: EngineConfig) -> None:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max((resources.get("GPU", 0) for resources in alive), default=0)
    if engine.num_gpus > most:
        raise RequestError(
            f"`engine_gpus`: expected at most {most:g}, the GPUs of one machine of the "
            f"cluster, found {engine.num_gpus:g}"
        )


def _room(ray: Any, engine: EngineConfig) -> int:
    """How many tasks may be handed to Ray."""
    if engine.address and engine.num_workers:
        return engine.num_workers
    # Machines come and go.
    resources = ray.cluster_resources()
    fitting = resources.get("CPU", 0)
    if engine.num_gpus:
        fitting = min(fitting, resources.get("GPU", 0) / engine.num_gpus)
    return int(fitting) + _NUM_WAITING


def _result(ray: Any, reference: Any) -> Any:
    """The result of a finished task; None where its process died each time."""
    errors = ray.exceptions
    try:
        answer = ray.get(reference)
    except errors.RayTaskError as error:
        if isinstance(error.cause, ImportError):
            raise RequestError(
                f"`engine`: workers lack a package ({text.one_line(error.cause)}); "
                "install the same ones on all machines"
            ) from error
        # The message of Ray's own error is the traceback of the worker.
        raise error.cause or RuntimeError(_last_line(error)) from error
    except (
        errors.WorkerCrashedError,
        errors.LocalRayletDiedError,
        errors.NodeDiedError,
        errors.OutOfMemoryError,
    ):
        return None
    except errors.RayError as error:
        raise RuntimeError(
            f"Ray failed ({_last_line(error)}); finished work is kept, and the same "
            "command goes on"
        ) from error
    for warning in answer.warnings:
        _LOGGER.warning("%s", warning)
    return answer.result


def _call(function: Callable[[Any, Any], Any], shared: bytes, task: Any) -> _Answer:
    """Calls the function in a worker."""
    common = _unpack(shared)
    logger, kept = logging.getLogger("fakedet_jax"), _Kept(logging.WARNING)
    logger.addHandler(kept)
    try:
        return _Answer(function(common, task), kept.messages)
    finally:
        logger.removeHandler(kept)


@functools.lru_cache(maxsize=1)
def _unpack(shared: bytes) -> Any:
    plugins.load()
    folder, common = pickle.loads(shared)
    try:
        # Paths may be relative.
        os.chdir(folder)
    except OSError as error:
        raise RequestError(
            f"`engine`: expected the current folder {str(folder)!r} on all machines, "
            f"found none on {socket.gethostname()}; run the command in a folder that "
            "all see"
        ) from error
    return common


class _Kept(logging.Handler):
    """Keeps the messages of a task."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def _environment(engine: EngineConfig) -> Iterator[None]:
    """Sets for a while what Ray and the processes that it starts read."""
    values = {
        "PYTHONPATH": processes.import_path(),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Without it, tasks that take too much memory are tried for ever.
        "RAY_task_oom_retries": str(NUM_ATTEMPTS - 1),
    }
    if engine.address:
        # Half a minute instead of ten for a cluster that is not there.
        values["RAY_gcs_server_port_wait_time_s"] = "1"
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _last_line(error: BaseException) -> str:
    """The line of a message with a remote traceback that names the error."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _import() -> Any:
    try:
        import ray
    except ImportError as error:
        raise RequestError(
            f"`engine`: Ray cannot be imported ({text.one_line(error)}); run: "
            "pip install 'fakedet-jax[ray]'"
        ) from error
    return ray

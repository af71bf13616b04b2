# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Extracts faces with the workers of an Apache Beam pipeline, in place of `pool`.

Workers read the inputs from the data folder and write staged files below the output
folder. Both folders must be on a file system that all workers see at the same paths:
NFS, Filestore, Lustre, or a bucket mounted with gcsfuse. Workers need this package and
the same versions of the decoders and encoders.

The process that starts the pipeline lists the inputs, assigns the splits and writes the
records. The dataset does not depend on who has staged the files, so a killed run can be
resumed with Beam or without.
"""

import base64
import contextlib
import dataclasses
import io
import itertools
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.prepare import pool, staging
from fakedet_jax.runtime import storage

_FIELD = "`beam_pipeline_options`"
_OPTION = re.compile(r"[A-Za-z]\w*(=.*)?", re.DOTALL)
_MESSAGE = re.compile(r"\[fakedet:([\w=-]+)\]")

# Runners limit the size of a pipeline's input, so tasks are stored in a file. A worker
# reads this many of its lines at a time.
_NUM_LINES = 1000
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where and how a pipeline runs; made by `create_runner`.

    Attributes:
        runner: Beam's `PipelineRunner`.
        options: Beam's `PipelineOptions`.
    """

    runner: Any
    options: Any


def create_runner(options: Sequence[str]) -> Runner:
    """Checks options of Beam and makes the runner that they name.

    Args:
        options: Options of Beam's Python SDK, each `name=value` or `name`, such as
            `runner=DirectRunner`.

    Returns:
        The runner. `DirectRunner`, the default, gives Beam's runner in Python. The one
        that Beam itself prefers is a separate program that has to be downloaded and
        does not support `direct_num_workers`.

    Raises:
        RequestError: Beam is not installed, or an option is unknown or wrong.
    """
    beam = _beam()
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    for option in options:
        if not _OPTION.fullmatch(option):
            raise RequestError(
                f"{_FIELD}: expected name=value or name, such as runner=DirectRunner, "
                f"found {option!r}"
            )
    parsed = PipelineOptions([f"--{option}" for option in options])
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            given = parsed.get_all_options(retain_unknown_options=True)
    except SystemExit as error:
        # Argparse writes options with dashes, which users of `name=value` never type.
        problem = printed.getvalue().strip().rpartition("error: ")[2]
        problem = re.sub(r"--(\w+)", r"`\1`", problem)
        raise RequestError(f"{_FIELD}: {problem}") from error
    unknown = sorted(given.keys() - PipelineOptions([]).get_all_options().keys())
    if unknown:
        raise RequestError(
            f"{_FIELD}: expected options of Beam {beam.__version__}, found "
            f"{', '.join(unknown)}"
        )
    name = parsed.view_as(StandardOptions).runner or StandardOptions.DEFAULT_RUNNER
    try:
        runner = beam.runners.create_runner(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RequestError(f"{_FIELD}: {_one_line(error)}") from error
    if isinstance(runner, beam.runners.DirectRunner):
        runner = FnApiRunner()
    return Runner(runner, parsed)


def run(
    tasks: Iterable[pool.Task],
    *,
    root: Path,
    cropping: Cropping,
    runner: Runner,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[pool.Task]:
    """Stages inputs in a pipeline.

    An input whose process dies is tried once more and then staged as skipped, as by
    `pool.run`. Warnings about inputs are in the log of the workers.

    Args:
        tasks: The inputs. Their staged files share the grandparent folder.
        root: The data folder.
        cropping: How faces are found and cut out.
        runner: Where the pipeline runs.
        is_stopped: Called several times a second. `True` ends the work as soon as
            every worker has finished its current input.

    Yields:
        Each task once its staged file has been seen, in any order.

    Raises:
        RequestError: The request is wrong, the disk is full, workers do not see the
            folders, or the pipeline has failed.
    """
    waiting = {task.staged.absolute(): task for task in tasks}
    if not waiting:
        return
    beam = _beam()
    try:
        pipeline = beam.Pipeline(runner.runner, runner.options)
    except ValueError as error:  # The runner needs other options too.
        raise RequestError(f"{_FIELD}: {_one_line(error)}") from error
    folder = next(iter(waiting)).parent.parent
    orders = _Orders.write(folder, waiting)
    _ = (
        pipeline
        | "Parts" >> beam.Create(orders.offsets, reshuffle=False)
        | "Read" >> beam.FlatMap(orders.read)
        | "Spread" >> beam.Reshuffle()
        | "Stage" >> beam.ParDo(_stage_fn(orders, root.absolute(), cropping))
    )
    running = _Running(pipeline)

    def look() -> Iterator[pool.Task]:
        for path in folder.glob("*/*.zip"):
            if path in waiting:
                yield waiting.pop(path)

    running.start()
    try:
        pause = _LOOK_SECONDS
        looked = time.monotonic()
        while running.is_alive() and not is_stopped():
            running.join(_POLL_SECONDS)
            if time.monotonic() - looked > pause:
                start = time.monotonic()
                yield from look()
                looked = time.monotonic()
                # Listing a large network folder is slow and loads its server.
                pause = max(_LOOK_SECONDS, 10 * (looked - start))
    finally:
        # Workers finish their current input and begin no other.
        orders.path.unlink(missing_ok=True)
        running.end()
    if is_stopped():
        return
    if running.error is not None:
        raise _explain(running.error) from running.error
    yield from look()
    if waiting:
        raise RequestError(
            f"`output`: {len(waiting):,} files were not staged in {str(folder)!r}; "
            "expected a folder that all workers of Beam see at this path, and no other "
            "run at work in it"
        )


@dataclasses.dataclass(frozen=True)
class _Orders:
    """The file of tasks; workers go on as long as it exists.

    Attributes:
        path: Path of the file. Its deletion also ends workers that have outlived the
            process that started them.
        offsets: Byte at which each part begins.
    """

    path: Path
    offsets: list[int]

    @classmethod
    def write(cls, folder: Path, tasks: dict[Path, pool.Task]) -> "_Orders":
        """Writes the tasks and deletes the files of earlier runs."""
        path = folder / f"beam-{secrets.token_hex(8)}.jsonl"
        lines = [
            dataclasses.replace(task, staged=staged).to_line()
            for staged, task in tasks.items()
        ]
        ends = list(itertools.accumulate(map(len, lines), initial=0))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("beam-*.jsonl"):
                old.unlink(missing_ok=True)
            storage.write_bytes(path, b"".join(lines))
        except OSError as error:
            raise staging.disk_error(error, folder) from error
        return cls(path, ends[:-1:_NUM_LINES])

    def read(self, offset: int) -> Iterator[bytes]:
        """Yields the lines of the part that begins at `offset`."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(offset)
            yield from itertools.islice(file, _NUM_LINES)


def _stage_fn(orders: _Orders, root: Path, cropping: Cropping) -> Any:
    """Makes the `DoFn` that stages the input of a line.

    The class is local because its base class belongs to an optional package.
    """
    import apache_beam as beam

    versions = staging.versions()

    class Stage(beam.DoFn):
        def __init__(self) -> None:
            self._process: pool.Single | None = None

        def setup(self) -> None:
            _check_worker(root, versions)
            # In a process of its own, an input cannot kill the worker.
            self._process = pool.Single(root, cropping)

        def process(self, line: bytes) -> Iterable[None]:
            if self._process is not None and orders.path.exists():
                _stage(self._process, pool.Task.from_line(line))
            return ()

        def teardown(self) -> None:
            if self._process is not None:
                self._process.close()

    return Stage()


class _Ended(Exception):  # noqa: N818 - see `_explain`
    """Carries a message intact through the texts that runners add to an exception."""

    def __init__(self, message: str):
        encoded = base64.urlsafe_b64encode(message.encode("utf-8", "surrogatepass"))
        super().__init__(f"{message} [fakedet:{encoded.decode()}]")


def _check_worker(root: Path, versions: dict[str, Any]) -> None:
    """Checks that a worker sees the data folder and has the same versions."""
    if not root.is_dir():
        raise _Ended(
            "`data_dir`: expected a folder that all workers of Beam see, found no "
            f"{str(root)!r} on {socket.gethostname()}; use a shared file system"
        )
    found = staging.versions()
    if found != versions:
        raise _Ended(
            f"{_FIELD}: expected workers with the versions {versions} of this machine, "
            f"found {found} on {socket.gethostname()}; install the same versions"
        )


def _stage(process: pool.Single, task: pool.Task) -> None:
    """Stages an input, even if another worker stages it at the same time."""
    if task.staged.is_file():
        return  # Runners may repeat a task that they have lost track of.
    mine = task.staged.with_name(f".{task.staged.name}.{secrets.token_hex(8)}.tmp")
    try:
        process.work_on(dataclasses.replace(task, staged=mine))
        mine.replace(task.staged)
    except RequestError as error:
        raise _Ended(str(error)) from error
    except OSError as error:
        folder = task.staged.parent.parent
        raise _Ended(str(staging.disk_error(error, folder))) from error


class _Running(threading.Thread):
    """Runs a pipeline in a thread, because some runners block until its end.

    Attributes:
        error: Why the pipeline failed; `None` if it did not.
    """

    def __init__(self, pipeline: Any):
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._pipeline = pipeline
        self._result: Any = None

    def run(self) -> None:
        """Runs the pipeline; called by `start`."""
        try:
            self._result = self._pipeline.run()
            state = self._result.wait_until_finish()
            if state != _beam().runners.runner.PipelineState.DONE:
                raise RuntimeError(f"it ended as {state}")
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """Waits for the end, which is near once the orders are deleted."""
        if self.is_alive() and self._result is not None:
            with contextlib.suppress(Exception):  # Not every runner can cancel.
                self._result.cancel()
        self.join()


def _explain(error: Exception) -> RequestError:
    """Makes the message for the user from the error of a pipeline."""
    message = _MESSAGE.search(str(error))
    if message is not None:
        decoded = base64.urlsafe_b64decode(message[1])
        return RequestError(decoded.decode("utf-8", "surrogatepass"))
    _LOGGER.error("the pipeline failed", exc_info=error)
    return RequestError(
        f"{_FIELD}: the pipeline failed ({_one_line(error)}); finished work is kept; "
        "run the same command again to go on"
    )


def _one_line(error: BaseException) -> str:
    """The last line of a message: that of a remote traceback names the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _beam() -> Any:
    """Imports Beam, which is large and optional."""
    try:
        import apache_beam
    except ImportError as error:
        raise RequestError(
            f"{_FIELD} needs Apache Beam, which cannot be imported "
            f"({_one_line(error)}); run: pip install 'fakedet-jax[beam]'"
        ) from error
    return apache_beam

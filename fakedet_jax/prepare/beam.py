# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Has the workers of an Apache Beam pipeline work on inputs, as `pool` has processes.

A worker reads originals from the data folder and writes staged files below the output
folder. Both folders must therefore lie on a file system that all workers see at the
same paths: NFS, Filestore, Lustre, or a bucket that is mounted with gcsfuse. Workers
need this package and the same versions of what decodes and encodes.

Listing, splits and records stay in the process that starts the pipeline. What it
writes does not depend on who has staged the files, and they are kept, so a run that was
killed goes on with Beam or without.
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

_FLAG = "`beam_pipeline_options`"
_OPTION = re.compile(r"[A-Za-z]\w*(=.*)?", re.DOTALL)
_MESSAGE = re.compile(r"\[fakedet:([\w=-]+)\]")

# Tasks lie in a file, for runners limit the size of what a pipeline starts with. A
# worker reads so many of its lines at a time.
_NUM_LINES = 1000
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where a pipeline runs, and how; made by `create_runner`.

    Attributes:
        runner: A `PipelineRunner` of Beam.
        options: The `PipelineOptions`.
    """

    runner: Any
    options: Any


def create_runner(options: Sequence[str]) -> Runner:
    """Checks options and makes the runner that they name.

    Args:
        options: Each `name=value` or `name`, such as `runner=DirectRunner`; the names
            are those of Beam's Python SDK.

    Returns:
        The runner. `DirectRunner`, the default, is Beam's runner in Python: the one
        that Beam would try first is a program to be downloaded, which does not know
        `direct_num_workers`.

    Raises:
        RequestError: Beam is missing, or an option is unknown or wrong.
    """
    beam = _beam()
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    for option in options:
        if not _OPTION.fullmatch(option):
            raise RequestError(
                f"{_FLAG}: expected name=value or name, such as runner=DirectRunner, "
                f"found {option!r}"
            )
    parsed = PipelineOptions([f"--{option}" for option in options])
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            given = parsed.get_all_options(retain_unknown_options=True)
    except SystemExit as error:
        problem = printed.getvalue().strip().rpartition("error: ")[2]
        raise RequestError(f"{_FLAG}: {problem}") from error
    unknown = sorted(given.keys() - PipelineOptions([]).get_all_options().keys())
    if unknown:
        raise RequestError(
            f"{_FLAG}: expected options of Beam {beam.__version__}, found "
            f"{', '.join(unknown)}"
        )
    name = parsed.view_as(StandardOptions).runner or StandardOptions.DEFAULT_RUNNER
    try:
        runner = beam.runners.create_runner(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RequestError(f"{_FLAG}: {_one_line(error)}") from error
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
    """Works on inputs in a pipeline, until all are staged.

    An input that kills a process is tried once more, and then staged with the reason,
    as by `pool.run`. Warnings about inputs are in the log of the workers.

    Args:
        tasks: The inputs, whose staged files are to lie in one folder of folders.
        root: The data folder.
        cropping: What is to be done with them.
        runner: Where the pipeline runs.
        is_stopped: Asked several times a second. True ends the work once every worker
            is through with the input it has in hand.

    Yields:
        Each task when its staged file was seen, in any order.

    Raises:
        RequestError: The request is wrong, the disk is full, workers do not see the
            folders, or the pipeline failed.
    """
    waiting = {task.staged.absolute(): task for task in tasks}
    if not waiting:
        return
    beam = _beam()
    try:
        pipeline = beam.Pipeline(runner.runner, runner.options)
    except ValueError as error:  # The runner needs other options too.
        raise RequestError(f"{_FLAG}: {_one_line(error)}") from error
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
                # A large folder of a network takes its time, which is not ours alone.
                pause = max(_LOOK_SECONDS, 10 * (looked - start))
    finally:
        orders.withdraw()
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
    """The file that tells workers what to do, as long as it is there.

    Attributes:
        path: Of the file; a worker that does not find it has nothing more to do. So
            workers that have outlived the process which started them come to an end.
        offsets: Where each part begins, bytes.
    """

    path: Path
    offsets: list[int]

    @classmethod
    def write(cls, folder: Path, tasks: dict[Path, pool.Task]) -> "_Orders":
        """Writes the orders, in place of those of earlier runs."""
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
            raise RequestError(staging.disk_error(error, folder)) from error
        return cls(path, ends[:-1:_NUM_LINES])

    def read(self, offset: int) -> Iterator[bytes]:
        """The lines of a part."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(offset)
            yield from itertools.islice(file, _NUM_LINES)

    def are_valid(self) -> bool:
        """Whether there is still something to do."""
        return self.path.exists()

    def withdraw(self) -> None:
        """Ends the work: what is in hand is finished, and nothing else begun."""
        self.path.unlink(missing_ok=True)


def _stage_fn(orders: _Orders, root: Path, cropping: Cropping) -> Any:
    """Makes the `DoFn` that stages the input of a line.

    Its class is made here because its base class is of a package that is optional.
    """
    import apache_beam as beam

    versions = staging.versions()

    class Stage(beam.DoFn):
        def __init__(self) -> None:
            self._process: pool.Single | None = None

        def setup(self) -> None:
            _check_worker(root, versions)
            # A process of its own: an input that kills it does not kill the worker.
            self._process = pool.Single(root, cropping)

        def process(self, line: bytes) -> Iterable[None]:
            if self._process is not None and orders.are_valid():
                _stage(self._process, pool.Task.from_line(line))
            return ()

        def teardown(self) -> None:
            if self._process is not None:
                self._process.close()

    return Stage()


class _Ended(Exception):  # noqa: N818 - see `_explain`
    """Carries a message through all that runners make of an exception."""

    def __init__(self, message: str):
        encoded = base64.urlsafe_b64encode(message.encode("utf-8", "surrogatepass"))
        super().__init__(f"{message} [fakedet:{encoded.decode()}]")


def _check_worker(root: Path, versions: dict[str, Any]) -> None:
    """Checks a worker before it can stage anything wrong."""
    if not root.is_dir():
        raise _Ended(
            f"`data_dir`: expected a folder that all workers of Beam see, but "
            f"{socket.gethostname()} has no {str(root)!r}; use a shared file system"
        )
    found = staging.versions()
    if found != versions:
        raise _Ended(
            f"{_FLAG}: expected workers with the versions of this machine, {versions}, "
            f"found {found} on {socket.gethostname()}; install the same ones"
        )


def _stage(process: pool.Single, task: pool.Task) -> None:
    """Stages an input, also when another worker is working on it too."""
    if task.staged.is_file():
        return  # Runners may repeat what they have lost track of.
    mine = task.staged.with_name(f".{task.staged.name}.{secrets.token_hex(8)}.tmp")
    try:
        process.work_on(dataclasses.replace(task, staged=mine))
        mine.replace(task.staged)
    except RequestError as error:
        raise _Ended(str(error)) from error
    except OSError as error:
        message = staging.disk_error(error, task.staged.parent.parent)
        raise _Ended(message) from error


class _Running(threading.Thread):
    """A pipeline at work; some runners come back only when all is done.

    Attributes:
        error: Why it failed, None where it did not.
    """

    def __init__(self, pipeline: Any):
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._pipeline = pipeline
        self._result: Any = None

    def run(self) -> None:
        """Runs it; called by `start`."""
        try:
            self._result = self._pipeline.run()
            state = self._result.wait_until_finish()
            if state != _beam().runners.runner.PipelineState.DONE:
                raise RuntimeError(f"it ended as {state}")
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """Waits for its end, which is near once the orders are withdrawn."""
        if self.is_alive() and self._result is not None:
            with contextlib.suppress(Exception):  # Not every runner can.
                self._result.cancel()
        self.join()


def _explain(error: Exception) -> RequestError:
    """What the user is told of a failure."""
    message = _MESSAGE.search(str(error))
    if message is not None:
        decoded = base64.urlsafe_b64decode(message[1])
        return RequestError(decoded.decode("utf-8", "surrogatepass"))
    _LOGGER.error("the pipeline failed", exc_info=error)
    return RequestError(
        f"{_FLAG}: the pipeline failed ({_one_line(error)}); what is finished is kept, "
        "and the same command goes on"
    )


def _one_line(error: BaseException) -> str:
    """The last line, which says what a remote traceback is about."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _beam() -> Any:
    """Beam, which is large and optional."""
    try:
        import apache_beam
    except ImportError as error:
        raise RequestError(
            f"{_FLAG} needs Apache Beam, which cannot be imported "
            f"({_one_line(error)}); run: pip install 'fakedet-jax[beam]'"
        ) from error
    return apache_beam

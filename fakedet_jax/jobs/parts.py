# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Modes that write a folder of parts: any number of files, in units of work."""

import collections
import dataclasses
import functools
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from fakedet_jax import settings
from fakedet_jax.bulk import inputs as bulk_inputs
from fakedet_jax.bulk import ledger, ray_engine, work
from fakedet_jax.bulk.shards import read_shard
from fakedet_jax.config import ExtractConfig, PartsConfig, PredictConfig
from fakedet_jax.data import prepared
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.stream import Reading
from fakedet_jax.jobs import compute
from fakedet_jax.jobs.files import check_paths, tell_notes
from fakedet_jax.models import precision
from fakedet_jax.runtime import parallel, text
from fakedet_jax.runtime.signals import Stopped, StopRequest

_LOGGER = logging.getLogger(__name__)

_MAX_REASONS = 5
# Reason of the inputs of a unit that no process has survived.
_DIED = "cannot be processed: the process died each time"
_SECONDS_BETWEEN_LOOKS = 2.0

Config = PredictConfig | ExtractConfig


@dataclasses.dataclass(frozen=True)
class Job:
    """What a mode computes, ready to start.

    Attributes:
        columns: Names and Arrow types of its columns.
        facts: What rows depend on besides the files: JSON-able values by name.
        cropping: How faces are found and cut out.
        computation: How files become rows.
        tell: Logs what is to be said at the end.
    """

    columns: dict[str, str]
    facts: dict[str, Any]
    cropping: Cropping
    computation: work.Computation
    tell: Callable[[], None] = lambda: None


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode that can write parts.

    Attributes:
        name: Its name.
        columns: Names of its columns, which a list of inputs must not have.
        open_job: From the settings, the devices of this process, who reads files, and
            how many files there are, to the job. A function of a module, as other
            processes call it, too.
    """

    name: str
    columns: tuple[str, ...]
    open_job: Callable[[Any, Mesh, Reading, int], Job]


def run(mode: Mode, config: Config) -> dict[str, int]:
    """Computes the units of this process, and goes on where an earlier run stopped.

    Args:
        mode: The mode.
        config: The settings, for which `compute.prepare` was called; `output` is a
            folder.

    Returns:
        The number of inputs that were computed, and of rows that are `error`.

    Raises:
        RequestError: The settings are invalid, there is no input, or the folder belongs
            to another request.
        Stopped: The process was asked to stop.
        RuntimeError: No input could be used; the parts are complete.
    """
    assert config.output is not None
    _check(mode, config)
    shard = _shard(config.parts)
    inputs = _open_inputs(mode, config)
    summary = inputs.summarise()
    config = _go_on_with_batches(config)
    assert config.output is not None
    reading = _choose_reading(config, -(-summary.count // shard[1]))
    job = mode.open_job(config, _mesh(), reading, summary.count)
    if summary.has_videos:
        stream.check_video_support(job.cropping)
    request = ledger.Request(
        facts={"inputs": summary.digest, **job.facts},
        num_inputs=summary.count,
        unit_size=config.parts.unit_size,
        format=config.parts.format,
        columns={
            **job.columns,
            **{name: str(type_) for name, type_ in inputs.carried.items()},
        },
    )
    if shard[0] >= request.num_units:
        raise RequestError(
            f"`shard`: {shard[0]}/{shard[1]} has nothing to do, there are only "
            f"{text.counted(request.num_units, 'unit')}; lower `unit_size` or start "
            "fewer processes"
        )
    book = ledger.claim(config.output, request)
    schedule = work.Schedule(book, shard, retry_failed=config.parts.retry_failed)
    try:
        if config.parts.engine is None:
            report = work.run(book, schedule, inputs, job.computation, mode.name)
        else:
            report = _run_on_engine(mode, config, book, schedule, inputs, job)
    except Stopped:
        _tell_complete(book)
        raise
    job.tell()
    _summarise(report)
    _tell_complete(book)
    if jax.process_count() > 1:
        _wait_for_others(book)
    if report.num_rows and report.errors.total() == report.num_rows:
        # Scripts check the exit code, not the `error` column.
        raise RuntimeError("no input could be used; the parts say why")
    return {"inputs": report.num_inputs, "error": report.errors.total()}


def common_facts(batch_size: int, how: Cropping) -> dict[str, Any]:
    """Facts of every job: what the digits of results depend on besides the network."""
    return {
        "batch_size": batch_size,
        "matmul_precision": precision.chosen(),
        "faces": how.record,
    }


def _check(mode: Mode, config: Config) -> None:
    if config.parts.engine is not None:
        parallel.require_one_process(mode.name, "an engine finds its own workers")
        ray_engine.check_installed()
    if bool(config.paths) == (config.parts.inputs is not None):
        found = "both" if config.paths else "none"
        raise RequestError(
            f"`mode={mode.name}`: expected files and folders or a list (`inputs`), "
            f"found {found}"
        )
    check_paths(config.paths)
    assert config.output is not None
    output = config.output.resolve()
    for path in config.paths:
        # A later run would find other files there than the first one.
        if Path(path).is_dir() and output.is_relative_to(Path(path).resolve()):
            raise RequestError(
                "`output`: expected a folder outside the scored ones, found "
                f"{str(config.output)!r} within {path!r}; name another"
            )


def _shard(parts: PartsConfig) -> tuple[int, int]:
    if jax.process_count() == 1:
        return read_shard(parts.shard)
    if parts.shard:
        raise RequestError(
            "`shard`: processes that were started together (`distributed`) share the "
            "units by themselves; leave it out"
        )
    return jax.process_index(), jax.process_count()


def _mesh() -> Mesh:
    """The devices of this process alone: units need no others."""
    return parallel.data_mesh(jax.local_devices())


def _open_inputs(mode: Mode, config: Config) -> bulk_inputs.Inputs:
    source, split = config.parts.inputs, config.parts.inputs_split
    if source is not None and source.is_dir() and prepared.find(source):
        if config.faces is not None:
            raise RequestError(
                "`face_detector`: the faces of a prepared dataset are cut out already; "
                "leave it out"
            )
        return bulk_inputs.from_prepared(source, split or "all")
    if split is not None:
        raise RequestError(
            "`inputs_split`: expected a prepared dataset (the `output` folder of "
            f"`mode=prepare`) as `inputs`, found {str(source or '')!r}; leave it out"
        )
    if source is None:
        return bulk_inputs.from_paths(config.paths)
    return bulk_inputs.from_list(source, config.parts.inputs_column, mode.columns)


def _go_on_with_batches(config: Config) -> Config:
    """Chooses the batch size of the run that is there, on whatever machine."""
    assert config.output is not None
    if config.batch_size is not None or not (config.output / ledger.REQUEST).exists():
        return config
    request = ledger.open_ledger(config.output, "output").request
    found = request.facts.get("batch_size")
    if not isinstance(found, int) or found < 1:
        return config
    return dataclasses.replace(config, batch_size=found)


def _choose_reading(config: Config, num_inputs: int) -> Reading:
    if config.parts.engine is not None:
        # Its workers share the cores already, and each unit is read anew.
        num_inputs = 0
    return stream.choose_reading(
        num_inputs,
        num_workers=config.input.num_workers,
        num_threads=config.input.num_threads,
        seconds_per_file=config.seconds_per_file,
    )


def _run_on_engine(
    mode: Mode,
    config: Config,
    book: ledger.Ledger,
    schedule: work.Schedule,
    inputs: bulk_inputs.Inputs,
    job: Job,
) -> work.Report:
    """Does what `work.run` does, with a task of the engine for each unit."""
    assert config.parts.engine is not None
    report = work.Report()
    with StopRequest() as stop, work.show_progress(schedule, mode.name) as shown:
        computed = ray_engine.run(
            _compute_unit,
            (mode, _for_workers(config, book), book),
            work.units(schedule.tasks(inputs)),
            engine=config.parts.engine,
            is_stopped=lambda: stop.signum is not None,
        )
        for unit, found in computed:
            if found is None:
                failed = work.failed(unit, _DIED)
                found = work.compute_unit(book, failed, job.computation)
            report.add(found)
            shown.update(found.num_inputs, note=work.describe_errors(report))
    if stop.signum:
        raise Stopped(stop.signum)
    return report


def _for_workers(config: Config, book: ledger.Ledger) -> Config:
    """The settings with the batches that this process has chosen, without its paths.

    They may be many, and the tasks have theirs.
    """
    batch_size = book.request.facts["batch_size"]
    return dataclasses.replace(config, paths=(), batch_size=batch_size)


def _compute_unit(
    common: tuple[Mode, Config, ledger.Ledger], unit: work.Unit
) -> work.Report:
    """Computes a unit in a worker."""
    mode, config, book = common
    job = _load(mode, config)
    if different := settings.differences(book.request.facts, job.facts, ()):
        raise RequestError(
            f"`engine`: expected workers with the devices and files of this machine, "
            f"found {', '.join(different)} on {socket.gethostname()}"
        )
    return work.compute_unit(book, unit, job.computation)


@functools.lru_cache(maxsize=1)
def _load(mode: Mode, config: Config) -> Job:
    """Opens the job, once in each worker."""
    compute.prepare(config.compute)
    return mode.open_job(config, _mesh(), _choose_reading(config, 0), 0)


def _wait_for_others(book: ledger.Ledger) -> None:
    """Waits until all units are done.

    The processes of a run that was started together end together: the first one
    coordinates the others, who would fail without it.
    """
    left = set(range(book.request.num_units))
    with StopRequest() as stop:
        while not stop.signum:
            left = {unit for unit in left if book.done(unit) is None}
            if not left:
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    raise Stopped(stop.signum)


def _summarise(report: work.Report) -> None:
    """Logs what was done, why rows have no result, and where the time went."""
    if not report.num_inputs:
        _LOGGER.info("nothing to do: all units of this process are done")
        return
    _LOGGER.info(
        "%s computed, %s with an error",
        text.counted(report.num_inputs, "input"),
        text.counted(report.errors.total(), "row"),
    )
    _tell_reasons(report.errors)
    tell_notes(report.notes)
    total = sum(report.seconds.values())
    names = {"read": "pictures", "device": "the device", "write": "the disk"}
    longest = sorted(report.seconds, key=report.seconds.__getitem__, reverse=True)
    told = (f"{report.seconds[key] / total:.0%} for {names[key]}" for key in longest)
    _LOGGER.info("time spent waiting: %s", ", ".join(told))


def _tell_reasons(errors: collections.Counter[str]) -> None:
    for reason, count in errors.most_common(_MAX_REASONS):
        _LOGGER.info("  %s × %s", f"{count:,}", reason)
    if (rest := len(errors) - _MAX_REASONS) > 0:
        _LOGGER.info("  and %s", text.counted(rest, "other reason"))


def _tell_complete(book: ledger.Ledger) -> None:
    """Logs how much of the whole run, of all processes, is done."""
    total = book.request.num_units
    num_done = sum(book.done(unit) is not None for unit in range(total))
    _LOGGER.info(
        "of the whole run, %s of %s done in %s",
        f"{num_done:,}",
        text.counted(total, "unit"),
        book.folder,
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=predict` into a folder of parts: any number of files, in units of work."""

import collections
import dataclasses
import functools
import logging
import re
import socket
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from fakedet_jax import settings, systems
from fakedet_jax.bulk import inputs as bulk_inputs
from fakedet_jax.bulk import ledger, ray_engine, work
from fakedet_jax.config import PredictConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.predictions import FaceResult
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.faces import cropping, expected, stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.jobs import compute, threshold
from fakedet_jax.jobs.files import tell_notes
from fakedet_jax.models import precision
from fakedet_jax.runtime import parallel, storage, text
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems.base import Fitted
from fakedet_jax.systems.identity import model_id
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

_COLUMNS = {
    "path": "string",
    "face": "int32",
    "score": "double",
    "decision": "string",
    work.ERROR: "string",
    "note": "string",
    "model_id": "string",
    work.INPUT: "int64",
}
_MAX_REASONS = 5
# Reason of the inputs of a unit that no process has survived.
_DIED = "cannot be processed: the process died each time"


def predict_parts(config: PredictConfig) -> dict[str, int]:
    """Scores the units of this process, and goes on where an earlier run stopped.

    Args:
        config: The settings; `output` is a folder.

    Returns:
        The number of inputs that were computed, and of rows that are `error`.

    Raises:
        RequestError: The settings are invalid, there is no input, or the folder belongs
            to another request.
        Stopped: The process was asked to stop.
        RuntimeError: No input could be scored; the parts are complete.
    """
    assert config.output is not None
    _check(config)
    shard = read_shard(config.parts.shard)
    mesh, workdir, how = _set_up(config)
    inputs = _open_inputs(config)
    summary = inputs.summarise()
    if summary.has_videos:
        stream.check_video_support(how)
    detector = systems.load(
        workdir,
        mesh,
        threshold=config.threshold,
        max_false_alarms=config.max_false_alarms,
    )
    facts = {"inputs": summary.digest, **_facts(config, detector, how, mesh)}
    request = _request(config, inputs, summary.count, facts)
    if shard[0] >= request.num_units:
        raise RequestError(
            f"`shard`: {config.parts.shard} has nothing to do, there are only "
            f"{text.counted(request.num_units, 'unit')}; lower `unit_size` or start "
            "fewer processes"
        )
    book = ledger.claim(config.output, request)
    schedule = work.Schedule(book, shard, retry_failed=config.parts.retry_failed)
    reading = _choose_reading(config, schedule.num_inputs - schedule.num_done)
    computation = _computation(detector, how, mesh, facts, reading)
    try:
        if config.parts.engine is None:
            report = work.run(book, schedule, inputs, computation)
        else:
            report = _run_on_engine(config, book, schedule, inputs, computation)
    except Stopped:
        _tell_complete(book)
        raise
    threshold.tell(detector.info)
    _summarise(report)
    _tell_complete(book)
    if report.num_rows and report.errors.total() == report.num_rows:
        # Scripts check the exit code, not the `error` column.
        raise RuntimeError("no input could be scored; the parts say why")
    return {"inputs": report.num_inputs, "error": report.errors.total()}


def read_shard(value: str) -> tuple[int, int]:
    """Reads which of several processes this one is.

    Args:
        value: Such as `0/4`, the first of four; empty for the only one.

    Returns:
        Its number from 0, and the number of processes.

    Raises:
        RequestError: It is none of that form, or the number is too large.

    >>> read_shard("3/4"), read_shard("")
    ((3, 4), (0, 1))
    """
    if not value:
        return 0, 1
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value)
    index, count = map(int, found.groups()) if found else (0, 0)
    if not index < count:
        raise RequestError(
            "`shard`: expected NUMBER/PROCESSES with numbers from 0, such as 0/4 to "
            f"3/4, found {value!r}"
        )
    return index, count


def _check(config: PredictConfig) -> None:
    parallel.require_one_process("predict", "give each process a `shard`")
    if config.parts.engine is not None:
        ray_engine.check_installed()
    for name in ("frame_scores", "annotated"):
        if getattr(config, name) is not None:
            raise RequestError(
                f"`{name}`: a folder of parts has tables of faces only; leave it out, "
                "or name a CSV file as `output`"
            )
    if bool(config.paths) == (config.parts.inputs is not None):
        found = "both" if config.paths else "none"
        raise RequestError(
            f"`mode=predict`: expected files and folders or a list (`inputs`), found "
            f"{found}"
        )
    assert config.output is not None
    output = config.output.resolve()
    for path in config.paths:
        # A later run would find other files there than the first one.
        if Path(path).is_dir() and output.is_relative_to(Path(path).resolve()):
            raise RequestError(
                "`output`: expected a folder outside the scored ones, found "
                f"{str(config.output)!r} within {path!r}; name another"
            )


def _open_inputs(config: PredictConfig) -> bulk_inputs.Inputs:
    if config.parts.inputs is None:
        return bulk_inputs.from_paths(config.paths)
    return bulk_inputs.from_list(
        config.parts.inputs, config.parts.inputs_column, tuple(_COLUMNS)
    )


def _set_up(config: PredictConfig) -> tuple[Mesh, Workdir, Cropping]:
    """Everything but the detector, which takes longest to load."""
    compute.prepare(config.compute)
    mesh = parallel.data_mesh()
    workdir = open_workdir(config.workdir)
    cache = storage.user_cache_dir() / "compiled"
    compute.set_up(config.compute, workdir, default_cache=cache)
    how = cropping.choose(
        workdir.faces,
        faces=config.faces,
        model=config.face_detector_model,
        all_faces=config.all_faces,
        frames=config.frames,
        expected=expected.from_record(workdir.pictures),
    )
    return mesh, workdir, how


def _facts(
    config: PredictConfig, detector: Fitted, how: Cropping, mesh: Mesh
) -> dict[str, Any]:
    """All that scores depend on besides the files."""
    return {
        "detector": detector.info.detector,
        "model_id": model_id(detector),
        "threshold": detector.info.threshold,
        "batch_size": parallel.round_up_batch_size(config.batch_size, mesh),
        "matmul_precision": precision.chosen(),
        "faces": how.record,
    }


def _request(
    config: PredictConfig,
    inputs: bulk_inputs.Inputs,
    num_inputs: int,
    facts: dict[str, Any],
) -> ledger.Request:
    carried = {name: str(type_) for name, type_ in inputs.carried.items()}
    return ledger.Request(
        facts=facts,
        num_inputs=num_inputs,
        unit_size=config.parts.unit_size,
        format=config.parts.part_format,
        columns={**_COLUMNS, **carried},
    )


def _choose_reading(config: PredictConfig, num_inputs: int) -> stream.Reading:
    if config.parts.engine is not None:
        # Its workers share the cores already, and each unit is read anew.
        num_inputs = 0
    return stream.choose_reading(
        num_inputs,
        num_workers=config.num_workers,
        num_threads=config.num_threads,
        seconds_per_file=config.seconds_per_file,
    )


def _computation(
    detector: Fitted,
    how: Cropping,
    mesh: Mesh,
    facts: dict[str, Any],
    reading: stream.Reading,
) -> work.Computation:
    scorer = Scorer(detector.probability_fn, mesh, facts["batch_size"])
    return work.Computation(
        open_batches=functools.partial(
            stream.stream_faces,
            cropping=how,
            framing=detector.info.framing,
            batch_size=scorer.batch_size,
            reading=reading,
        ),
        compute=functools.partial(scorer.stream, detector.variables),
        to_scores=lambda values: detector.info.scores(values).tolist(),
        to_row=functools.partial(_row, facts["model_id"], detector.info.threshold),
    )


def _run_on_engine(
    config: PredictConfig,
    book: ledger.Ledger,
    schedule: work.Schedule,
    inputs: bulk_inputs.Inputs,
    computation: work.Computation,
) -> work.Report:
    """Does what `work.run` does, with a task of the engine for each unit."""
    assert config.parts.engine is not None
    report = work.Report()
    with StopRequest() as stop, work.show_progress(schedule) as shown:
        computed = ray_engine.run(
            _compute_unit,
            # Paths may be many, and the tasks have theirs.
            (dataclasses.replace(config, paths=()), book),
            work.units(schedule.tasks(inputs)),
            engine=config.parts.engine,
            is_stopped=lambda: stop.signum is not None,
        )
        for unit, found in computed:
            if found is None:
                found = work.compute_unit(book, work.failed(unit, _DIED), computation)
            report.add(found)
            shown.update(found.num_inputs)
    if stop.signum:
        raise Stopped(stop.signum)
    return report


def _compute_unit(
    common: tuple[PredictConfig, ledger.Ledger], unit: work.Unit
) -> work.Report:
    """Computes a unit in a worker."""
    config, book = common
    facts, computation = _load(config)
    wanted = book.request.facts
    if different := settings.differences(wanted, facts, ()):
        raise RequestError(
            f"`engine`: expected workers with the devices and files of this machine, "
            f"found {', '.join(different)} on {socket.gethostname()}"
        )
    return work.compute_unit(book, unit, computation)


@functools.lru_cache(maxsize=1)
def _load(config: PredictConfig) -> tuple[dict[str, Any], work.Computation]:
    """Loads the detector, once in each worker."""
    mesh, workdir, how = _set_up(config)
    detector = systems.load(
        workdir,
        mesh,
        threshold=config.threshold,
        max_false_alarms=config.max_false_alarms,
    )
    facts = _facts(config, detector, how, mesh)
    reading = _choose_reading(config, 0)
    return facts, _computation(detector, how, mesh, facts, reading)


def _row(model: str, threshold: float, task: work.Task, face: FaceResult) -> work.Row:
    decision = None
    if face.score is not None:
        decision = "fake" if metrics.decide(face.score, threshold) else "real"
    return (
        task.input.path,
        face.face,
        face.score,
        decision,
        face.reason or None,
        face.note or None,
        model,
        task.number,
        *task.input.carried,
    )


def _summarise(report: work.Report) -> None:
    """Logs what was done, why rows have no score, and where the time went."""
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
        "of the whole run, %s of %s are done in %s",
        f"{num_done:,}",
        text.counted(total, "unit"),
        book.folder,
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=predict`: scores photographs, videos and folders of both, as CSV."""

import collections
import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from jax.sharding import Mesh

from fakedet_jax import settings, systems
from fakedet_jax.config import PartsConfig, PredictConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import stability
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.operating_point import UNSURE
from fakedet_jax.evaluation.predictions import (
    FileResult,
    PredictionOutput,
    open_table,
    partial_path,
)
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.faces.annotated_copies import AnnotatedCopies
from fakedet_jax.faces.stream import NO_PICTURE, FaceFile
from fakedet_jax.jobs import compute, threshold
from fakedet_jax.jobs.files import Files, check_paths, open_files, tell_notes
from fakedet_jax.jobs.review import open_review
from fakedet_jax.jobs.saturation import Saturation
from fakedet_jax.report.review import PAGE, check_folder
from fakedet_jax.runtime import parallel, progress, storage, text
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems.base import Fitted
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)


def predict(config: PredictConfig) -> dict[str, int]:
    """Scores every photograph and video and writes the rows of each as it is finished.

    Into a folder, rows are written in parts; see `predict_parts`.

    Every file gets a score, or an `error` that says why it has none. The score of a
    video is the mean over its frames, and its `log_odds` are those of this mean.

    Args:
        config: The settings.

    Returns:
        The number of rows that are `fake`, `real` and `error`, and `unsure` where that
        was asked for; for parts see there.

    Raises:
        RequestError: The settings are invalid, or there is no file.
        Stopped: The process was asked to stop; the table has the name of
            `predictions.partial_path`.
        RuntimeError: No file could be scored; the table is complete.
    """
    compute.prepare(config.compute)
    if config.has_parts:
        from fakedet_jax.jobs import parts, predict_parts

        return parts.run(predict_parts.MODE, predict_parts.check(config))
    _check(config)
    mesh = parallel.data_mesh()
    workdir = open_workdir(config.workdir)
    cache = storage.user_cache_dir() / "compiled"
    compute.set_up(config.compute, workdir, default_cache=cache)
    detector = systems.load(workdir, mesh, config)
    files = open_files(
        config,
        workdir,
        mesh,
        num_workers=config.input.num_workers,
        num_threads=config.input.num_threads,
        batch_size=lambda num_files: compute.choose_batch_size(
            config.batch_size, num_files, detector, mesh
        ),
    )
    found = files.found
    scorer = Scorer(detector.log_probability_fn, mesh, files.batch_size)
    batches = files.batches(detector.info.framing, has_provenance=config.provenance)
    saturation = Saturation()
    score = stability.choose_stream(
        scorer, detector.info.framing, changes=config.stability
    )
    with (
        StopRequest() as stop,
        _open_output(config, files, detector, mesh, workdir.title) as output,
        progress.Progress(
            len(found), label="predict", unit="files", quiet=config.output is None
        ) as shown,
        contextlib.closing(batches),
    ):
        # The batches are kept for the pictures of the review.
        tagged = (((items, batch), batch) for items, batch in batches)
        for (items, batch), values, _ in score(detector.variables, tagged):
            if stop.signum:
                raise Stopped(stop.signum, advice="")
            rows = saturation.read(detector.info, values)
            for item in items:
                if item.row is None:
                    output.finish(item.file)
                    shown.update(1)
                elif item.position == NO_PICTURE or batch is None:
                    output.add(item.file, item.row, None)
                else:
                    picture = batch["image"][item.position]
                    output.add(item.file, item.row, rows[item.position], picture)
            output.flush()
    _summarise(config, output, found, detector.info)
    saturation.tell()
    return dict(output.counts)


def _check(config: PredictConfig) -> None:
    """Refuses invalid settings before anything is loaded."""
    parallel.require_one_process("predict", "give each process its own files")
    defaults = settings.to_json(PartsConfig())
    for name, value in settings.to_json(config.parts).items():
        if value != defaults.get(name):
            raise RequestError(
                f"`{name}`: only a run with parts has it; name a folder as `output`"
            )
    if config.output is not None and config.output.suffix.lower() == ".parquet":
        raise RequestError(
            f"`output`: expected a CSV file or a folder, found {str(config.output)!r}; "
            "parts are Parquet, and `mode=merge` joins them"
        )
    if not config.paths:
        raise RequestError(
            "`mode=predict`: name files or folders, such as PHOTOS/; found none"
        )
    check_paths(config.paths)
    tables = [path.resolve() for path in (config.output, config.frame_scores) if path]
    if len(set(tables)) < len(tables):
        raise RequestError(
            "`frame_scores`: expected a file other than `output`, found "
            f"{str(config.output)!r} for both"
        )
    _check_folder("annotated", config.annotated, config.paths)
    _check_folder("report", config.report, config.paths)
    if config.report is None:
        return
    check_folder(config.report)
    if config.annotated and config.annotated.resolve() == config.report.resolve():
        raise RequestError(
            "`report`: expected a folder other than `annotated`, found "
            f"{str(config.report)!r} for both"
        )


def _check_folder(name: str, folder: Path | None, paths: Sequence[str]) -> None:
    """Refuses a folder of pictures within the scored ones.

    Raises:
        RequestError: What is written there would later be taken for an original.
    """
    if folder is None:
        return
    resolved = folder.resolve()
    for path in paths:
        if resolved == Path(path).resolve().parent or (
            Path(path).is_dir() and resolved.is_relative_to(Path(path).resolve())
        ):
            raise RequestError(
                f"`{name}`: expected a folder outside the scored ones, found "
                f"{str(folder)!r} within {path!r}; name another"
            )


@contextlib.contextmanager
def _open_output(
    config: PredictConfig, files: Files, fitted: Fitted, mesh: Mesh, title: str
) -> Iterator[PredictionOutput]:
    found, info = files.found, fitted.info
    with contextlib.ExitStack() as stack:
        frame_table = copies = review = None
        # First, as the tables may lie within its folder, which must be empty.
        if config.report is not None:
            review = stack.enter_context(
                open_review(config, config.report, files, fitted, mesh, title=title)
            )
        table = stack.enter_context(open_table(config.output, "output"))
        if config.frame_scores is not None:
            frame_table = stack.enter_context(
                open_table(config.frame_scores, "frame_scores")
            )
        if config.annotated is not None:
            copies = stack.enter_context(
                AnnotatedCopies(
                    config.annotated,
                    found,
                    config.input.num_threads,
                    files.cropping.media,
                )
            )
        output = PredictionOutput(
            found,
            info.point,
            table,
            frame_table,
            copies,
            info.framing,
            functools.partial(
                FileResult,
                all_faces=files.cropping.may_take_all,
                min_track_frames=config.min_track_frames,
                framing=info.framing,
            ),
            stability=config.stability,
            has_provenance=config.provenance,
            review=review,
        )
        try:
            yield output
        except BrokenPipeError:
            raise  # Whoever read the output has seen enough.
        except BaseException:
            _tell_part(config, output, len(found))
            raise


def _tell_part(config: PredictConfig, output: PredictionOutput, num_files: int) -> None:
    """Says what a run that ends early leaves."""
    tables = [
        str(partial_path(path))
        for path in (config.output, config.frame_scores)
        if path is not None
    ]
    if config.output is None:
        tables.insert(0, "standard output")
    verb = "has" if len(tables) == 1 else "have"
    _LOGGER.warning(
        f"{' and '.join(tables)} {verb} only {output.num_scored + output.num_failed:,} "
        f"of {text.counted(num_files, 'file')}; a run with a folder as `output` can be "
        "resumed"
    )


def _summarise(
    config: PredictConfig,
    output: PredictionOutput,
    found: Sequence[FaceFile],
    info: DetectorInfo,
) -> None:
    """Logs the counts of files and decisions.

    Raises:
        RuntimeError: No file could be scored.
    """
    threshold.tell(info)
    num_fake, num_real = output.counts["fake"], output.counts["real"]
    num_unsure = output.counts[UNSURE]
    num_faces = num_fake + num_real + num_unsure
    faces = ""
    if num_faces != output.num_scored:
        faces = f"{text.counted(num_faces, 'face')}: "
    decisions = (
        f"{num_fake:,} fake, {num_real:,} real at threshold {info.threshold:.4g}"
    )
    if info.unsure_between is not None or config.stability:
        decisions = f"{num_fake:,} fake, {num_real:,} real, {num_unsure:,} unsure"
    errors = f"{output.num_failed:,} with an error"
    if output.reasons and len(found) > 1:
        errors += f": {_most_frequent(output.reasons)}"
    _LOGGER.info(
        f"{text.counted(len(found), 'file')}: {output.num_scored:,} scored "
        f"({faces}{decisions}), {errors}"
    )
    tell_notes(output.notes)
    if config.annotated is not None and output.num_scored:
        _LOGGER.info("copies with boxes and scores are in %s", config.annotated)
    if config.report is not None:
        _LOGGER.info("open %s to review the results", config.report / PAGE)
    if not output.num_scored:
        # Scripts check the exit code, not the `error` column.
        if len(found) == 1:
            (reason,) = output.reasons
            raise RuntimeError(
                f"the only file could not be scored: {found[0].path} {reason}"
            )
        raise RuntimeError(
            text.joined(
                f"none of the {len(found):,} files could be scored",
                f"{config.output} has the reason of each" if config.output else "",
            )
        )
    tables = [str(path) for path in (config.output, config.frame_scores) if path]
    if tables:
        verb = "is" if len(tables) == 1 else "are"
        _LOGGER.info("%s %s written", " and ".join(tables), verb)


def _most_frequent(reasons: collections.Counter[str]) -> str:
    """The reason that most files have, and how many have others.

    >>> _most_frequent(collections.Counter({"shows no face": 3, "is empty": 1}))
    '3 × shows no face, 1 × other reasons'
    """
    ((reason, count),) = reasons.most_common(1)
    rest = reasons.total() - count
    return f"{count:,} × {reason}" + (f", {rest:,} × other reasons" if rest else "")

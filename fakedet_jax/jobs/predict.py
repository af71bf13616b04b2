# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=predict`: scores for photographs, videos and folders of both, as CSV."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from fakedet_jax.config import FaceConfig, FrameConfig, PredictConfig
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.evaluation.predictions import PredictionOutput, open_table
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.faces import cropping
from fakedet_jax.faces.annotated_copies import AnnotatedCopies
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.stream import FaceFile, stream_faces
from fakedet_jax.media import files, video
from fakedet_jax.runtime import parallel, progress, text
from fakedet_jax.systems.base import DetectorInfo
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# What means nothing where no faces are searched for, and what would search for them.
_NEED_SEARCH = {
    "face_detector_model": "`face_detector=yunet`",
    "all_faces": "`face_detector`",
}

_EXTENSIONS = files.PICTURE_EXTENSIONS | video.VIDEO_EXTENSIONS


def predict(config: PredictConfig) -> dict[str, int]:
    """Scores every photograph and video found and writes rows for each, as it goes.

    Every file ends as a score or as a named reason. The score of a video is the mean
    over its frames.

    Args:
        config: The settings.

    Returns:
        How many rows were `fake`, `real` and `error`.

    Raises:
        RequestError: The settings are not as expected, or there is no file at all.
        RuntimeError: No file could be scored; the table is complete.
    """
    _check(config)
    mesh = parallel.data_mesh()
    workdir = open_workdir(config.workdir)
    detector = workdir.system().load(workdir, mesh)
    found = list(_find(config.paths))
    if not found:
        raise RequestError(
            "`mode=predict`: no pictures or videos in "
            f"{', '.join(map(repr, config.paths))}; expected files that end in "
            f"{', '.join(sorted(_EXTENSIONS))}"
        )
    how = choose_cropping(config, workdir.faces)
    _check_videos(found, how)
    scorer = Scorer(detector.probability_fn, mesh, _batch_size(config, found, mesh))
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_open_output(config, found, detector.info))
        if how.is_search:
            from fakedet_jax.faces import opencv

            stack.enter_context(opencv.one_thread())
        shown = stack.enter_context(
            progress.Progress(
                len(found), label="predict", unit="files", quiet=config.output is None
            )
        )
        batches = stream_faces(
            found,
            how,
            framing=detector.info.framing,
            batch_size=scorer.local_batch_size,
            num_threads=config.num_threads,
        )
        stack.enter_context(contextlib.closing(batches))
        for items, batch in batches:
            if batch is not None:
                values = scorer.score_images(detector.variables, batch["image"])
                scores = detector.info.scores(values)
            for item in items:
                if item.row is None:
                    output.finish(item.file)
                    shown.update(1)
                elif item.position < 0:
                    output.add(item.file, item.row, None)
                else:
                    output.add(item.file, item.row, float(scores[item.position]))
            output.flush()
    _summarise(config, output, len(found), detector.info.threshold)
    return dict(output.counts)


def choose_cropping(
    config: PredictConfig, record: Mapping[str, Any] | None
) -> Cropping:
    """Decides how faces are found and cut out.

    What is asked for counts; else what the workdir says of its training faces. Without
    either, photographs and frames are taken whole.

    Args:
        config: The settings.
        record: How the faces of the training pictures were found; None if not known.

    Returns:
        How.

    Raises:
        RequestError: Settings or the record of the workdir are not as expected.
    """
    if config.faces is None and record is not None:
        return cropping.from_record(
            record,
            model=config.face_detector_model,
            all_faces=config.all_faces,
            frames=config.frames,
        )
    for flag, needed in _NEED_SEARCH.items():
        if config.faces is None and getattr(config, flag):
            raise RequestError(
                f"`{flag}`: this detector was trained on pictures as they are, so no "
                f"faces are searched for; leave it out, or give {needed} too"
            )
    faces = config.faces or FaceConfig("none")
    faces = dataclasses.replace(
        faces,
        model=faces.model or config.face_detector_model,
        all_faces=faces.all_faces or config.all_faces,
    )
    how = cropping.create(faces, config.frames or FrameConfig())
    if config.frames is None and record is not None:
        selection = cropping.recorded_selection(record)
        how = dataclasses.replace(how, selection=selection)
    return how


def _check(config: PredictConfig) -> None:
    """Refuses what could not be carried out, before anything is loaded."""
    if jax.process_count() > 1:
        raise RequestError(
            "`mode=predict` runs in one process; give each process its own files"
        )
    if not config.paths:
        raise RequestError(
            "`mode=predict`: name files or folders after the flags, such as PHOTOS/"
        )
    tables = [path.resolve() for path in (config.output, config.frame_scores) if path]
    if len(set(tables)) < len(tables):
        raise RequestError(
            "`frame_scores`: expected another file than `output`, found "
            f"{str(config.output)!r} for both"
        )
    if config.annotated is None:
        return
    annotated = config.annotated.resolve()
    for path in config.paths:
        # What is written there would lie among the originals.
        if annotated == Path(path).resolve().parent or (
            Path(path).is_dir() and annotated.is_relative_to(Path(path).resolve())
        ):
            raise RequestError(
                f"`annotated`: expected a folder outside of those that are scored, "
                f"found {str(config.annotated)!r} within {path!r}; name another"
            )


def _find(paths: Sequence[str]) -> Iterator[FaceFile]:
    """Finds the files, with their names below the folders that are searched."""
    for name in paths:
        top = Path(name)
        root = top if top.is_dir() else top.parent
        for found in files.find_pictures([top], _EXTENSIONS):
            below = str(found.path.relative_to(root))
            if found.path == root:  # The folder itself cannot be read.
                below = root.name or "folder"
            yield FaceFile(found.path, below, found.error)


def _check_videos(found: list[FaceFile], how: Cropping) -> None:
    """Says at once, not after many photographs, what makes videos a problem."""
    videos = [file for file in found if file.error is None and file.kind == "video"]
    if not videos:
        return
    with contextlib.suppress(ImageError):
        video.probe(videos[0].path)  # Needs PyAV.
    if how.detector.name == "none":
        _LOGGER.warning(
            "frames of videos are scored whole, because no faces are searched for; "
            "unless they are face crops, give `face_detector`"
        )


def _batch_size(config: PredictConfig, found: list[FaceFile], mesh: Mesh) -> int:
    num_pictures = config.batch_size
    all_faces = config.all_faces or (
        config.faces is not None and config.faces.all_faces
    )
    if not all_faces and all(file.kind == "photo" for file in found):
        num_pictures = len(found)
    return parallel.round_up_batch_size(min(config.batch_size, num_pictures), mesh)


@contextlib.contextmanager
def _open_output(
    config: PredictConfig, found: list[FaceFile], info: DetectorInfo
) -> Iterator[PredictionOutput]:
    with contextlib.ExitStack() as stack:
        table = stack.enter_context(open_table(config.output, "`output`"))
        frame_table = copies = None
        if config.frame_scores is not None:
            frame_table = stack.enter_context(
                open_table(config.frame_scores, "`frame_scores`")
            )
        if config.annotated is not None:
            copies = stack.enter_context(
                AnnotatedCopies(config.annotated, found, config.num_threads)
            )
        yield PredictionOutput(found, info.threshold, table, frame_table, copies)


def _summarise(
    config: PredictConfig, output: PredictionOutput, num_files: int, threshold: float
) -> None:
    """Logs the counts.

    Raises:
        RuntimeError: No file could be scored.
    """
    counts = output.counts
    num_faces = counts["fake"] + counts["real"]
    faces = ""
    if num_faces != output.num_scored:
        faces = f"{text.counted(num_faces, 'face')}: "
    _LOGGER.info(
        "%s: %d scored (%s%d fake, %d real at threshold %.4g), %d with an error",
        text.counted(num_files, "file"),
        output.num_scored,
        faces,
        counts["fake"],
        counts["real"],
        threshold,
        output.num_failed,
    )
    if config.annotated is not None and output.num_scored:
        _LOGGER.info("copies with boxes and scores are in %s", config.annotated)
    if not output.num_scored:
        # Scripts look at the exit code, not at the column of errors.
        what = "the only file could not be scored"
        if num_files > 1:
            what = f"none of the {num_files} files could be scored"
        raise RuntimeError(f"{what}; the CSV says why")

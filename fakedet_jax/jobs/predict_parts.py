# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=predict` into a folder of parts: scores of any number of files."""

import functools

from jax.sharding import Mesh

from fakedet_jax import systems
from fakedet_jax.bulk import work
from fakedet_jax.config import PredictConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import stability
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.operating_point import OperatingPoint
from fakedet_jax.evaluation.predictions import (
    PROVENANCE,
    STABILITY_HEADER,
    FileResult,
)
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.faces import stream
from fakedet_jax.faces.stream import Reading
from fakedet_jax.jobs import compute, parts
from fakedet_jax.jobs.files import choose_cropping
from fakedet_jax.jobs.saturation import Saturation
from fakedet_jax.jobs.threshold import tell as tell_threshold
from fakedet_jax.media import provenance
from fakedet_jax.runtime import storage
from fakedet_jax.systems.identity import model_id
from fakedet_jax.workdir import open_workdir

_COLUMNS = {
    "path": "string",
    "face": "int32",
    "score": "double",
    "decision": "string",
    work.ERROR: "string",
    "note": "string",
    "log_odds": "double",
    "mean_score": "double",
    "faces": "int32",
    "frames": "int32",
    "face_pixels": "int32",
    "least": "double",
    "most": "double",
    PROVENANCE: "string",
    "model_id": "string",
    work.INPUT: "int64",
}


def check(config: PredictConfig) -> PredictConfig:
    """Refuses what a folder of parts does not have.

    Args:
        config: The settings.

    Returns:
        The settings.

    Raises:
        RequestError: A setting is for a single table.
    """
    for name in ("frame_scores", "annotated", "report"):
        if getattr(config, name) is not None:
            raise RequestError(
                f"`{name}`: a folder of parts has tables of faces only; leave it out, "
                "or name a CSV file as `output`"
            )
    return config


def _open_job(
    config: PredictConfig, mesh: Mesh, reading: Reading, num_inputs: int
) -> parts.Job:
    workdir = open_workdir(config.workdir)
    cache = storage.user_cache_dir() / "compiled"
    compute.set_up(config.compute, workdir, default_cache=cache)
    how = choose_cropping(config, workdir)
    detector = systems.load(workdir, mesh, config)
    info = detector.info
    batch_size = compute.choose_batch_size(
        config.batch_size, num_inputs, detector, mesh
    )
    scorer = Scorer(detector.log_probability_fn, mesh, batch_size)
    model = model_id(detector)
    saturation = Saturation()
    left_out = (
        *(() if config.stability else STABILITY_HEADER),
        *(() if config.provenance else (PROVENANCE,)),
    )
    return parts.Job(
        columns={name: kind for name, kind in _COLUMNS.items() if name not in left_out},
        facts={
            "detector": info.detector,
            "model_id": model,
            "threshold": info.threshold,
            "min_track_frames": config.min_track_frames,
            **(
                {"unsure_between": list(info.unsure_between)}
                if info.unsure_between
                else {}
            ),
            # Without the library that reads them, rows are others.
            **(
                {PROVENANCE: {"c2pa": provenance.c2pa_version()}}
                if config.provenance
                else {}
            ),
            **parts.common_facts(batch_size, how),
        },
        cropping=how,
        computation=work.Computation(
            open_batches=functools.partial(
                stream.stream_faces,
                cropping=how,
                framing=info.framing,
                batch_size=batch_size,
                reading=reading,
                has_provenance=config.provenance,
            ),
            compute=functools.partial(
                stability.choose_stream(scorer, info.framing, changes=config.stability),
                detector.variables,
            ),
            to_results=functools.partial(saturation.read, info),
            start_file=functools.partial(
                FileResult,
                all_faces=how.may_take_all,
                min_track_frames=config.min_track_frames,
                framing=info.framing,
            ),
            to_rows=functools.partial(
                _rows, model, info.point, config.stability, config.provenance
            ),
        ),
        tell=functools.partial(_tell, info, saturation),
    )


MODE = parts.Mode("predict", tuple(_COLUMNS), _open_job)


def _tell(info: DetectorInfo, saturation: Saturation) -> None:
    tell_threshold(info)
    saturation.tell()


def _rows(
    model: str,
    point: OperatingPoint,
    has_range: bool,
    has_provenance: bool,
    task: work.Task,
    file: FileResult,
) -> list[work.Row]:
    rows: list[work.Row] = []
    for face in file.faces():
        decision = None
        if face.scores:
            decision = point.decide_together(face.scores)
        rows.append(
            (
                task.input.path,
                face.face,
                face.score,
                decision,
                face.reason or None,
                face.full_note(point) or None,
                face.log_odds,
                face.mean_score,
                face.faces or None,
                face.frames or None,
                face.face_pixels,
                *(face.range if has_range else ()),
                *((file.provenance or None,) if has_provenance else ()),
                model,
                task.number,
                *task.input.carried,
            )
        )
    return rows

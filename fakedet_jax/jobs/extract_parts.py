# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=extract` into a folder of parts: features of any number of files."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
from jax.sharding import Mesh

from fakedet_jax.bulk import work
from fakedet_jax.bulk.parts import vector
from fakedet_jax.config import ExtractConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import scoring
from fakedet_jax.faces import stream
from fakedet_jax.faces.extraction import Row
from fakedet_jax.faces.file_rows import FileRows
from fakedet_jax.faces.stream import Reading
from fakedet_jax.jobs import compute, parts
from fakedet_jax.jobs.files import choose_cropping
from fakedet_jax.media.batching import Batch
from fakedet_jax.runtime import parallel
from fakedet_jax.systems import identity
from fakedet_jax.systems.features import FeatureRequest, open_network
from fakedet_jax.workdir import open_workdir

FEATURES = "features"

# Reason of a crop with a feature that is NaN or infinite.
NOT_FINITE = "has a feature that is not a finite number"


class _FileFeatures(FileRows[np.ndarray]):
    """Collects the features of one file, a row for each of its crops."""

    def add(self, row: Row, result: np.ndarray | None) -> None:
        """Adds a row and its features; unless all are finite they become a reason."""
        if result is not None and not np.isfinite(result).all():
            row, result = dataclasses.replace(row, reason=NOT_FINITE), None
        super().add(row, result)


def check(config: ExtractConfig) -> ExtractConfig:
    """Refuses what a folder of parts does not have.

    Args:
        config: The settings.

    Returns:
        The settings.

    Raises:
        RequestError: A setting is for `features.npz`.
    """
    if config.data is not None:
        raise RequestError(
            "`data_dir`, `dataset`: parts are made of files; name the files, or leave "
            "out the settings of parts"
        )
    if config.parts.format != "parquet":
        raise RequestError(
            "`part_format`: features are vectors, which only parquet holds, found "
            f"{config.parts.format!r}"
        )
    return config


def _open_job(
    config: ExtractConfig, mesh: Mesh, reading: Reading, num_inputs: int
) -> parts.Job:
    workdir = None if config.workdir is None else open_workdir(config.workdir)
    compute.set_up(config.compute, workdir)
    how = choose_cropping(config, workdir)
    network = open_network(config, mesh)
    feature = network.feature(
        FeatureRequest(
            mesh=mesh,
            open_batches=_refuse_a_fit,
            pictures="these very files",
            are_training_pictures=False,
            thresholds=config.thresholds,
        )
    )
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    model = network.model_id or identity.digest(feature.settings)
    size = math.prod(feature.row_shape)
    return parts.Job(
        columns={
            "path": "string",
            "face": "int32",
            "frame": "int32",
            FEATURES: vector(feature.dtype, size),
            work.ERROR: "string",
            "note": "string",
            "model_id": "string",
            work.INPUT: "int64",
        },
        facts={
            "features": config.features,
            "shape": list(feature.row_shape),
            "layers": list(feature.layers),
            "layer_sizes": list(feature.layer_sizes),
            "thresholds": feature.thresholds.tolist(),
            "settings": dict(feature.settings),
            "model_id": model,
            **parts.common_facts(batch_size, how),
        },
        cropping=how,
        computation=work.Computation(
            open_batches=functools.partial(
                stream.stream_faces,
                cropping=how,
                framing=network.framing,
                batch_size=batch_size,
                reading=reading,
            ),
            compute=functools.partial(scoring.stream, feature.compute, mesh),
            to_results=list,
            start_file=_FileFeatures,
            to_rows=functools.partial(_rows, model),
        ),
    )


MODE = parts.Mode(
    "extract",
    ("path", "face", "frame", FEATURES, work.ERROR, "note", "model_id", work.INPUT),
    _open_job,
)


def _refuse_a_fit() -> Iterator[Batch]:
    raise RequestError(
        "`thresholds`: parts are counted one by one, so thresholds cannot be fitted to "
        "all files; give a file with thresholds, such as the features.npz of some files"
    )


def _rows(model: str, task: work.Task, file: _FileFeatures) -> list[work.Row]:
    path, carried = task.input.path, task.input.carried
    rows: list[work.Row] = [
        (
            path,
            row.face,
            None if row.frame < 0 else row.frame,
            *(features, None, row.note or None, model, task.number, *carried),
        )
        for row, features in file.rows
        if features is not None
    ]
    rows += [
        (
            path,
            face,
            None,
            None,
            reason,
            file.note or None,
            model,
            task.number,
            *carried,
        )
        for face, reason in file.skipped().items()
    ]
    return rows

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=prepare`: face crops of photographs and videos, as a dataset of its own.

Each input becomes one staged file, in one of several processes. When all are there,
splits are assigned and the dataset is written, then its manifest, then its summary. A
run that was stopped or killed at any point is resumed by the same command, and ends
with the same bytes.
"""

import json
import logging
from pathlib import Path
from typing import Any

from fakedet_jax.config import PrepareConfig
from fakedet_jax.data import layouts
from fakedet_jax.data.dataset import digest_of
from fakedet_jax.data.folder import TEST_FRACTION
from fakedet_jax.data.layouts import Listing
from fakedet_jax.data.layouts.base import check_choice
from fakedet_jax.data.worker_process import available_cores
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.prepare import assembly, manifest, output, pool, staging
from fakedet_jax.prepare.assembly import Input
from fakedet_jax.progress import Progress
from fakedet_jax.signals import Stopped, StopRequest

_LOGGER = logging.getLogger(__name__)

SPLIT_BY = ("official", "identity", "frames")


def prepare(config: PrepareConfig) -> dict[str, Any]:
    """Makes a dataset of face crops of the files of a data folder.

    Writes `OUTPUT/NAME/VERSION`, which `data.prepared.load` reads, `manifest.csv` with
    a row for every face, frame and file, and `summary.json`.

    Args:
        config: The settings.

    Returns:
        The summary.

    Raises:
        RequestError: The settings or the data folder are not as expected, no face was
            found, or the disk is full.
        Stopped: The process was asked to stop; the same call goes on.
    """
    root = _check(config)
    how = cropping.create(config.faces, config.frames, root)
    listing = _list(config, root)
    faces = how.record
    what = [faces, config.compress, staging.versions()]
    settings = digest_of([json.dumps(what, sort_keys=True)])
    folder = config.output / staging.FOLDER
    inputs = [
        Input(item, staging.path_for(folder, root, item.path, settings))
        for item in listing.items
    ]
    request = _request(config, inputs, listing, faces)
    name = config.data.dataset
    with output.lock(config.output):
        summary = output.find_finished(config.output, name, request)
        if summary is not None:
            output.tidy(config.output)
            _LOGGER.info("%s is prepared already in %s", name, config.output)
            return summary
        _extract(config, root, how, inputs)
        try:
            summary = _write(config, inputs, listing, request)
        except OSError as error:
            raise RequestError(staging.disk_error(error, config.output)) from error
    _LOGGER.info(
        "wrote %s faces of %s files to %s; %s tells what became of each",
        f"{summary['faces']:,}",
        f"{len(inputs):,}",
        config.output,
        manifest.FILE_NAME,
    )
    return summary


def _check(config: PrepareConfig) -> Path:
    """Checks what is left to check, and returns the data folder."""
    name = config.data.dataset
    if name not in layouts.names():
        raise RequestError(
            f"--dataset: expected one that can be prepared, "
            f"{', '.join(layouts.names())}; found {name!r}"
        )
    if config.data.data_dir is None:
        raise RequestError(
            "--data_dir: expected the folder of the original files, found none; "
            f"{layouts.create(name).instructions}"
        )
    if config.num_workers is not None and config.num_workers < 1:
        raise RequestError(
            f"--num_workers: expected at least 1, found {config.num_workers}"
        )
    check_choice("split_by", config.split_by, SPLIT_BY)
    if not 0 <= config.data.validation_fraction < 1 - TEST_FRACTION:
        raise RequestError(
            "--validation_fraction: expected a number from 0 to less than "
            f"{1 - TEST_FRACTION:g}, found {config.data.validation_fraction:g}"
        )
    return config.data.data_dir


def _list(config: PrepareConfig, root: Path) -> Listing:
    """Lists the data folder, with those settings that its layout knows."""
    layout = layouts.create(config.data.dataset)
    options = dict(config.layout_options)
    if config.split_by == "identity":
        options["split_by"] = "identity"
    elif config.split_by == "frames" and "split_by" in layout.options:
        options["split_by"] = "identity"  # The lists are not needed.
    if "real_classes" in layout.options or config.data.real_classes:
        options["real_classes"] = config.data.real_classes
    return layout.list_items(root, **options)


def _request(
    config: PrepareConfig, inputs: list[Input], listing: Listing, faces: dict[str, Any]
) -> dict[str, Any]:
    """All that the result depends on."""
    files = [text for i in inputs for text in (repr(i.item), i.staged.name)]
    return {
        "dataset": config.data.dataset,
        "files": digest_of([*files, *listing.missing]),
        "faces": faces,
        "compress": config.compress,
        "split_by": config.split_by,
        "seed": config.seed,
        "validation_fraction": config.data.validation_fraction,
    }


def _extract(
    config: PrepareConfig, root: Path, how: Cropping, inputs: list[Input]
) -> None:
    """Stages what is not staged yet."""
    staging.sweep(config.output / staging.FOLDER)
    tasks = [
        pool.Task(entry.item.path, entry.item.kind, entry.staged, config.compress)
        for entry in inputs
        if not entry.staged.is_file()
    ]
    num_done = len(inputs) - len(tasks)
    with (
        StopRequest() as stop,
        Progress(len(inputs), label="prepare", unit="files", initial=num_done) as bar,
    ):
        for _ in pool.run(
            tasks,
            root=root,
            cropping=how,
            num_processes=config.num_workers or available_cores(),
            is_stopped=lambda: stop.signum is not None,
        ):
            bar.update(1)
    if stop.signum is not None:
        raise Stopped(stop.signum)


def _write(
    config: PrepareConfig,
    inputs: list[Input],
    listing: Listing,
    request: dict[str, Any],
) -> dict[str, Any]:
    """Writes the dataset, the manifest and at last the summary."""
    name = config.data.dataset
    fraction = config.data.validation_fraction
    if config.split_by == "frames":
        inputs = assembly.split_frames(inputs, fraction)
        notes = [
            "--split_by=frames: the same people are in training and test, so results "
            "say nothing of other people"
        ]
    else:
        inputs, notes = assembly.assign_splits(
            inputs, validation_fraction=fraction, seed=config.seed, dataset=name
        )
    result = assembly.assemble(inputs)
    path = config.output / manifest.FILE_NAME
    if not result.tally.rows[assembly.WRITTEN]:
        manifest.write(path, inputs, listing.missing)
        raise RequestError(
            f"--data_dir: expected faces in {str(config.data.data_dir)!r}, found none "
            f"in {len(inputs):,} files; {str(path)!r} tells why"
        )
    output.write_dataset(config.output, name, result, request["faces"])
    manifest.write(path, inputs, listing.missing)
    summary = {
        "dataset": name,
        "digest": result.digest,
        **result.tally.summary(len(listing.missing)),
        "notes": [*listing.notes, *notes],
        "request": request,
    }
    for note in summary["notes"]:
        _LOGGER.warning("%s", note)
    output.finish(config.output, summary)
    return summary

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=prepare`: face crops of photographs and videos, as a dataset of its own.

Each input becomes one staged file, in one of several processes or by a worker of an
engine. When all are there, splits are assigned and the dataset is written, then its
manifest, then its summary. A run that was stopped or killed at any point is resumed by
the same command, and ends with the same bytes.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.bulk import ray_engine
from fakedet_jax.config import DataConfig, PrepareConfig
from fakedet_jax.data import layouts, scan, tags_file
from fakedet_jax.data.dataset import describe_classes, digest_of
from fakedet_jax.data.folder import (
    VALIDATION_FRACTION,
    check_validation_fraction,
    default_validation_fraction,
)
from fakedet_jax.data.layouts import Listing
from fakedet_jax.data.splits import SPLITS
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.media import video_stream
from fakedet_jax.prepare import (
    assembly,
    manifest,
    output,
    pool,
    ray_tasks,
    staging,
)
from fakedet_jax.prepare.assembly import Input
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime.processes import available_cores
from fakedet_jax.runtime.progress import Progress
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.runtime.text import counted

_LOGGER = logging.getLogger(__name__)


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
    how = cropping.create(config.faces, config.frames, root, config.media)
    listing = _list(config, root)
    config = _with_fraction(config, listing)
    if any(item.kind == "video" for item in listing.items):
        video_stream.check_installed()
    photographs = {item.path for item in listing.items if item.kind == scan.PHOTO}
    tags = tags_file.read(config.tags, photographs, root) if config.tags else {}
    faces = how.record
    needs_tags = layouts.create(config.data.dataset).needs_tags
    what = [faces, config.compress, needs_tags, staging.versions()]
    settings = digest_of([json.dumps(what, sort_keys=True)])
    folder = config.output / staging.FOLDER
    # Where a line of the table or a mask changes, that file alone is worked on again.
    versions = [
        f"{staging.version_of(root, item.path)} {tags.get(item.path, '')}"
        + (f" {staging.version_of(root, item.mask)}" if item.mask else "")
        for item in listing.items
    ]
    inputs = [
        Input(item, staging.path_for(folder, item.path, version, settings))
        for item, version in zip(listing.items, versions, strict=True)
    ]
    request = _request(config, listing, versions, faces)
    name = config.data.dataset
    with output.lock(config.output):
        summary = output.find_finished(config.output, name, request)
        if summary is not None:
            output.tidy(config.output)
            _LOGGER.info("%s is prepared already in %s", name, config.output)
            return summary
        _tell_classes(listing)
        _extract(config, root, how, inputs, tags)
        try:
            summary = _write(config, inputs, listing, request)
        except OSError as error:
            raise staging.disk_error(error, config.output) from error
    _LOGGER.info(
        "wrote %s faces of %s files to %s; %s tells what became of each",
        f"{summary['faces']:,}",
        f"{len(inputs):,}",
        config.output,
        manifest.FILE_NAME,
    )
    return summary


def to_text(summary: Mapping[str, Any]) -> str:
    """Puts a summary into lines for reading.

    Args:
        summary: What `prepare` returned.
    """
    files, frames, classes = (
        summary[name] for name in ("files", "video_frames", "classes")
    )
    lines = [
        f"{summary['dataset']}: {counted(summary['faces'], 'face')} of "
        f"{counted(files['photographs'], 'photograph')} and "
        f"{counted(files['videos'], 'video')}"
    ]
    if files["without_faces"] or files["missing"]:
        lines.append(
            f"{counted(files['without_faces'], 'file')} gave no face, "
            f"{files['missing']:,} missing"
        )
    if frames["without_faces"]:
        lines.append(
            f"{frames['without_faces']:,} of {frames['chosen']:,} frames of videos "
            "gave none"
        )
    if files["with_tags"]:
        lines.append(
            f"{counted(files['with_tags'], 'photograph')} with camera settings"
        )
    if "reading" in summary:
        lines.append(summary["reading"])
    splits = [name for name in SPLITS if any(name in of for of in classes.values())]
    rows = [["", *splits]]
    for name, of in classes.items():
        rows.append([name, *(f"{of.get(split, 0):,}" for split in splits)])
    lines += ["", *text_table(rows)]
    for title, name in (("Left out:", "left_out"), ("Used, though:", "noted")):
        if summary[name]:
            by_count = sorted(summary[name].items(), key=lambda item: -item[1])
            counts = [(f"{count:,}", reason) for reason, count in by_count]
            lines += ["", title, *text_table(counts, left=(1,))]
    if summary["notes"]:
        lines += ["", "Notes:", *summary["notes"]]
    return "\n".join(lines)


def _tell_classes(listing: Listing) -> None:
    """Logs which classes are taken for real."""
    sides = {item.class_name: item.is_fake for item in listing.items}
    names = sorted(sides, key=lambda name: (sides[name], name))
    reading = describe_classes(names, [sides[name] for name in names])
    _LOGGER.info("classes: %s", reading.encode("utf-8", "backslashreplace").decode())


def _check(config: PrepareConfig) -> Path:
    """Checks what is left to check, and returns the data folder."""
    name = config.data.dataset
    if name not in layouts.names() and config.data.data_dir is not None:
        raise RequestError(
            f"`dataset`: expected one that can be prepared, "
            f"{', '.join(layouts.names())}; found {name!r}"
        )
    if config.data.data_dir is None:
        layout = name if name in layouts.names() else "folder"
        raise RequestError(
            "`data_dir`: expected the folder of the original files, found none; "
            f"{layouts.create(layout).instructions}"
        )
    # Originals and what is made of them must not get mixed up.
    if config.output.resolve().is_relative_to(config.data.data_dir.resolve()):
        raise RequestError(
            f"`output`: expected a folder outside of "
            f"`data_dir={str(config.data.data_dir)!r}`, found {str(config.output)!r}; "
            "name another"
        )
    if config.engine is not None:
        if config.num_workers is not None:
            raise RequestError(
                "`num_workers` is for processes without an engine; leave it out with "
                "`engine`, or give `engine_workers`"
            )
        ray_engine.check_installed()
    if config.data.validation_fraction is not None:
        check_validation_fraction(config.data.validation_fraction)
    return config.data.data_dir


def _list(config: PrepareConfig, root: Path) -> Listing:
    """Lists the data folder, with those settings that its layout knows."""
    layout = layouts.create(config.data.dataset)
    # These are settings of all layouts, and options of some.
    shared = ("real_classes", "fake_classes", "subfolders")
    options = {
        name: value
        for name, value in config.layout_options.items()
        if name not in ("split_by", *shared)
    }
    if config.split_by == "identity":
        options["split_by"] = "identity"
    elif config.split_by == "frames" and "split_by" in layout.options:
        options["split_by"] = "identity"  # The lists are not needed.
    for name in shared:
        value = getattr(config.data, name)
        if name in layout.options or value != getattr(DataConfig, name):
            options[name] = value
    return layout.list_items(root, **options)


def _with_fraction(config: PrepareConfig, listing: Listing) -> PrepareConfig:
    """The settings with the share of validation, also where no setting says it."""
    if config.data.validation_fraction is not None:
        return config
    fraction = VALIDATION_FRACTION
    if not layouts.create(config.data.dataset).has_protocol:
        kept = [item.is_fake for item in listing.items if item.split in (None, "train")]
        fraction = default_validation_fraction(kept.count(False), kept.count(True))
    data = dataclasses.replace(config.data, validation_fraction=fraction)
    return dataclasses.replace(config, data=data)


def _request(
    config: PrepareConfig, listing: Listing, versions: list[str], faces: dict[str, Any]
) -> dict[str, Any]:
    """All that the result depends on."""
    pairs = zip(map(repr, listing.items), versions, strict=True)
    files = [text for pair in pairs for text in pair]
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
    config: PrepareConfig,
    root: Path,
    how: Cropping,
    inputs: list[Input],
    tags: Mapping[str, tuple[float, ...]],
) -> None:
    """Stages what is not staged yet, by an engine or here."""
    staging.sweep(config.output / staging.FOLDER)
    needs_tags = layouts.create(config.data.dataset).needs_tags
    tasks = [
        pool.Task(
            entry.item.path,
            entry.item.kind,
            entry.staged,
            config.compress,
            tags.get(entry.item.path),
            needs_tags,
            entry.item.mask,
        )
        for entry in inputs
        if not entry.staged.is_file()
    ]
    num_done = len(inputs) - len(tasks)
    with (
        StopRequest() as stop,
        Progress(
            len(inputs),
            label="prepare",
            unit="files",
            initial=num_done,
            has_warm_up=False,
        ) as bar,
    ):
        shared: dict[str, Any] = {
            "root": root,
            "cropping": how,
            "is_stopped": lambda: stop.signum is not None,
        }
        if config.engine is not None:
            staged = ray_tasks.run(tasks, engine=config.engine, **shared)
        else:
            num_processes = config.num_workers or available_cores()
            staged = pool.run(tasks, num_processes=num_processes, **shared)
        for _ in staged:
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
    assert fraction is not None  # For the type checker.
    if config.split_by == "frames":
        inputs = assembly.split_frames(inputs, fraction)
        notes = [
            "`split_by=frames`: the same people are in training and test, so results "
            "say nothing of other people"
        ]
    else:
        inputs, notes = assembly.assign_splits(
            inputs, validation_fraction=fraction, seed=config.seed, dataset=name
        )
    result = assembly.assemble(inputs)
    notes += assembly.find_gaps(result)
    path = config.output / manifest.FILE_NAME
    if not result.tally.rows[assembly.WRITTEN]:
        manifest.write(path, inputs, listing.missing)
        if layouts.create(name).needs_tags and not result.tally.num_with_tags:
            raise RequestError(
                "`data_dir`: expected photographs with EXIF tags in "
                f"{str(config.data.data_dir)!r}, found none in {len(inputs):,} files; "
                f"{str(path)!r} tells why; take the files of the cameras, or give "
                "their settings as `tags`"
            )
        raise RequestError(
            f"`data_dir`: expected faces in {str(config.data.data_dir)!r}, found none "
            f"in {len(inputs):,} files; {str(path)!r} tells why"
        )
    output.write_dataset(config.output, name, result, request["faces"])
    manifest.write(path, inputs, listing.missing)
    summary = {
        "dataset": name,
        "digest": result.digest,
        "reading": describe_classes(result.classes, result.is_fake),
        **result.tally.summary(len(listing.missing)),
        "notes": [*listing.notes, *notes],
        "request": request,
    }
    for note in summary["notes"]:
        _LOGGER.warning("%s", note)
    output.finish(config.output, summary)
    return summary

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=extract`: writes features of pictures, as one `.npz` for further research."""

import collections
import dataclasses
import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import ExtractConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import features
from fakedet_jax.media import files as found_files
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.stream import stream_batches
from fakedet_jax.runtime import parallel, progress, storage, text
from fakedet_jax.systems.features import Feature, FeatureRequest, MaskedBatch

_LOGGER = logging.getLogger(__name__)

# The label of a picture that belongs to no dataset.
NO_LABEL = -1

# Batches whose features stay on the device while the next ones are decoded.
_NUM_IN_FLIGHT = 2


def extract(config: ExtractConfig) -> Path:
    """Computes features of every picture and writes them into a folder.

    The folder gets `features.npz`, `skipped.csv` with the pictures that cannot be read
    and why, and figures of the first pictures, `traces_000.png` and so on. The arrays
    of `features.npz`, with a row for each of the n readable pictures, in order:

    - `features`: `[n, …]`: of traces float32 `[n, height, width, 3]`, as
      `traces.extract` gives them; of coverage int32 `[n, layers]`, the counts; of
      embeddings float32 `[n, features]`
    - `paths`: str `[n]`
    - `labels`: int32 `[n]`, indices into `classes`; −1 for files without a dataset
    - `classes`: str, the classes of the dataset, real ones first
    - `layers`: str, the layers that the features come from
    - `layer_sizes`: int64, the neurons of each layer, and `thresholds`: float32; both
      empty for features that are not counted
    - `settings`: str, what the network and its neurons were, as a JSON object of
      `backbone`, `weights` (their digest), `neuron`, `site` and `dtype`; empty for
      traces

    Coverage without thresholds from elsewhere is counted with those of the very
    pictures that are asked for, in a pass of its own; thresholds from elsewhere must be
    of the same settings, where their file says which.

    Features go to the disk batch by batch, so memory does not grow with their number;
    while it runs, twice their size is needed there. `features.npz` appears when it is
    complete.

    Args:
        config: The settings.

    Returns:
        The path of `features.npz`.

    Raises:
        RequestError: The settings or the data are not as expected, the detector has no
            such features, or no picture can be read.
    """
    _check(config)
    mesh = parallel.data_mesh()
    network = features.open_network(config, mesh)
    pictures = _open_pictures(config, mesh, network)
    # Before thresholds are fitted, which may take long.
    _make_folder(config.output)
    feature = network.feature(
        FeatureRequest(
            mesh=mesh,
            open_batches=lambda: _masked(config, pictures),
            pictures="these very files"
            if config.paths
            else f"this very split ({config.split})",
            are_training_pictures=not config.paths and config.split == "train",
            thresholds=config.thresholds,
        )
    )
    path = config.output / "features.npz"
    # Beside the result, as the usual place for temporary files may be small.
    with tempfile.TemporaryFile(dir=config.output) as unnamed:
        rows = _Rows(unnamed, feature.row_shape, feature.dtype)
        table = _collect(config, feature, mesh, pictures, rows)
        _write_skipped(config, pictures, table.skipped)
        arrays = {
            "paths": np.array(table.paths, np.str_),
            "labels": np.array(table.labels, np.int32),
            "classes": np.array(pictures.classes, np.str_),
            "layers": np.array(feature.layers, np.str_),
            "layer_sizes": np.array(feature.layer_sizes, np.int64),
            "thresholds": np.asarray(feature.thresholds, np.float32),
            "settings": np.array(json.dumps(feature.settings), np.str_),
        }
        _write_npz(path, rows, arrays)
    if table.skipped:
        _LOGGER.warning(
            "%s cannot be read, such as %s, which %s; all are listed in %s",
            text.counted(len(table.skipped), "picture"),
            *table.skipped[0],
            config.output / "skipped.csv",
        )
    _LOGGER.info(
        "wrote the %s of %s to %s",
        config.features,
        text.counted(len(table.paths), "picture"),
        path,
    )
    return path


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Pictures with what is known of them.

    Attributes:
        images: uint8 `[batch, height, width, 3]`, padded to the full batch.
        names: One for each row that is no padding, as all that follows.
        labels: Indices into the classes, or `NO_LABEL`.
        errors: Why there is no picture in a row, else None.
    """

    images: np.ndarray
    names: list[str]
    labels: list[int]
    errors: list[str | None]


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """The pictures that were asked for: how many, of which classes.

    `open` starts to read them, from the first one on.
    """

    count: int
    classes: tuple[str, ...]
    open: Callable[[], Iterator[_Batch]]


@dataclasses.dataclass
class _Table:
    """What is known of every row of the features, and what has no row.

    Attributes:
        paths: Of the readable pictures.
        labels: Theirs.
        skipped: Path and reason of the others.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)


class _Rows:
    """Rows that go straight into a file."""

    def __init__(
        self, file: IO[bytes], row_shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self._dtype = dtype.newbyteorder("<")
        self._file = file
        self._row_shape = row_shape
        self._num_rows = 0

    def append(self, row: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(row, self._dtype).data)
        self._num_rows += 1

    def copy_to(self, target: IO[bytes]) -> None:
        """Writes all rows as an `.npy` file."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._num_rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, 1 << 20)


def _check(config: ExtractConfig) -> None:
    if config.paths and config.data is not None:
        raise RequestError(
            "`mode=extract`: expected files or a dataset, found both (`dataset` or "
            f"`data_dir`, and {config.paths[0]!r}); leave one out"
        )
    if jax.process_count() > 1:
        raise RequestError(
            "`mode=extract` runs in one process; give each process its own files and "
            "`output`"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"`output`: {str(folder)!r} cannot be made a folder ({error.strerror}); "
            "name another"
        ) from error


def _open_pictures(
    config: ExtractConfig, mesh: Mesh, network: features.Network
) -> _Pictures:
    """Finds the pictures; they are read when they are asked for."""
    if config.paths:
        found = list(found_files.find_pictures(config.paths))
        if not found:
            raise RequestError(
                f"`mode=extract`: no pictures in {', '.join(map(repr, config.paths))}"
            )
        batch_size = _batch_size(config, mesh, len(found))
        return _Pictures(
            len(found),
            (),
            lambda: _file_batches(config, found, batch_size, network.framing),
        )
    data = config.data or network.training_data
    if data is None:
        raise RequestError(
            "`mode=extract`: name files, or the pictures by `dataset` or `data_dir`"
        )
    dataset = catalog.load_configured(data, config.split, needs="either")
    if not dataset.num_examples:
        raise RequestError(
            f"`split`: {data.dataset} has no pictures in the split {config.split!r}"
        )
    batch_size = _batch_size(config, mesh, dataset.num_examples)
    return _Pictures(
        dataset.num_examples,
        dataset.classes,
        lambda: _dataset_batches(config, dataset, batch_size, network.framing),
    )


def _masked(config: ExtractConfig, pictures: _Pictures) -> Iterator[MaskedBatch]:
    """Pictures, and which of them are neither padding nor unreadable.

    Raises:
        RequestError: None can be read.
    """
    skipped: list[tuple[str, str]] = []
    for batch in pictures.open():
        mask = np.zeros(len(batch.images), np.bool_)
        mask[: len(batch.errors)] = [error is None for error in batch.errors]
        skipped.extend(_unreadable(batch))
        yield batch.images, mask
    _write_skipped(config, pictures, skipped)


def _unreadable(batch: _Batch) -> Iterator[tuple[str, str]]:
    for name, error in zip(batch.names, batch.errors, strict=True):
        if error is not None:
            yield name, error


def _write_skipped(
    config: ExtractConfig, pictures: _Pictures, skipped: list[tuple[str, str]]
) -> None:
    """Writes what cannot be read.

    Raises:
        RequestError: It is all that there is.
    """
    path = config.output / "skipped.csv"
    storage.write_csv(path, ("path", "reason"), skipped)
    if len(skipped) == pictures.count == 1:
        raise RequestError(
            f"`mode=extract`: the only picture, {skipped[0][0]!r}, {skipped[0][1]}"
        )
    if len(skipped) == pictures.count:
        raise RequestError(
            f"`mode=extract`: none of the {pictures.count} pictures can be read; the "
            f"first, {skipped[0][0]!r}, {skipped[0][1]}"
        )


def _batch_size(config: ExtractConfig, mesh: Mesh, num_pictures: int) -> int:
    return parallel.round_up_batch_size(min(config.batch_size, num_pictures), mesh)


def _file_batches(
    config: ExtractConfig,
    found: list[found_files.FoundFile],
    batch_size: int,
    framing: Framing,
) -> Iterator[_Batch]:
    for items, batch in stream_batches(
        found,
        framing=framing,
        batch_size=batch_size,
        num_threads=config.input.num_threads,
    ):
        yield _Batch(
            images=batch["image"],
            names=[str(item.path) for item in items],
            labels=[NO_LABEL] * len(items),
            errors=[item.error for item in items],
        )


def _dataset_batches(
    config: ExtractConfig, dataset: Dataset, batch_size: int, framing: Framing
) -> Iterator[_Batch]:
    for batch in pipeline.eval_batches(
        dataset,
        framing=framing,
        batch_size=batch_size,
        num_workers=config.input.num_workers,
        num_threads=config.input.num_threads,
    ):
        # Padding is at the end, so the rows before it are the batch's first ones.
        indices = batch["index"][batch["index"] >= 0].tolist()
        yield _Batch(
            images=batch["image"],
            names=[dataset.names[index] for index in indices],
            labels=dataset.labels[indices].tolist(),
            errors=[
                None if readable else pipeline.reason(dataset, index)
                for index, readable in zip(indices, batch["mask"], strict=False)
            ],
        )


def _collect(
    config: ExtractConfig,
    feature: Feature,
    mesh: Mesh,
    pictures: _Pictures,
    rows: _Rows,
) -> _Table:
    """Writes the rows and draws the first ones."""
    table = _Table()
    with (
        progress.Progress(pictures.count, label="extract") as shown,
        jax.set_mesh(mesh),
    ):
        for batch, values in _results(feature, mesh, pictures.open()):
            table.skipped.extend(_unreadable(batch))
            for number, name in enumerate(batch.names):
                if batch.errors[number] is not None:
                    continue
                if feature.draw and len(table.paths) < config.num_figures:
                    file_name = f"{config.features}_{len(table.paths):03d}.png"
                    drawn = feature.draw(batch.images[number], values[number], name)
                    storage.write_bytes(config.output / file_name, drawn)
                rows.append(values[number])
                table.paths.append(name)
                table.labels.append(batch.labels[number])
            shown.update(len(batch.names))
    return table


def _results(
    feature: Feature, mesh: Mesh, batches: Iterator[_Batch]
) -> Iterator[tuple[_Batch, np.ndarray]]:
    """Batches with their features, a little behind the decoding."""
    waiting: collections.deque[tuple[_Batch, jax.Array]] = collections.deque()
    for batch in batches:
        placed = parallel.put_batch(mesh, {"image": batch.images})
        waiting.append((batch, feature.compute(placed["image"])))
        if len(waiting) > _NUM_IN_FLIGHT:
            yield _fetch(*waiting.popleft())
    while waiting:
        yield _fetch(*waiting.popleft())


def _fetch(batch: _Batch, values: jax.Array) -> tuple[_Batch, np.ndarray]:
    return batch, parallel.to_host(values)


def _write_npz(path: Path, rows: _Rows, arrays: dict[str, np.ndarray]) -> None:
    """Writes what `numpy.load` reads, uncompressed: traces look like noise."""
    with storage.atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
        with archive.open("features.npy", "w", force_zip64=True) as member:
            rows.copy_to(member)

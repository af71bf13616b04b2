# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=extract`: writes features of pictures, as one `.npz` for further research."""

import collections
import contextlib
import dataclasses
import json
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import ExtractConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import stream
from fakedet_jax.faces.file_rows import FileRows
from fakedet_jax.faces.stream import NO_PICTURE
from fakedet_jax.jobs import compute
from fakedet_jax.jobs.files import Files, check_paths, open_files, tell_notes
from fakedet_jax.media import batching
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel, progress, storage, text
from fakedet_jax.systems.features import (
    Feature,
    FeatureRequest,
    Network,
    open_network,
)
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# Label of a picture that belongs to no dataset.
NO_LABEL = -1
# Number of the face or frame of a picture that has no such number.
NO_NUMBER = -1

# Settings that are only for files, and how messages name them.
_FILE_SETTINGS = {
    "faces": "`face_detector`",
    "face_detector_model": "`face_detector_model`",
    "all_faces": "`all_faces`",
    "frames": "`frames_per_video`, `frame_step`",
    "media": "`icc`, `hdr`, `max_megapixels`",
    "face_search_size": "`face_search_size`",
    "seconds_per_file": "`seconds_per_file`",
}


def extract(config: ExtractConfig) -> Path:
    """Computes features of pictures and writes them into a folder.

    The folder gets `features.npz`, `skipped.csv` with the path and reason of each input
    without features, and figures of the first pictures, such as `traces_000.png`.

    The pictures are those of a dataset, or the face crops of files. Faces of files are
    found and cut out as in `mode=predict`: as `faces` says, else as for the training of
    the workdir. Files are taken whole if neither says how to find faces, for instance
    with a backbone.

    Each of the n rows of `features.npz` belongs to one picture: a readable picture of
    the dataset, or one face crop of a file. A photograph with several faces has a row
    for each of them if `all_faces` is set; a video has a row for each face in each of
    its frames; their path repeats. The arrays are:

    - `features`: `[n, …]`. Traces are float32 `[n, height, width, 3]`, see
      `traces.extract`; coverage is int32 `[n, layers]`, the neuron counts; embeddings
      are float32 `[n, features]`.
    - `paths`: str `[n]`
    - `labels`: int32 `[n]`, indices into `classes`; −1 for files
    - `faces`: int32 `[n]`, number of the face in the photograph or of its track in the
      video, from 0; −1 for pictures of a dataset
    - `frames`: int32 `[n]`, number of the frame in the video, from 0; −1 for
      photographs and for pictures of a dataset
    - `notes`: str `[n]`, how files differ from the training pictures; empty for those
      that do not
    - `classes`: str, the classes of the dataset, real ones first; empty for files
    - `layers`: str, the layers that the features come from
    - `layer_sizes`: int64, the number of neurons of each layer, and `thresholds`:
      float32; both are empty unless neurons are counted
    - `settings`: str, a JSON object that describes the network: `backbone`, `weights`
      (their digest), `neuron`, `site`, `dtype` and `matmul_precision`; empty for traces

    Coverage without given thresholds is counted with thresholds that a first pass fits
    to the same pictures. Given thresholds must have the same settings, if their file
    states them.

    With the settings of parts, the folder gets parts instead, which can be resumed and
    shared; see `parts` and `extract_parts`.

    Features are written to the disk batch by batch, so memory does not grow with their
    number; the disk needs twice their size. `features.npz` appears when it is complete.

    Args:
        config: The settings.

    Returns:
        The path of `features.npz`, or the folder of parts.

    Raises:
        RequestError: The settings or the data are invalid, the network has no such
            features, or no picture can be used.
    """
    compute.prepare(config.compute)
    if config.has_parts:
        from fakedet_jax.jobs import extract_parts, parts

        parts.run(extract_parts.MODE, extract_parts.check(config))
        return config.output
    _check(config)
    mesh = parallel.data_mesh()
    workdir = None if config.workdir is None else open_workdir(config.workdir)
    compute.set_up(config.compute, workdir)
    network = open_network(config, mesh)
    pictures = _open_pictures(config, mesh, network)
    feature = network.feature(
        FeatureRequest(
            mesh=mesh,
            open_batches=lambda: _open_batches(config, pictures),
            pictures=(
                "these very files"
                if config.paths
                else f"this very split ({config.split})"
            ),
            are_training_pictures=not config.paths and config.split == "train",
            thresholds=config.thresholds,
        )
    )
    storage.make_folder(config.output, "output")
    path = config.output / "features.npz"
    # In the folder of the result: the usual place for temporary files may be small.
    with tempfile.TemporaryFile(dir=config.output) as unnamed:
        rows = _Rows(unnamed, feature.row_shape, feature.dtype)
        origins, skipped = _collect(config, feature, mesh, pictures, rows)
        _write_skipped(config, pictures, skipped, bool(origins))
        arrays = {
            "paths": np.array([origin.path for origin in origins], np.str_),
            "labels": np.array([origin.label for origin in origins], np.int32),
            "faces": np.array([origin.face for origin in origins], np.int32),
            "frames": np.array([origin.frame for origin in origins], np.int32),
            "notes": np.array([origin.note for origin in origins], np.str_),
            "classes": np.array(pictures.classes, np.str_),
            "layers": np.array(feature.layers, np.str_),
            "layer_sizes": np.array(feature.layer_sizes, np.int64),
            "thresholds": np.asarray(feature.thresholds, np.float32),
            "settings": np.array(json.dumps(feature.settings), np.str_),
        }
        _write_npz(path, rows, arrays)
    noted = {(origin.path, origin.note) for origin in origins if origin.note}
    tell_notes(collections.Counter(note for _, note in noted))
    if skipped:
        _LOGGER.warning(
            "skipped %s, such as %s, which %s; all are listed in %s",
            text.counted(len(skipped), "input"),
            *skipped[0],
            config.output / "skipped.csv",
        )
    _LOGGER.info(
        "wrote the %s of %s to %s",
        config.features,
        text.counted(len(origins), "picture"),
        path,
    )
    return path


class _Origin(NamedTuple):
    """Where a picture comes from; see the arrays of `features.npz`."""

    path: str
    label: int = NO_LABEL
    face: int = NO_NUMBER
    frame: int = NO_NUMBER
    note: str = ""


# Path and reason of an input without features.
_Skipped = tuple[str, str]


@dataclasses.dataclass
class _Part:
    """A batch and where its pictures come from.

    Attributes:
        batch: The batch; `None` if it has no picture.
        origins: One for each picture of the batch, in the order of its rows.
        skipped: Inputs that were found to have no picture.
        problems: Path and defect of files that are used all the same.
        num_done: Number of inputs that are finished with this batch.
    """

    batch: batching.Batch | None
    origins: list[_Origin] = dataclasses.field(default_factory=list)
    skipped: list[_Skipped] = dataclasses.field(default_factory=list)
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    num_done: int = 0


_Parts = Generator[_Part, None, None]


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """The requested pictures.

    Attributes:
        count: Number of inputs: pictures of a dataset, or files.
        unit: Name of an input.
        classes: Classes of the dataset; empty for files.
        open: Starts to read the pictures from the first one.
    """

    count: int
    unit: str
    classes: tuple[str, ...]
    open: Callable[[], _Parts]


class _Rows:
    """Writes rows of features into a file."""

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
        """Copies all rows into an `.npy` file."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._num_rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, 1 << 20)


def _check(config: ExtractConfig) -> None:
    if config.count is not None and config.workdir is not None:
        raise RequestError(
            "`workdir`, `backbone`: the network comes from one of them; leave the "
            "other out"
        )
    if config.paths and config.data is not None:
        raise RequestError(
            "`mode=extract`: expected files or a dataset, found both (`dataset` or "
            f"`data_dir`, and {config.paths[0]!r}); leave one out"
        )
    check_paths(config.paths)
    for field, named in _FILE_SETTINGS.items():
        if getattr(config, field) and not config.paths:
            raise RequestError(
                f"{named}: only files need it, the pictures of a dataset are read and "
                "taken as they are; leave it out, or name files"
            )
    parallel.require_one_process(
        "extract", "give each process its own files and `output`"
    )


def _open_pictures(config: ExtractConfig, mesh: Mesh, network: Network) -> _Pictures:
    """Finds the requested pictures; none is read yet."""
    framing = network.framing
    if config.paths:
        files = open_files(
            config,
            network.workdir,
            mesh,
            num_workers=config.input.num_workers,
            num_threads=config.input.num_threads,
            batch_size=lambda _: config.batch_size,
        )
        return _Pictures(
            len(files.found), "file", (), lambda: _file_parts(files, framing)
        )
    data = config.data or network.training_data
    if data is None:
        raise RequestError(
            "`mode=extract`: name files, or the pictures by `dataset` or `data_dir`"
        )
    dataset = catalog.load(data, config.split, needs="either")
    if not dataset.num_examples:
        raise RequestError(
            f"`split`: {data.dataset} has no pictures in the split {config.split!r}"
        )
    batch_size = parallel.round_up_batch_size(
        min(config.batch_size, dataset.num_examples), mesh
    )
    return _Pictures(
        dataset.num_examples,
        "picture",
        dataset.classes,
        lambda: _dataset_parts(config, dataset, batch_size, framing),
    )


def _file_parts(files: Files, framing: Framing) -> _Parts:
    batches = files.batches(framing)
    rows: FileRows[bool] | None = None
    with contextlib.closing(batches):
        for items, batch in batches:
            part = _Part(batch)
            for number, row, position in items:
                file = files.found[number]
                path = str(file.path)
                rows = rows or FileRows(file.kind == "video")
                if row is None:
                    part.num_done += 1
                    part.skipped += [(path, why) for why in rows.skipped().values()]
                    if rows.results():
                        part.problems += [(path, what) for what in rows.problems]
                    rows = None
                elif position == NO_PICTURE:
                    rows.add(row, None)
                else:
                    rows.add(row, True)
                    part.origins.append(
                        _Origin(path, face=row.face, frame=row.frame, note=row.note)
                    )
            yield part


def _dataset_parts(
    config: ExtractConfig, dataset: Dataset, batch_size: int, framing: Framing
) -> _Parts:
    for batch in pipeline.eval_batches(
        dataset,
        framing=framing,
        batch_size=batch_size,
        num_workers=config.input.num_workers or 0,
        num_threads=config.input.num_threads,
    ):
        part = _Part(batch)
        for index, is_readable in zip(batch["index"], batch["mask"], strict=True):
            if index == batching.NO_EXAMPLE:
                continue
            part.num_done += 1
            path = dataset.names[index]
            if is_readable:
                part.origins.append(_Origin(path, int(dataset.labels[index])))
            else:
                part.skipped.append((path, pipeline.reason(dataset, int(index))))
        yield part


def _open_batches(
    config: ExtractConfig, pictures: _Pictures
) -> Iterator[batching.Batch]:
    """Starts to read the pictures to fit thresholds, which may take long."""
    storage.make_folder(config.output, "output")
    return _masked(config, pictures)


def _masked(config: ExtractConfig, pictures: _Pictures) -> Iterator[batching.Batch]:
    """The batches of pictures; what is skipped is written at the end.

    Raises:
        RequestError: No picture can be used.
    """
    skipped: list[_Skipped] = []
    has_pictures = False
    for part in pictures.open():
        skipped += part.skipped
        has_pictures |= bool(part.origins)
        if part.batch is not None:
            yield part.batch
    _write_skipped(config, pictures, skipped, has_pictures)


def _write_skipped(
    config: ExtractConfig,
    pictures: _Pictures,
    skipped: list[_Skipped],
    has_pictures: bool,
) -> None:
    """Writes the skipped inputs.

    Raises:
        RequestError: No picture can be used.
    """
    path = config.output / "skipped.csv"
    storage.write_csv(path, ("path", "reason"), skipped)
    if has_pictures:
        return
    what = f"the only {pictures.unit}"
    if pictures.count > 1:
        what = f"none of the {pictures.count} {pictures.unit}s can be used; the first"
    raise RequestError(f"`mode=extract`: {what}, {skipped[0][0]!r}, {skipped[0][1]}")


def _collect(
    config: ExtractConfig,
    feature: Feature,
    mesh: Mesh,
    pictures: _Pictures,
    rows: _Rows,
) -> tuple[list[_Origin], list[_Skipped]]:
    """Writes the rows, and draws the first pictures."""
    origins: list[_Origin] = []
    skipped: list[_Skipped] = []
    unit = f"{pictures.unit}s"
    with (
        contextlib.closing(pictures.open()) as parts,
        progress.Progress(pictures.count, label="extract", unit=unit) as shown,
    ):
        tagged = ((part, part.batch) for part in parts)
        for part, values, _ in stream(feature.compute, mesh, tagged):
            _draw(config, feature, part, values, len(origins))
            for row in values:
                rows.append(row)
            origins += part.origins
            skipped += part.skipped
            for path, problem in part.problems:
                _LOGGER.warning("%s was used, but %s", path, problem)
            shown.update(part.num_done)
    return origins, skipped


def _draw(
    config: ExtractConfig,
    feature: Feature,
    part: _Part,
    values: np.ndarray,
    num_done: int,
) -> None:
    """Draws those pictures of a batch that are among the first `num_figures`."""
    num_left = config.num_figures - num_done
    if feature.draw is None or part.batch is None or num_left <= 0:
        return
    images = part.batch["image"][part.batch["mask"]]
    for number, image in enumerate(images[:num_left]):
        drawn = feature.draw(image, values[number], part.origins[number].path)
        name = f"{config.features}_{num_done + number:03d}.png"
        storage.write_bytes(config.output / name, drawn)


def _write_npz(path: Path, rows: _Rows, arrays: dict[str, np.ndarray]) -> None:
    """Writes what `numpy.load` reads, uncompressed: traces look like noise."""
    with storage.atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
        with archive.open("features.npy", "w", force_zip64=True) as member:
            rows.copy_to(member)

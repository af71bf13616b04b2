# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast faces are found, cut out, and read from a prepared dataset.

All pictures are generated here, with faces that YuNet finds. Finding and cutting is
timed in one process with one thread of OpenCV, which is how each process of a
preparation works; a preparation is faster by the number of its processes.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.config import (
    DataConfig,
    FaceConfig,
    FrameConfig,
    InputConfig,
    PrepareConfig,
)
from fakedet_jax.data import pipeline, prepared
from fakedet_jax.data.dataset import Dataset, Source
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping, crops, opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import WRITTEN, extract
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import measurement

ROWS: tuple[measurement.Row, ...] = (
    ("face_frames_per_second", "Faces of frames, 640 × 360", "frames/s", 1),
    ("face_photographs_per_second", "Faces of JPEG files, 1 MP", "photographs/s", 1),
    ("crops_read_per_second", "Prepared crops, read by 2 processes", "crops/s", 1),
    ("crops_per_second_0_workers", "the same for training, threads", "crops/s", 1),
    ("crops_per_second_2_workers", "for training, 2 processes", "crops/s", 1),
)

_FRAME = (360, 640)
_PHOTOGRAPH = (864, 1152)
_CROP_SIDE = 128
_NUM_CROPS = 512
_JPEG_QUALITY = 90
# More than the input pipeline prefetches.
_NUM_WARMUP_BATCHES = 8


def measure_faces(
    model: Path,
    *,
    num_repeats: int = 5,
    batch_size: int = 64,
    num_workers: Sequence[int] = (0, 2),
) -> dict[str, Any]:
    """Measures the steps of preparing a dataset and of reading it.

    Args:
        model: ONNX file of YuNet.
        num_repeats: Runs of each measurement, of which the median counts.
        batch_size: Crops per batch of the input pipeline.
        num_workers: Numbers of worker processes of the input pipeline to measure.
            Grain needs parsed absl flags for any other number than 0.

    Returns:
        Numbers by name, JSON-able:

        - `face_frames_per_second`: frames in memory, searched and cut.
        - `face_photographs_per_second`: files, read, decoded, searched and cut.
        - `crops_read_per_second`: uncompressed PNGs of 128², from the records to
          batches of uint8, by Grain with as many processes as the last of
          `num_workers`.
        - `crops_per_second_N_workers`: the same through the input pipeline of training,
          which mirrors crops, skips damaged ones and can be resumed at any of them.

    Raises:
        RequestError: The model is not a YuNet model, or OpenCV is not installed.
    """
    how = cropping.create(FaceConfig("yunet", model), FrameConfig())
    face = _made_face()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fakedet_benchmark_") as name:
        folder = Path(name)
        with opencv.one_thread():
            results["face_frames_per_second"] = _frames(how, face, num_repeats)
            results["face_photographs_per_second"] = _photographs(
                how, face, num_repeats, folder
            )
        dataset = _prepare(face, folder)
        results["crops_read_per_second"] = _plain_reading(
            dataset, batch_size, num_workers[-1], num_repeats
        )
        framing = Framing.square(_CROP_SIDE)
        for count in num_workers:
            results[f"crops_per_second_{count}_workers"] = reading_speed(
                dataset, framing, batch_size, InputConfig(count), num_repeats
            )
    return results


def _made_face() -> np.ndarray:
    """A simulated photograph of a face, uint8 RGB."""
    # Imported here because TFDS takes a second to import.
    from fakedet_jax.synthetic_faces.examples import make_examples

    return decode(make_examples(seed=0, identity=0, num_identities=8)[0].encoded)


def _scene(face: np.ndarray, height: int, width: int) -> np.ndarray:
    """A face, half as high as the picture, on a noisy grey background."""
    side = height // 2
    picture = np.random.default_rng(0).normal(110, 8, (height, width, 3))
    image = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    top, left = (height - side) // 2, (width - side) // 3
    picture[top : top + side, left : left + side] = np.asarray(image)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _frames(how: Cropping, face: np.ndarray, num_repeats: int) -> float:
    frame = _scene(face, *_FRAME)

    def work() -> None:
        for found in _expect_one(how.detector.detect(frame)):
            crops.cut(frame, found, scale=how.scale)

    return 1 / measurement.seconds_per_call(work, num_repeats)


def _photographs(
    how: Cropping, face: np.ndarray, num_repeats: int, folder: Path
) -> float:
    path = folder / "photograph.jpg"
    Image.fromarray(_scene(face, *_PHOTOGRAPH)).save(path, quality=_JPEG_QUALITY)

    def work() -> None:
        outcomes = extract(path, path.name, "photo", how)
        _expect_one([row for row, _ in outcomes if row.status == WRITTEN])

    return 1 / measurement.seconds_per_call(work, num_repeats)


def _expect_one(found: list[Any]) -> list[Any]:
    """Checks that the face was found; a detector that misses it would be faster."""
    if len(found) != 1:
        raise RequestError(
            "`face_detector_model`: expected a model that finds the one face of a "
            f"picture, found {len(found)} faces; name another model"
        )
    return found


def _prepare(face: np.ndarray, folder: Path) -> Dataset:
    """Prepares a dataset of crops that differ in one pixel."""
    originals = folder / "in"
    for number in range(_NUM_CROPS):
        path = originals / "train" / ("real", "fake")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = face.copy()
        picture[0, 0] = (number % 256, number // 256, 0)
        Image.fromarray(picture).save(path, compress_level=0)
    prepare(
        PrepareConfig(
            output=folder / "out",
            data=DataConfig("folder", originals, validation_fraction=0.0),
            faces=FaceConfig("none", size=_CROP_SIDE),
        )
    )
    return prepared.load(folder / "out", "folder", "train")


def _plain_reading(
    dataset: Dataset, batch_size: int, num_workers: int, num_repeats: int
) -> float:
    import grain

    batches = (
        grain.MapDataset.range(dataset.num_examples)
        .shuffle(seed=0)
        .repeat()
        .map(_Decode(dataset.source))
        .batch(batch_size)
        .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
    )
    if num_workers:
        batches = batches.mp_prefetch(
            grain.MultiprocessingOptions(num_workers, per_worker_buffer_size=2)
        )
    iterator = iter(batches)
    try:
        seconds = measurement.seconds_per_call(
            lambda: next(iterator), num_repeats, num_warmup=_NUM_WARMUP_BATCHES
        )
    finally:
        iterator.close()
    return batch_size / seconds


@dataclasses.dataclass(frozen=True)
class _Decode:
    """Reads and decodes a record by its number; sent to worker processes."""

    source: Source

    def __call__(self, index: int) -> np.ndarray:
        return decode(self.source[int(index)].encoded)


def reading_speed(
    dataset: Dataset,
    framing: Framing,
    batch_size: int,
    settings: InputConfig,
    num_repeats: int,
) -> float:
    """Measures the input pipeline of training alone.

    Args:
        dataset: The pictures.
        framing: Region and size of the rows.
        batch_size: Pictures per batch.
        settings: How pictures are read.
        num_repeats: Runs of the measurement, of which the median counts.

    Returns:
        Pictures per second.
    """
    with pipeline.train_iterator(
        dataset,
        framing=framing,
        batch_size=batch_size,
        seed=0,
        flip=True,
        num_workers=settings.num_workers,
        num_threads=settings.num_threads,
    ) as batches:
        seconds = measurement.seconds_per_call(
            lambda: next(batches), num_repeats, num_warmup=_NUM_WARMUP_BATCHES
        )
    return batch_size / seconds

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of pictures from Python, the same as those of `mode=predict`."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray

from fakedet_jax import systems
from fakedet_jax.config import FaceConfig, VerdictConfig
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.evaluation import log_odds, metrics, scoring
from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.faces import cropping, expected, extraction, opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.jobs.files import tell_notes
from fakedet_jax.library import pictures as pictures_
from fakedet_jax.library.maps import MapMaker
from fakedet_jax.library.pictures import Picture, Pictures
from fakedet_jax.media import batching
from fakedet_jax.media.decode import to_input
from fakedet_jax.models import precision
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.systems.base import Fitted
from fakedet_jax.systems.features import Feature, FeatureRequest
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

_MAX_BATCH_SIZE = 64


def load(
    workdir: str | os.PathLike[str],
    *,
    threshold: float | None = None,
    max_false_alarms: float | None = None,
    unsure: bool = False,
    false_alarm_rate: float | None = None,
    miss_rate: float | None = None,
    face_detector: str | None = None,
    face_detector_model: str | os.PathLike[str] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> "Detector":
    """Loads a trained detector.

    Args:
        workdir: Folder of its training, or of a converted detector.
        threshold: Scores at or above it are decided fake, from 0 to 1; by default that
            of the training.
        max_false_alarms: Instead of a threshold: the largest share of the real
            validation pictures of the training that may be called fake.
        unsure: Whether `verdicts` leaves scores between two thresholds undecided.
        false_alarm_rate: Largest share of the real validation pictures that may be
            called fake then; 0.05 by default. It turns `unsure` on.
        miss_rate: The same for fake ones that may be called real.
        face_detector: `yunet`, `haar` or `none`: how faces are found in pictures; by
            default as in the training.
        face_detector_model: ONNX file of `yunet`.
        devices: Devices that share the pictures; all by default.

    Returns:
        The detector, ready to score.

    Raises:
        RequestError: There is no detector, or a setting is not valid.

    >>> load("no_such_run")
    Traceback (most recent call last):
        ...
    fakedet_jax.errors.RequestError: `workdir`: 'no_such_run' does not exist; name \
the folder of a training
    """
    opened = open_workdir(Path(workdir))
    point = VerdictConfig(
        threshold=threshold,
        max_false_alarms=max_false_alarms,
        unsure=unsure,
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
    )
    mesh = parallel.data_mesh(devices)
    how = cropping.choose(
        opened.faces,
        faces=None if face_detector is None else FaceConfig(face_detector),
        model=None if face_detector_model is None else Path(face_detector_model),
        all_faces=False,
        frames=None,
        expected=expected.from_record(opened.pictures),
    )
    with precision.using(opened.matmul_precision):
        fitted = systems.load(opened, mesh, point)
    return Detector(opened, fitted, how, mesh)


class Detector:
    """A trained detector; made by `load`.

    Pictures are uint8 RGB arrays of any size, `[height, width, 3]` or
    `[n, height, width, 3]`, images of Pillow, paths of files, or sequences of these.
    They are framed as the training pictures were: the largest face is cut out where the
    training found faces, and the network's region is cut out of it and resized once.
    """

    def __init__(
        self, workdir: Workdir, fitted: Fitted, how: Cropping, mesh: Mesh
    ) -> None:
        """Takes over a loaded detector; see `load`.

        Args:
            workdir: Its folder.
            fitted: The detector, on the mesh.
            how: How faces are found in pictures.
            mesh: The devices.
        """
        self._title = workdir.title
        self._folder = workdir.path
        self._precision = workdir.matmul_precision
        self._fitted = fitted
        self._cropping = how
        self._mesh = mesh
        # Compiled once.
        self._features: dict[str, Feature] = {}
        self._map_maker: MapMaker | None = None
        self._log_probabilities = platforms.jit_rows(fitted.log_probability_fn, mesh)

    def __repr__(self) -> str:
        """Name, classes, threshold and folder."""
        return (
            f"<{self._title}: {', '.join(self.classes)}; threshold "
            f"{self.threshold:.4g}; {self._folder}>"
        )

    @property
    def info(self) -> DetectorInfo:
        """What the detector says of itself, such as the origin of its threshold."""
        return self._fitted.info

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, the real ones first."""
        return self.info.classes

    @property
    def threshold(self) -> float:
        """The lowest score that is decided fake, from 0 to 1."""
        return self.info.threshold

    @property
    def kinds_of_features(self) -> tuple[str, ...]:
        """What `features` can compute, such as `traces`, `coverage` or `embedding`."""
        return tuple(self._fitted.features)

    def score(
        self,
        pictures: Pictures,
        *,
        scale: bool = False,
        unusable: Literal["raise", "nan"] = "raise",
    ) -> NDArray[np.float64]:
        """Scores pictures; they equal the scores of `mode=predict`.

        Of a detector that is sure of nearly everything, most scores are rounded to 0 or
        1; `log_odds` tells such pictures apart.

        Args:
            pictures: One picture or several; see the class.
            scale: Whether arrays of floats are taken, 0 for black and 1 for white.
            unusable: What happens to a picture that cannot be used, such as a damaged
                file or one without a face: `raise`, or `nan` for its score and a
                warning in the log.

        Returns:
            Evidence of being fake, float64 `[n]`, from 0 (real) to 1 (fake); `[1]` for
            a single picture.

        Raises:
            RequestError: An array has another shape, dtype or range, or there is none.
            ImageError: A picture cannot be used, and `unusable` is `raise`.
        """
        odds = self.log_odds(pictures, scale=scale, unusable=unusable)
        return log_odds.scores(odds)

    def log_odds(
        self,
        pictures: Pictures,
        *,
        scale: bool = False,
        unusable: Literal["raise", "nan"] = "raise",
    ) -> NDArray[np.float64]:
        """Log-odds of pictures being fake; the scores are their sigmoid.

        Args:
            pictures: One picture or several; see the class.
            scale: See `score`.
            unusable: See `score`.

        Returns:
            Evidence of being fake, float64 `[n]`: 0 for a score of one half.

        Raises:
            RequestError: See `score`.
            ImageError: See `score`.
        """
        if unusable not in ("raise", "nan"):
            raise RequestError(f"`unusable`: expected raise or nan, found {unusable!r}")
        found = pictures_.split(pictures, scale=scale)
        result = np.full(len(found), np.nan)
        compute = functools.partial(self._log_probabilities, self._fitted.variables)
        failures: list[str] = []
        for values, indices in self._stream(
            compute, found, failures if unusable == "nan" else None
        ):
            result[indices] = self.info.log_odds(values)
        if failures:
            _LOGGER.warning(
                "%d of %d pictures have no score, such as %s",
                len(failures),
                len(found),
                failures[0],
            )
        return result

    def decide(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Decides which scores mean fake: those at or above the threshold.

        Args:
            scores: Float array of any shape, as `score` returns.

        Returns:
            Bool array of the same shape, True for fake; False for NaN.
        """
        return metrics.decide(scores, self.threshold)

    def verdicts(self, scores: ArrayLike) -> list[str]:
        """Decides scores as `mode=predict` does.

        Args:
            scores: Float `[n]`, finite, as `score` returns.

        Returns:
            `real`, `fake` or, if the detector was loaded with `unsure` or a rate,
            `unsure`.
        """
        return self.info.point.decide(scores)

    def features(
        self, pictures: Pictures, kind: str | None = None, *, scale: bool = False
    ) -> np.ndarray:
        """Computes features of pictures, as `mode=extract` does.

        Args:
            pictures: One picture or several; see the class.
            kind: One of `kinds_of_features`; the first of them by default.
            scale: Whether arrays of floats are taken, 0 for black and 1 for white.

        Returns:
            `[n, …]`: traces are float32 `[n, height, width, 3]`, counts of activated
            neurons (`coverage`) int32 `[n, layers]`, embeddings float32
            `[n, features]`.

        Raises:
            RequestError: The detector has no such features, or see `score`.
            ImageError: A picture cannot be used.
        """
        feature = self._feature(self._kind(kind))
        found = pictures_.split(pictures, scale=scale)
        rows = np.zeros((len(found), *feature.row_shape), feature.dtype)
        for values, indices in self._stream(feature.compute, found, None):
            rows[indices] = values
        return rows

    def traces(self, pictures: Pictures, *, scale: bool = False) -> np.ndarray:
        """Computes manipulation traces: what the learned predictor of AMTEN misses.

        Args:
            pictures: One picture or several; see the class.
            scale: Whether arrays of floats are taken, 0 for black and 1 for white.

        Returns:
            float32 `[n, height, width, 3]`, of the network's input size.

        Raises:
            RequestError: The detector has no traces, or see `score`.
            ImageError: A picture cannot be used.
        """
        return self.features(pictures, "traces", scale=scale)

    def maps(self, pictures: Pictures, *, scale: bool = False) -> Maps:
        """Computes what the network reacts to: evidence of it, not of the pictures.

        Args:
            pictures: One picture or several; see the class.
            scale: Whether arrays of floats are taken, 0 for black and 1 for white.

        Returns:
            Occlusion for every detector; gradient × input, traces and layers for those
            that have them.

        Raises:
            RequestError: See `score`.
            ImageError: A picture cannot be used.
        """
        found = pictures_.split(pictures, scale=scale)
        inputs = np.zeros((len(found), *self.info.framing.shape), np.uint8)
        with contextlib.closing(self._batches(found, _MAX_BATCH_SIZE, None)) as batches:
            for batch in batches:
                mask = batch["mask"]
                inputs[batch["index"][mask]] = batch["image"][mask]
        with precision.using(self._precision):
            if self._map_maker is None:
                self._map_maker = MapMaker(self._fitted, self._mesh)
            return self._map_maker(inputs)

    def _kind(self, kind: str | None) -> str:
        known = self.kinds_of_features
        if kind is None and known:
            return known[0]
        if kind not in known:
            raise RequestError(
                f"`kind`: the detector {self._title!r} has no "
                f"{kind or 'features'}, only {', '.join(known) or 'scores'}"
            )
        return kind

    def _feature(self, kind: str) -> Feature:
        if kind in self._features:
            return self._features[kind]
        request = FeatureRequest.of_pictures(self._mesh, "these very pictures")
        return self._features.setdefault(kind, self._fitted.features[kind](request))

    def _stream(
        self,
        compute: Callable[[jax.Array], jax.Array],
        found: Sequence[tuple[str, Picture]],
        failures: list[str] | None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Computes the values of pictures, batch by batch.

        Args:
            compute: Compiled, from uint8 `[batch, height, width, 3]` on the mesh.
            found: Of `pictures.split`.
            failures: Gets the reasons of pictures that cannot be used; None to raise.

        Yields:
            Values of some pictures, `[k, …]`, and their numbers, int32 `[k]`.

        Raises:
            ImageError: A picture cannot be used, and `failures` is None.
        """
        # The same few sizes whatever the number of pictures: each is compiled once.
        size = min(_MAX_BATCH_SIZE, 1 << (len(found) - 1).bit_length())
        size = parallel.round_up_batch_size(size, self._mesh)
        batches = self._batches(found, size, failures)
        with (
            precision.using(self._precision),
            contextlib.closing(batches),
        ):
            tagged = ((None, batch) for batch in batches)
            for _, values, indices in scoring.stream(compute, self._mesh, tagged):
                yield values, indices

    def _batches(
        self,
        found: Sequence[tuple[str, Picture]],
        size: int,
        failures: list[str] | None,
    ) -> Generator[batching.Batch, None, None]:
        framing = self.info.framing
        one_thread = self._cropping.may_search
        notes: collections.Counter[str] = collections.Counter()
        with (
            opencv.one_thread() if one_thread else contextlib.nullcontext(),
            concurrent.futures.ThreadPoolExecutor(8, "fakedet-pictures") as pool,
        ):
            numbers = iter(range(len(found)))
            while part := list(itertools.islice(numbers, size)):
                rows = []
                framed = pool.map(self._frame, (found[number] for number in part))
                for number, (picture, row) in zip(part, framed, strict=True):
                    if row.note:
                        notes[row.note] += 1
                    if picture is not None:
                        rows.append(batching.make_row(number, 0, picture, framing))
                        continue
                    reason = f"{found[number][0]} {row.reason}"
                    if failures is None:
                        raise ImageError(reason)
                    failures.append(reason)
                if rows:
                    yield batching.fill_batch(rows, size, framing)
        tell_notes(notes, "picture")

    def _frame(
        self, named: tuple[str, Picture]
    ) -> tuple[np.ndarray | None, extraction.Row]:
        """What the network sees of a picture, or None, and what there is to say."""
        _, picture = named
        row = extraction.Row(extraction.LEFT_OUT)
        try:
            for row, pixels in self._outcomes(picture):
                if pixels is not None:
                    return to_input(pixels, self.info.framing), row
        except ImageError as error:
            row = dataclasses.replace(row, reason=str(error))
        return None, row

    def _outcomes(self, picture: Picture) -> Iterator[extraction.Outcome]:
        if isinstance(picture, str | os.PathLike):
            path = Path(picture)
            return extraction.extract(path, path.name, "photo", self._cropping, tags=())
        return extraction.from_picture(
            pictures_.decode(picture, self._cropping.media), None, self._cropping
        )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How wide faces are in labelled pictures, and whether a detector knows such faces.

A detector knows faces as those of its training were cut out. Crops that show more or
less around the face have the same shape, so that a search must tell them apart.
"""

import concurrent.futures
import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces import detection, opencv
from fakedet_jax.media.decode import decode
from fakedet_jax.runtime import records
from fakedet_jax.runtime.processes import available_cores

# Pictures of each kind that faces are searched for in, and how many must have one.
_NUM_SEARCHED = 32
_MIN_FOUND = 8
# Faces are framed otherwise if their medians differ more and the ranges tell it too:
# whole photographs show faces of all widths, and few of them have any median.
_MAX_RATIO = 1.15
_QUANTILES = 0.1, 0.5, 0.9
_NUM_DIGITS = 4

_Share = Annotated[float, Meta(gt=0, le=1e3)]


@dataclasses.dataclass(frozen=True)
class Widths:
    """Widths of faces: side of the box of a face / shorter side of the picture.

    Attributes:
        narrow: A tenth of the faces are narrower.
        median: Half of them are.
        wide: Nine tenths of them are.
    """

    narrow: _Share
    median: _Share
    wide: _Share

    def are_like(self, known: "Widths") -> bool:
        """Whether who knows faces of other pictures knows these.

        Args:
            known: Of the other pictures.

        >>> crops, photographs = Widths(0.66, 0.72, 0.78), Widths(0.2, 0.5, 0.75)
        >>> crops.are_like(photographs), photographs.are_like(crops)
        (True, False)
        """
        low, high = sorted((self.median, known.median))
        within = known.narrow <= self.median <= known.wide
        return within or high / low <= _MAX_RATIO


def search(
    datasets: Collection[Dataset], num_threads: int
) -> dict[str, list[float]] | None:
    """Searches for faces in some pictures of each kind, always the same ones.

    Args:
        datasets: The pictures; what cannot be read is passed over.
        num_threads: Threads that decode and search, at most; as many as cores suffice.

    Returns:
        For `real` and `fake`, the width of the largest face in each picture that was
        searched, 0 without a face; None where OpenCV is not installed.
    """
    try:
        detector = detection.create("haar")
    except RequestError:
        return None

    def look(dataset: Dataset, index: int) -> float | None:
        try:
            picture = decode(dataset.source[index].encoded)
            faces = detector.detect(picture)
        except ImageError:
            return None
        return math.sqrt(faces[0].area) / min(picture.shape[:2]) if faces else 0.0

    shares = {}
    # Each thread loads its own cascade.
    num_threads = min(num_threads, available_cores())
    with (
        opencv.one_thread(),
        concurrent.futures.ThreadPoolExecutor(num_threads, "fakedet-widths") as pool,
    ):
        for is_fake, kind in enumerate(BINARY_CLASSES):
            places = [
                (dataset, index)
                for dataset in datasets
                for index in np.flatnonzero(dataset.fake_labels == is_fake).tolist()
            ]
            step = max(1, len(places) // _NUM_SEARCHED)
            chosen = places[::step][:_NUM_SEARCHED]
            found = pool.map(lambda place: look(*place), chosen)
            shares[kind] = [share for share in found if share is not None]
    return shares


def summarize(shares: Mapping[str, Sequence[float]] | None) -> dict[str, Widths]:
    """Tells how wide the faces of each kind are.

    Args:
        shares: Of `search`.

    Returns:
        `Widths` of `real` and `fake`, without the kinds of which too few faces were
        found.

    >>> summarize({"real": [0.7, 0.7, 0.8, 0.0], "fake": [0.5] * 8})
    {'fake': Widths(narrow=0.5, median=0.5, wide=0.5)}
    """
    widths = {}
    for kind, found in (shares or {}).items():
        faces = [share for share in found if share]
        if len(faces) >= _MIN_FOUND:
            quantiles = np.quantile(faces, _QUANTILES).tolist()
            widths[kind] = Widths(*(round(share, _NUM_DIGITS) for share in quantiles))
    return widths


def compare(found: Mapping[str, Widths], trained: Mapping[str, Widths]) -> str:
    """Warns of faces that are cut out otherwise than those of a training.

    Args:
        found: Of `summarize`.
        trained: Of the training pictures. Only kinds that both have are compared.

    Returns:
        One line; empty where faces are framed alike, as far as is known.
    """
    told = [
        f"{kind} faces are {widths.median:.0%} as wide as their pictures, and were "
        f"{trained[kind].median:.0%} in the training"
        for kind, widths in found.items()
        if kind in trained and not widths.are_like(trained[kind])
    ]
    if not told:
        return ""
    return (
        f"{'; '.join(told)}: the detector does not know faces that are cut out so, and "
        "its scores say nothing of them; cut them out alike"
    )


def to_record(widths: Mapping[str, Widths]) -> dict[str, Any] | None:
    """Makes a JSON-able record; None where no widths are known."""
    return {kind: dataclasses.asdict(one) for kind, one in widths.items()} or None


def from_record(record: Any) -> dict[str, Widths]:
    """Restores what `to_record` made.

    Args:
        record: The record; it is checked, because its file may be wrong.

    Raises:
        RequestError: It is wrong.
    """
    if record is None:
        return {}
    return records.convert(
        record,
        dict[str, Widths],
        source="`workdir`: config.json: face_widths",
        advice="train again in another `workdir`",
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The rows of a fit on the host: statistics, initial centres and blocks.

Nothing here depends on how the rows are batched or on the number of devices, so the
same rows and seed give the same start everywhere.

References:
    Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for computing
    sample variances", 1979 (`survey`).
    Arthur, Vassilvitskii: "k-means++: the advantages of careful seeding", 2007
    (`draw_centres`).
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from fakedet_jax.errors import RequestError

# Number of rows that centres are drawn from, and of rows in a block.
_MAX_SAMPLE_ROWS = 10_000
_MAX_BLOCK_ROWS = 4096

_MAX_NAMED_ROWS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """Statistics and a sample of rows.

    Attributes:
        count: Number of rows.
        mean: float64 `[d]`.
        variance: float64 `[d]`, biased.
        sample: float32 `[m, d]`, all rows or a uniform sample of them.
    """

    count: int
    mean: np.ndarray
    variance: np.ndarray
    sample: np.ndarray


def survey(batches: Iterable[np.ndarray], seed: int) -> Survey:
    """Reads all rows once.

    Args:
        batches: Rows `[n, d]` of any numeric dtype; n may differ between batches.
        seed: Seed of the sample.

    Returns:
        The survey, which does not depend on the batching, apart from the rounding of
        float64.

    Raises:
        RequestError: There are no rows, or some are not finite in float32.
        ValueError: The batches are no matrices of equal width.
    """
    rng = np.random.default_rng([seed, 1])
    count, mean, squares = 0, np.zeros(0), np.zeros(0)
    sample, priorities = np.zeros((0, 0), np.float32), np.zeros(0)
    for rows in batches:
        _check_shape(rows, count, len(mean))
        if not len(rows):
            continue
        _check_finite(rows, count)
        if not count:
            mean, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
            sample = np.zeros((0, rows.shape[1]), np.float32)
        # Chan, Golub and LeVeque's formula merges the moments of two sets.
        rows_mean = rows.mean(0, dtype=np.float64)
        difference, total = rows_mean - mean, count + len(rows)
        squares += np.square(rows - rows_mean).sum(0)
        squares += np.square(difference) * (count * len(rows) / total)
        mean += difference * (len(rows) / total)
        count = total
        # One priority per row in order, so that the sample ignores the batching.
        priorities = np.concatenate([priorities, rng.random(len(rows))])
        sample = np.concatenate([sample, rows.astype(np.float32)])
        if len(sample) > _MAX_SAMPLE_ROWS:
            kept = np.sort(np.argsort(priorities)[:_MAX_SAMPLE_ROWS])
            sample, priorities = sample[kept], priorities[kept]
    if not count:
        raise RequestError(
            "embeddings: expected at least one row, found none; check which pictures "
            "were skipped"
        )
    return Survey(count, mean, squares / count, sample)


def chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Cuts rows into batches, so that they are never copied as a whole.

    Args:
        x: Rows `[n, d]` of any numeric dtype.

    Yields:
        Views `[m, d]` of at most 4096 rows in order; one without rows for no rows.
    """
    for start in range(0, max(len(x), 1), _MAX_BLOCK_ROWS):
        yield x[start : start + _MAX_BLOCK_ROWS]


def block_size(num_rows: int, num_devices: int) -> int:
    """Size of equal blocks of rows that divides evenly between the devices.

    Args:
        num_rows: Number of all rows, positive.
        num_devices: Number of devices.
    """
    num_blocks = -(-num_rows // _MAX_BLOCK_ROWS)
    share = -(-num_rows // num_blocks)
    return -(-share // num_devices) * num_devices


def blocks(
    batches: Iterable[np.ndarray], offset: np.ndarray, scale: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Standardises rows and cuts them into blocks of one size.

    Args:
        batches: Rows `[n, d]` of any numeric dtype; n may differ between batches.
        offset: float32 `[d]`, subtracted from each row.
        scale: float32 `[d]`, divides each row after that.
        size: Number of rows in a block.

    Yields:
        float32 `[size, d]` and bool `[size]`, false for padding.
    """
    z, filled = np.zeros((size, len(offset)), np.float32), 0
    for rows in batches:
        start = 0
        while start < len(rows):
            part = rows[start : start + size - filled]
            place = z[filled : filled + len(part)]
            np.divide(part - offset, scale, out=place, casting="same_kind")
            start, filled = start + len(part), filled + len(part)
            if filled == size:
                yield z, np.ones(size, bool)
                # The device may still read the last block, so it is not overwritten.
                z, filled = np.zeros_like(z), 0
    if filled:
        yield z, np.arange(size) < filled


def draw_centres(
    z: np.ndarray, num_components: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws rows as centres by k-means++.

    Args:
        z: Standardised rows, float32 `[m, d]`.
        num_components: Number of centres, at most m.
        rng: Random generator.

    Returns:
        float32 `[num_components, d]`. The probability of a row is proportional to its
        squared distance from the nearest centre so far; it is uniform where all
        distances are zero.
    """
    chosen = [int(rng.integers(len(z)))]
    nearest = np.full(len(z), np.inf)
    while len(chosen) < num_components:
        difference = z - z[chosen[-1]]
        distances = np.einsum("nd,nd->n", difference, difference, dtype=np.float64)
        nearest = np.minimum(nearest, distances)
        cumulative = np.cumsum(nearest)
        if cumulative[-1] > 0:
            drawn = rng.random() * cumulative[-1]
            index = int(np.searchsorted(cumulative, drawn, side="right"))
        else:
            index = int(rng.integers(len(z)))
        chosen.append(min(index, len(z) - 1))
    return z[chosen]


def _check_shape(rows: np.ndarray, start: int, width: int) -> None:
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "fiu":
        raise ValueError(
            "embeddings: expected rows of numbers [n, d], found "
            f"{rows.dtype} {list(rows.shape)}"
        )
    if start and rows.shape[1] != width:
        raise ValueError(
            f"embeddings: expected {width} features in every batch, found "
            f"{rows.shape[1]} from row {start} on"
        )


def _check_finite(rows: np.ndarray, start: int) -> None:
    # Large float64 numbers are infinite in float32.
    with np.errstate(over="ignore"):
        finite = np.isfinite(rows.astype(np.float32, copy=False)).all(1)
    if finite.all():
        return
    wrong = start + np.flatnonzero(~finite)
    named = ", ".join(str(row) for row in wrong[:_MAX_NAMED_ROWS])
    more = f" and {len(wrong) - _MAX_NAMED_ROWS} more" * (len(wrong) > _MAX_NAMED_ROWS)
    raise RequestError(
        f"embeddings: expected finite numbers, found others in rows {named}{more} "
        "(counted from 0); leave out these pictures or check `weights`"
    )

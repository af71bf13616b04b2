# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The rows of a fit, on the host: what they are like, where to start, and blocks.

Nothing here depends on how rows come in batches or on the number of devices, so the
same rows and seed give the same start everywhere.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from fakedet_jax.errors import RequestError

# Rows that centres are drawn from, and rows that the devices take at a time.
_MAX_SAMPLE_ROWS = 10_000
_MAX_BLOCK_ROWS = 4096

_MAX_NAMED_ROWS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """What rows are like.

    Attributes:
        count: Number of rows.
        mean: float64 `[d]`.
        variance: float64 `[d]`.
        sample: float32 `[m, d]`, all rows or many of them, drawn evenly.
    """

    count: int
    mean: np.ndarray
    variance: np.ndarray
    sample: np.ndarray


def survey(batches: Iterable[np.ndarray], seed: int) -> Survey:
    """Goes through all rows once.

    Args:
        batches: Rows `[n, d]` of any float dtype, n may differ.
        seed: Of the sample.

    Returns:
        The same for any batching, but for the last digits of float64.

    Raises:
        RequestError: There are no rows, or some are not finite.
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
        # Two sets' moments as one (Chan, Golub, LeVeque, 1979).
        rows_mean = rows.mean(0, dtype=np.float64)
        difference, total = rows_mean - mean, count + len(rows)
        squares += np.square(rows - rows_mean).sum(0)
        squares += np.square(difference) * (count * len(rows) / total)
        mean += difference * (len(rows) / total)
        count = total
        # One priority for each row, in order, so that batches do not show.
        priorities = np.concatenate([priorities, rng.random(len(rows))])
        sample = np.concatenate([sample, rows.astype(np.float32)])
        if len(sample) > _MAX_SAMPLE_ROWS:
            kept = np.sort(np.argsort(priorities)[:_MAX_SAMPLE_ROWS])
            sample, priorities = sample[kept], priorities[kept]
    if not count:
        raise RequestError(
            "embeddings: expected at least one row, found none; check which pictures "
            "could be read"
        )
    return Survey(count, mean, squares / count, sample)


def chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """An array as batches, so that no copy of all of it is made."""
    for start in range(0, max(len(x), 1), _MAX_BLOCK_ROWS):
        yield x[start : start + _MAX_BLOCK_ROWS]


def block_size(num_rows: int, num_devices: int) -> int:
    """Rows of a block: even shares of all rows, that the devices can share evenly."""
    num_blocks = -(-num_rows // _MAX_BLOCK_ROWS)
    share = -(-num_rows // num_blocks)
    return -(-share // num_devices) * num_devices


def blocks(
    batches: Iterable[np.ndarray], offset: np.ndarray, scale: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Standardised rows in blocks of one size, the last one padded with zeros.

    Args:
        batches: Rows `[n, d]` of any float dtype, n may differ.
        offset: float32 `[d]`.
        scale: float32 `[d]`.
        size: Rows of a block.

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
                # The device may still be reading the other one.
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
        rng: Source of randomness.

    Returns:
        float32 `[num_components, d]`, each row drawn in proportion to its squared
        distance from the nearest one before; any row where no distance is left.
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
    # What is finite as float64 may not be as float32.
    with np.errstate(over="ignore"):
        finite = np.isfinite(rows.astype(np.float32, copy=False)).all(1)
    if finite.all():
        return
    wrong = start + np.flatnonzero(~finite)
    named = ", ".join(str(row) for row in wrong[:_MAX_NAMED_ROWS])
    more = f" and {len(wrong) - _MAX_NAMED_ROWS} more" * (len(wrong) > _MAX_NAMED_ROWS)
    raise RequestError(
        f"embeddings: expected finite numbers, found others in rows {named}{more} "
        "(counted from 0); leave these pictures out or check `weights`"
    )

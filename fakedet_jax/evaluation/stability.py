# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of faces as they are and after mild changes that no person would notice.

A verdict that a slight compression turns round is worth little. What is changed is the
network's input, after a face was framed, so that the changes are as strong for every
picture, whatever its size. They are the same in every run.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

from fakedet_jax.evaluation.scoring import BatchResult, Scorer
from fakedet_jax.media.batching import Batch
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb import codecs, operations

_Tag = TypeVar("_Tag")

_QUALITY = 75
_SCALE = 0.75
_NUM_THREADS = 8


def _jpeg(images: np.ndarray) -> np.ndarray:
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS, "fakedet-jpeg") as pool:
        compress = functools.partial(codecs.jpeg, quality=_QUALITY)
        return np.stack(list(pool.map(compress, images)))


def _resize(images: np.ndarray) -> np.ndarray:
    sizes = np.tile(np.array(images.shape[1:3], np.int32), (len(images), 1))
    scales = np.full(len(images), _SCALE, np.float32)
    return np.asarray(_resize_on_device(images, sizes, scales))


_resize_on_device = jax.jit(operations.resize)


def _shift(images: np.ndarray) -> np.ndarray:
    """Moves the pictures by one pixel to the right; the left edge is repeated."""
    return np.concatenate([images[:, :, :1], images[:, :, :-1]], axis=2)


# From uint8 `[batch, height, width, 3]` to the same, by what is done.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    f"JPEG {_QUALITY}": _jpeg,
    f"resize {_SCALE} and back": _resize,
    "shift by a pixel": _shift,
}


def change(batch: Batch, name: str, framing: Framing) -> Batch:
    """A batch with changed pictures.

    Args:
        batch: See `media.batching`.
        name: One of `CHANGES`.
        framing: Of the pictures. The inputs of several networks, which lie beside each
            other, are changed one by one.
    """
    images = batch["image"]
    if not framing.parts:
        return {**batch, "image": CHANGES[name](images)}
    changed = np.zeros_like(images)
    for start, part in zip(framing.columns, framing.parts, strict=False):
        place = np.s_[:, : part.height, start : start + part.width]
        own = {**batch, "image": np.ascontiguousarray(images[place])}
        changed[place] = change(own, name, part)["image"]
    return {**batch, "image": changed}


def choose_stream(
    scorer: Scorer, framing: Framing, *, changes: bool
) -> Callable[[Any, Iterable[tuple[_Tag, Batch | None]]], Iterator[BatchResult[_Tag]]]:
    """What scores batches: `stream` with changes, and else `Scorer.stream`."""
    return functools.partial(stream, scorer, framing) if changes else scorer.stream


def stream(
    scorer: Scorer,
    framing: Framing,
    variables: Any,
    batches: Iterable[tuple[_Tag, Batch | None]],
) -> Iterator[BatchResult[_Tag]]:
    """Scores batches as they are and under each change; see `Scorer.stream`.

    Args:
        scorer: Of the detector.
        framing: Of its input.
        variables: Its variables, on the mesh.
        batches: Tagged batches of this process.

    Yields:
        One result for each batch: values `[n, 1 + changes, classes]`.
    """
    names = (None, *CHANGES)

    def expanded() -> Iterator[tuple[tuple[str | None, _Tag], Batch | None]]:
        for tag, batch in batches:
            for name in names:
                if batch is None or name is None:
                    yield (name, tag), batch
                else:
                    yield (name, tag), change(batch, name, framing)

    collected: list[np.ndarray] = []
    for (_, tag), values, indices in scorer.stream(variables, expanded()):
        collected.append(values)
        if len(collected) == len(names):
            yield BatchResult(tag, np.stack(collected, axis=1), indices)
            collected.clear()

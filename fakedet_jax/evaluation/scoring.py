# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Applies a function of pictures to datasets and streams, on all devices and hosts.

The function may compute the class log-probabilities of a detector, the neuron counts of
a backbone, or any other array with a row for each picture.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import InputConfig
from fakedet_jax.data import pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.media import batching
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import parallel, platforms, progress, text
from fakedet_jax.runtime.dispatch import dispatch

_LOGGER = logging.getLogger(__name__)

_Tag = TypeVar("_Tag")

# From variables and uint8 `[batch, height, width, 3]` to `[batch, ...]`.
PictureFn = Callable[[Any, jax.Array], jax.Array]
# From variables and uint8 `[batch, height, width, 3]` to the logarithms of class
# probabilities, float32 `[batch, classes]`.
LogProbabilityFn = PictureFn


def log_odds_fn(
    log_probability_fn: LogProbabilityFn, is_fake: Sequence[bool]
) -> PictureFn:
    """The log-odds of the fake classes together, which can be differentiated.

    Args:
        log_probability_fn: Of a detector.
        is_fake: Whether each of its classes is fake.

    Returns:
        `fn(variables, images)` from `[batch, height, width, 3]`, 0 to 255, to float32
        `[batch]`, not calibrated.
    """
    fake = np.asarray(is_fake, np.bool_)

    def log_odds(variables: Any, images: jax.Array) -> jax.Array:
        logarithms = log_probability_fn(variables, images)
        return _log_sum(logarithms, fake) - _log_sum(logarithms, ~fake)

    return log_odds


def _log_sum(logarithms: jax.Array, chosen: np.ndarray) -> jax.Array:
    """Logarithm of the sum of the probabilities of some classes, `[batch]`."""
    columns = np.flatnonzero(chosen)
    if len(columns) == 1:  # As it is, without another rounding.
        return logarithms[:, columns[0]]
    return jax.nn.logsumexp(logarithms[:, columns], axis=-1)


class BatchResult(NamedTuple, Generic[_Tag]):
    """Values of the pictures of one batch; rows without a picture are left out.

    Attributes:
        tag: The object that was passed with the batch.
        values: `[n, ...]`, one row for each row of the batch whose `mask` is true;
            `[0, 0]` without a batch.
        indices: int32 `[n]`, the `index` of these rows.
    """

    tag: _Tag
    values: np.ndarray
    indices: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """Values of all pictures of a dataset.

    Attributes:
        values: `[num_examples, ...]`, such as the class log-probabilities of a
            detector;
            zeros where the picture cannot be used.
        valid: bool `[num_examples]`, false where the picture cannot be used.
    """

    values: np.ndarray
    valid: np.ndarray


def stream(
    compute: Callable[[jax.Array], jax.Array],
    mesh: Mesh,
    batches: Iterable[tuple[_Tag, batching.Batch | None]],
) -> Iterator[BatchResult[_Tag]]:
    """Computes the values of batches while the next ones are being prepared.

    Args:
        compute: Compiled function from uint8 `[batch, height, width, 3]`, cut along the
            mesh, to `[batch, ...]`. It is called with `mesh` as the ambient mesh.
        mesh: The devices.
        batches: Batches of this process as `media.batching` describes them, each with a
            tag that is passed through. `None` stands for a batch without any picture
            and is allowed only in a run of one process. The batches are consumed only
            as fast as results are. One that does not fit the memory of the devices is
            computed in pieces, in a run of one process.

    Yields:
        One result for each batch, in order: the values of its pictures in all
        processes, the same in every process.

    Raises:
        RequestError: A picture for each device is too much for their memory.
    """
    pieces = _Pieces(compute, mesh)

    def start(tagged: tuple[_Tag, batching.Batch | None]) -> _Started | None:
        _, batch = tagged
        return None if batch is None else pieces.start(batch)

    for (tag, batch), started in dispatch(start, batches):
        if batch is None or started is None:
            yield BatchResult(tag, np.zeros((0, 0), np.float32), np.zeros(0, np.int32))
            continue
        values, index, mask = pieces.finish(batch, started)
        yield BatchResult(tag, values[mask], index[mask])


class _Started(NamedTuple):
    """Pieces of a batch whose computation has started.

    Attributes:
        size: Pictures of a piece.
        pieces: Values, numbers and mask of each; `None` where it did not fit.
    """

    size: int
    pieces: list[list[jax.Array]] | None


class _Pieces:
    """Computes batches, in smaller pieces from the first one on that does not fit."""

    def __init__(self, compute: Callable[[jax.Array], jax.Array], mesh: Mesh) -> None:
        self._compute = compute
        self._mesh = mesh
        self._size: int | None = None

    def start(self, batch: batching.Batch) -> _Started:
        """Starts the computation of a batch."""
        size = self._size or len(batch["mask"])
        try:
            return _Started(size, [*map(self._start, self._cut(batch, size))])
        except jax.errors.JaxRuntimeError as error:
            self._shrink(size, error)
            return _Started(size, None)

    def finish(
        self, batch: batching.Batch, started: _Started
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Waits for the values, numbers and mask of a batch, or computes it anew.

        Errors of a device often come only when its results are fetched.
        """
        while True:
            try:
                if started.pieces is not None:
                    return self._fetch(started.pieces)
            except jax.errors.JaxRuntimeError as error:
                self._shrink(started.size, error)
            started = self.start(batch)

    def _cut(self, batch: batching.Batch, size: int) -> Iterator[batching.Batch]:
        for start in range(0, len(batch["mask"]), size):
            yield {
                name: batch[name][start : start + size]
                for name in ("image", "index", "mask")
            }

    def _start(self, piece: batching.Batch) -> list[jax.Array]:
        placed = parallel.put_batch(self._mesh, piece)
        with jax.set_mesh(self._mesh):
            values = self._compute(placed["image"])
        return [values, placed["index"], placed["mask"]]

    def _fetch(
        self, pieces: list[list[jax.Array]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        fetched = ([*map(parallel.to_host, arrays)] for arrays in pieces)
        values, index, mask = map(np.concatenate, zip(*fetched, strict=True))
        return values, index, mask

    def _shrink(self, size: int, error: jax.errors.JaxRuntimeError) -> None:
        """Halves the pieces, unless another batch of this size has done so.

        Raises:
            RequestError: They cannot become smaller.
            JaxRuntimeError: The error has another reason.
        """
        if "RESOURCE_EXHAUSTED" not in str(error) or jax.process_count() > 1:
            raise error
        if self._size is not None and self._size < size:
            return
        num_devices = self._mesh.size
        if size <= num_devices:
            raise RequestError(
                f"`batch_size`: even {text.counted(size, 'picture')} at a time need "
                "more memory than there is on the devices; give the detector larger "
                "ones"
            ) from error
        self._size = max(size // 2 // num_devices, 1) * num_devices
        _LOGGER.warning(
            "%s at a time do not fit the memory of the devices; going on with %s",
            text.counted(size, "picture"),
            self._size,
        )


class Scorer:
    """A function of pictures, compiled once for one mesh and one batch size."""

    def __init__(self, picture_fn: PictureFn, mesh: Mesh, batch_size: int) -> None:
        """Prepares the function; the first batch compiles it.

        Args:
            picture_fn: Pure function from variables and uint8
                `[batch, height, width, 3]` to `[batch, ...]`.
            mesh: The devices.
            batch_size: Pictures per step over all devices and hosts.

        Raises:
            RequestError: The devices cannot share the batch evenly.
        """
        self.mesh = mesh
        self.batch_size = batch_size
        self.local_batch_size = parallel.local_batch_size(batch_size, mesh)
        self._compiled = platforms.jit_rows(picture_fn, mesh)

    def stream(
        self, variables: Any, batches: Iterable[tuple[_Tag, batching.Batch | None]]
    ) -> Iterator[BatchResult[_Tag]]:
        """Scores batches while the next ones are being prepared; see `stream`.

        Args:
            variables: Variables of the function, on the mesh.
            batches: Tagged batches of this process, with `local_batch_size` rows each.

        Yields:
            One result for each batch, in order.
        """
        return stream(
            lambda images: self._compiled(variables, images), self.mesh, batches
        )

    def score_batches(
        self,
        variables: Any,
        batches: Iterable[batching.Batch],
        num_examples: int,
        framing: Framing,
        shown: progress.Progress,
    ) -> Scored:
        """Scores batches whose `index` is a position in a dataset.

        Args:
            variables: Variables of the function, on the mesh.
            batches: Batches of this process, with `local_batch_size` rows each.
            num_examples: Number of pictures in the dataset.
            framing: Region and size of the network's input.
            shown: Progress that is advanced by `num_examples`.

        Returns:
            The values of all pictures, the same in every process.
        """
        images = jax.ShapeDtypeStruct(
            (self.batch_size, *framing.shape),
            np.uint8,
            sharding=parallel.batch_sharding(self.mesh),
        )
        with jax.set_mesh(self.mesh):
            result = jax.eval_shape(self._compiled, variables, images)
        table = np.zeros((num_examples, *result.shape[1:]), result.dtype)
        valid = np.zeros(num_examples, np.bool_)
        for _, values, indices in self.stream(
            variables, ((None, batch) for batch in batches)
        ):
            table[indices] = values
            valid[indices] = True
            shown.update(len(indices))
        shown.update(num_examples - int(valid.sum()))
        return Scored(table, valid)

    def score_dataset(
        self,
        variables: Any,
        dataset: Dataset,
        framing: Framing,
        settings: InputConfig,
        *,
        treatment: Treatment | None = None,
        change: Callable[[batching.Batch], batching.Batch] | None = None,
        label: str = "",
    ) -> Scored:
        """Scores every picture of a dataset once.

        Args:
            variables: Variables of the function, on the mesh.
            dataset: The pictures.
            framing: Region and size of the network's input.
            settings: How pictures are read.
            treatment: Perturbation of each decoded picture, the same in every call.
            change: From each batch to the one that is scored.
            label: Label of the progress line; without it no progress is shown.

        Returns:
            The values of all pictures, the same in every process.
        """
        batches = pipeline.eval_batches(
            dataset,
            framing=framing,
            batch_size=self.local_batch_size,
            treatment=treatment,
            num_workers=settings.num_workers,
            num_threads=settings.num_threads,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        if change is not None:
            batches = map(change, batches)
        quiet = not label or jax.process_index() > 0
        with progress.Progress(dataset.num_examples, label=label, quiet=quiet) as shown:
            return self.score_batches(
                variables, batches, dataset.num_examples, framing, shown
            )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Applies a function of pictures to datasets and streams, on all devices and hosts.

The function may compute the class probabilities of a detector, the neuron counts of a
backbone, or any other array with a row for each picture.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import InputConfig
from fakedet_jax.data import pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.media import batching
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import parallel, progress
from fakedet_jax.runtime.dispatch import dispatch

_Tag = TypeVar("_Tag")

# From variables and uint8 `[batch, height, width, 3]` to `[batch, ...]`.
PictureFn = Callable[[Any, jax.Array], jax.Array]
# From variables and uint8 `[batch, height, width, 3]` to class probabilities, float32
# `[batch, classes]`.
ProbabilityFn = PictureFn


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
        values: `[num_examples, ...]`, such as the class probabilities of a detector;
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
            as fast as results are.

    Yields:
        One result for each batch, in order: the values of its pictures in all
        processes, the same in every process.
    """

    def start(tagged: tuple[_Tag, batching.Batch | None]) -> list[jax.Array]:
        _, batch = tagged
        if batch is None:
            return []
        needed = {name: batch[name] for name in ("image", "index", "mask")}
        placed = parallel.put_batch(mesh, needed)
        with jax.set_mesh(mesh):
            values = compute(placed["image"])
        return [values, placed["index"], placed["mask"]]

    for (tag, _), started in dispatch(start, batches):
        if not started:
            yield BatchResult(tag, np.zeros((0, 0), np.float32), np.zeros(0, np.int32))
            continue
        values, index, mask = map(parallel.to_host, started)
        yield BatchResult(tag, values[mask], index[mask])


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
        self._compiled = jax.jit(
            picture_fn, out_shardings=parallel.batch_sharding(mesh)
        )

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
        label: str = "",
    ) -> Scored:
        """Scores every picture of a dataset once.

        Args:
            variables: Variables of the function, on the mesh.
            dataset: The pictures.
            framing: Region and size of the network's input.
            settings: How pictures are read.
            treatment: Perturbation of each decoded picture, the same in every call.
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
        quiet = not label or jax.process_index() > 0
        with progress.Progress(dataset.num_examples, label=label, quiet=quiet) as shown:
            return self.score_batches(
                variables, batches, dataset.num_examples, framing, shown
            )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A function of pictures over whole datasets and streams, on all devices and hosts.

Such as the class probabilities of a detector, or the neuron counts of a backbone.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

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

# From variables and uint8 `[batch, height, width, 3]` to `[batch, columns]`.
PictureFn = Callable[[Any, jax.Array], jax.Array]
# The columns are class probabilities, float32.
ProbabilityFn = PictureFn

# Batches whose results stay on the device while the next ones are decoded.
_NUM_IN_FLIGHT = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """What a function says of a dataset.

    Attributes:
        values: `[num_examples, columns]`, rows of zeros where the picture could not be
            read; class probabilities of a detector.
        valid: bool `[num_examples]`, false where the picture could not be read.
    """

    values: np.ndarray
    valid: np.ndarray


class Scorer:
    """A function of pictures, compiled once for one mesh and batch size."""

    def __init__(self, picture_fn: PictureFn, mesh: Mesh, batch_size: int) -> None:
        """Prepares; the first batch compiles.

        Args:
            picture_fn: From variables and uint8 `[batch, height, width, 3]` to
                `[batch, columns]`.
            mesh: The devices.
            batch_size: Pictures per step over all devices and hosts.

        Raises:
            RequestError: The batch cannot be cut evenly.
        """
        self.mesh = mesh
        self.batch_size = batch_size
        self.local_batch_size = parallel.local_batch_size(batch_size, mesh)
        self._compiled = jax.jit(
            picture_fn, out_shardings=parallel.batch_sharding(mesh)
        )

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
            variables: Of the network, on the mesh.
            dataset: The pictures.
            framing: Of the network's input.
            settings: How pictures are read.
            treatment: What is done to them as they are decoded, the same each time.
            label: Shown with the progress; no progress is shown without.

        Returns:
            The same in every process.
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
        table: np.ndarray | None = None
        valid = np.zeros(dataset.num_examples, np.bool_)
        quiet = not label or jax.process_index() > 0
        with (
            progress.Progress(dataset.num_examples, label=label, quiet=quiet) as shown,
            jax.set_mesh(self.mesh),
        ):
            for values, batch in self._results(variables, batches):
                index, mask = batch["index"], batch["mask"]
                if table is None:
                    shape = (dataset.num_examples, values.shape[1])
                    table = np.zeros(shape, values.dtype)
                table[index[mask]] = values[mask]
                valid[index[mask]] = True
                shown.update(int((index >= 0).sum()))
        if table is None:
            table = np.zeros((0, dataset.num_classes), np.float32)
        return Scored(table, valid)

    def score_images(self, variables: Any, images: np.ndarray) -> np.ndarray:
        """Scores one batch of this process: uint8 `[local batch, height, width, 3]`."""
        with jax.set_mesh(self.mesh):
            placed = parallel.put_batch(self.mesh, {"image": images})
            return parallel.to_host(self._compiled(variables, placed["image"]))

    def _results(
        self, variables: Any, batches: Iterator[batching.Batch]
    ) -> Iterator[tuple[np.ndarray, batching.Batch]]:
        """Global results with the global `index` and `mask`, a little behind."""
        waiting: collections.deque[tuple[jax.Array, dict[str, jax.Array]]]
        waiting = collections.deque()
        for batch in batches:
            placed = parallel.put_batch(self.mesh, batch)
            waiting.append((self._compiled(variables, placed.pop("image")), placed))
            if len(waiting) > _NUM_IN_FLIGHT:
                yield _fetch(*waiting.popleft())
        while waiting:
            yield _fetch(*waiting.popleft())


def _fetch(
    values: jax.Array, placed: dict[str, jax.Array]
) -> tuple[np.ndarray, batching.Batch]:
    batch = {name: parallel.to_host(array) for name, array in placed.items()}
    return parallel.to_host(values), batch

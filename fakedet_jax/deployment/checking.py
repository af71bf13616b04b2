# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares a deployed detector with the one in the workdir before its file is kept."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

from fakedet_jax.data import catalog, pipeline
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import precision
from fakedet_jax.systems.base import Fitted
from fakedet_jax.workdir import Workdir

_LOGGER = logging.getLogger(__name__)

NUM_PICTURES = 50


def pictures(workdir: Workdir, framing: Framing) -> tuple[np.ndarray, str]:
    """Pictures to compare on: those that the detector was validated on.

    Where they are gone, noise of several coarsenesses stands in for them.

    Args:
        workdir: Of the detector.
        framing: Of its input.

    Returns:
        At most `NUM_PICTURES`, uint8 `[n, height, width, 3]`, and what they are.
    """
    try:
        dataset = catalog.load(workdir.data, "validation", needs="either")
        # Classes follow each other in it.
        places = np.linspace(0, dataset.num_examples - 1, NUM_PICTURES).round()
        dataset = dataset.subset(np.unique(places.astype(np.int64)))
        batches = pipeline.eval_batches(dataset, framing=framing, batch_size=10)
        found = np.concatenate([batch["image"][batch["mask"]] for batch in batches])
        if len(found):
            return found, f"pictures of the split validation of {dataset.name}"
    except RequestError as error:
        _LOGGER.info("the training pictures are not there (%s)", error)
    return _noise(framing), "generated pictures, as those of the training are gone"


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far two forms of a detector are apart, at most.

    Attributes:
        scores: Of scores; infinite where only one of the two gives a number.
        log_odds: Of log-odds in proportion to one plus their size, since scores near 0
            and 1 hide what differs; infinite as above.
        num_decisions: How many pictures are decided otherwise.
    """

    scores: float
    log_odds: float
    num_decisions: int

    @property
    def largest(self) -> float:
        """The larger of both."""
        return max(self.scores, self.log_odds)


def largest_difference(
    fitted: Fitted,
    workdir: Workdir,
    deployed: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    crops: np.ndarray,
    batch_size: int | None,
) -> Difference:
    """The largest difference between two forms of a detector.

    Args:
        fitted: The detector of the workdir.
        workdir: The workdir.
        deployed: The other form, from crops to `scores` and `log_odds`.
        crops: uint8 `[n, height, width, 3]`.
        batch_size: The number of crops that it takes; None for any.

    Returns:
        The largest of all pictures.
    """
    log_probabilities = jax.jit(fitted.log_probability_fn)
    threshold = fitted.info.threshold
    differences = []
    num_decisions = num_seen = 0
    # Batches of several sizes, the last of a single picture, where any size is taken.
    for batch in _batches(crops, batch_size):
        with precision.using(workdir.matmul_precision):
            values = np.asarray(log_probabilities(fitted.variables, batch))
        evidence = fitted.info.log_odds(values)
        found = deployed(batch)
        scores = log_odds.scores(evidence)
        differences.append(
            (
                _difference(scores, found["scores"]),
                _difference(evidence, found["log_odds"], 1 + np.abs(evidence)),
            )
        )
        otherwise = (scores >= threshold) != (found["scores"] >= threshold)
        # Pictures that fill the last batch were there before.
        num_decisions += int(otherwise[: len(crops) - num_seen].sum())
        num_seen += len(batch)
    of_scores, of_log_odds = map(max, zip(*differences, strict=True))
    return Difference(of_scores, of_log_odds, num_decisions)


def _difference(
    expected: np.ndarray, found: np.ndarray, scale: np.ndarray | float = 1.0
) -> float:
    with np.errstate(invalid="ignore"):
        differences = np.abs(expected - np.asarray(found, np.float64)) / scale
    same = np.isnan(expected) & np.isnan(found)
    differences = np.where(same, 0.0, differences)
    return float(np.where(np.isnan(differences), np.inf, differences).max())


def _batches(crops: np.ndarray, batch_size: int | None) -> Iterator[np.ndarray]:
    if batch_size is None:
        yield from (part for part in (crops[:-1], crops[-1:]) if len(part))
        return
    numbers = itertools.cycle(range(len(crops)))
    for _ in range(0, len(crops), batch_size):
        yield crops[list(itertools.islice(numbers, batch_size))]


def _noise(framing: Framing) -> np.ndarray:
    rng = np.random.default_rng(0)
    height, width, _ = framing.shape
    made = []
    for number in range(NUM_PICTURES):
        cell = 2 ** (number % 5)
        shape = (-(-height // cell), -(-width // cell), 3)
        blocks = rng.integers(0, 256, shape, np.uint8)
        made.append(blocks.repeat(cell, 0).repeat(cell, 1)[:height, :width])
    return np.stack(made)

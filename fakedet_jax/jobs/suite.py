# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=suite`: measures a detector on perturbed pictures.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: AUC under four perturbations.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from fakedet_jax import systems
from fakedet_jax.bulk.shards import read_shard
from fakedet_jax.config import EvaluateConfig, SuiteConfig
from fakedet_jax.evaluation import data as evaluation_data
from fakedet_jax.evaluation.condition_scores import ConditionScores
from fakedet_jax.evaluation.perturbed import Pictures
from fakedet_jax.evaluation.scoring import Scored, Scorer
from fakedet_jax.jobs import compute, origin
from fakedet_jax.media import batching
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import precision
from fakedet_jax.perturb import apply, suites
from fakedet_jax.perturb.perturbation import Mix, Perturbation
from fakedet_jax.report import robustness as robustness_report
from fakedet_jax.runtime import parallel, progress
from fakedet_jax.systems import identity
from fakedet_jax.systems.base import Fitted
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# Bytes of batches that are perturbed in advance. Some perturbations are quick and some,
# such as JPEG 2000 on one core, are slow; this many batches even out the difference.
_AHEAD_BYTES = 2**28
_MIN_AHEAD = 3

# The settings that a suite and an evaluation have in common.
_SHARED = {field.name for field in dataclasses.fields(EvaluateConfig)}

_Item = TypeVar("_Item")
_Condition = Perturbation | Mix
# Positions in the dataset, and pictures.
_Numbered = Iterable[tuple[int, np.ndarray]]


def evaluate_suite(config: SuiteConfig) -> dict[str, Any]:
    """Scores a dataset under every condition of a suite.

    Pictures are perturbed after they are decoded, before they are resized to the
    network's input. The results are written to `WORKDIR/evaluations/NAME_SUITE`; see
    `report.robustness.write_robustness`. A suite that was stopped goes on with the
    conditions that are missing, and processes can share it.

    Args:
        config: The settings; `suite` is a name in `suites.names()`.

    Returns:
        The content of `robustness.json`; nothing where other processes have conditions
        to measure.

    Raises:
        RequestError: The settings or the data are invalid, no picture can be used, or a
            score is not finite.
    """
    compute.prepare(config.compute)
    suite = suites.create(config.suite)
    parallel.require_one_process("suite")
    shard = read_shard(config.shard)
    mesh = parallel.data_mesh()
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    workdir = open_workdir(config.workdir)
    compute.set_up(config.compute, workdir)
    detector = systems.load(workdir, mesh, config)
    values = {name: value for name, value in vars(config).items() if name in _SHARED}
    chosen = evaluation_data.choose(EvaluateConfig(**values), detector.info)
    dataset = chosen.dataset
    _LOGGER.info("classes: %s", dataset.reading)
    folder = config.workdir / "evaluations" / f"{chosen.name}_{suite.name}"
    with Pictures(dataset, config.input.num_threads) as pictures:
        scorer = _Scorer(detector, suite, pictures, dataset.num_examples, batch_size)
        baseline = scorer.baseline()
        facts = {
            "model_id": identity.model_id(detector),
            "suite": [suite.name, suite.version, suite.seed],
            "source": repr(dataset.source),
            "pictures": list(dataset.names),
            "labels": dataset.labels.tolist(),
            "skipped": sorted(pictures.reasons),
            "matmul_precision": precision.chosen(),
        }
        kept = ConditionScores(folder, identity.digest(facts))
        own = scorer.places[shard[0] :: shard[1]]
        for place, scored in scorer.score(kept.missing(own)):
            kept.write(place, scored)
        if missing := kept.missing(scorer.places):
            _LOGGER.info(
                "%d of %d conditions are measured; the process that measures the last "
                "one writes the results",
                len(scorer.places) - len(missing),
                len(scorer.places),
            )
            return {}
        with kept.taken() as is_mine:
            if not is_mine:
                _LOGGER.info("another process writes the results")
                return {}
            found = scorer.complete(kept.read)
            evaluations = [
                evaluation_data.to_evaluation(
                    detector.info,
                    dataset,
                    own_scores,
                    pictures.reasons,
                    left_out=chosen.left_out,
                )
                for own_scores in (baseline, *found)
            ]
            summary = robustness_report.write_robustness(
                folder,
                suite,
                evaluations[0],
                evaluations[1:],
                title=chosen.title,
                config={
                    "detector": detector.info.detector,
                    "workdir": config.workdir,
                    "threshold": detector.info.threshold_origin,
                    **origin.describe(),
                },
            )
    _LOGGER.info(
        "wrote robustness.csv and two figures into %s; open %s to read them",
        folder,
        folder / "report.html",
    )
    return summary


class _Scorer:
    """Scores pictures under the conditions of a suite.

    Attributes:
        places: The conditions that are scored, by their places in the suite; others are
            mixes of these.
    """

    def __init__(
        self,
        detector: Fitted,
        suite: suites.Suite,
        pictures: Pictures,
        num_examples: int,
        batch_size: int,
    ) -> None:
        self._detector = detector
        self._suite = suite
        self._pictures = pictures
        self._num_examples = num_examples
        self._batch_size = batch_size
        self._scorer = Scorer(
            detector.log_probability_fn, parallel.data_mesh(), batch_size
        )
        batch_bytes = batch_size * math.prod(detector.info.framing.shape)
        self._num_ahead = max(_MIN_AHEAD, _AHEAD_BYTES // batch_bytes)
        self.places = [
            place
            for place, condition in enumerate(suite.conditions)
            if not _repeats_others(condition, suite)
        ]

    def baseline(self) -> Scored:
        """The scores of the pictures as they are."""
        with self._progress(1, "unperturbed") as shown:
            batches = self._to_batches(self._pictures)
            return self._score(_ahead(batches, self._num_ahead), shown)

    def score(self, places: Sequence[int]) -> Iterator[tuple[int, Scored]]:
        """Yields the scores of conditions, each with its place."""

        def prepare() -> Iterator[tuple[int, batching.Batch]]:
            for place in places:
                perturbed = self._pictures.perturbed(self._suite, place)
                for batch in self._to_batches(perturbed):
                    yield place, batch

        with self._progress(len(places), "evaluate") as shown:
            prepared = _ahead(prepare(), self._num_ahead)
            for place, group in itertools.groupby(prepared, lambda item: item[0]):
                yield place, self._score((batch for _, batch in group), shown)

    def complete(self, read: Callable[[int], Scored | None]) -> list[Scored]:
        """The scores of all conditions.

        Args:
            read: From each of `places` to its scores.
        """
        scored: dict[_Condition, Scored] = {}
        for place in self.places:
            found = read(place)
            assert found is not None
            scored[self._suite.conditions[place]] = found
        for place, condition in enumerate(self._suite.conditions):
            if isinstance(condition, Mix) and condition not in scored:
                key = self._suite.key(place)
                scored[condition] = _select(condition, scored, self._pictures, key)
        return [scored[condition] for condition in self._suite.conditions]

    def _progress(self, num_passes: int, label: str) -> progress.Progress:
        return progress.Progress(num_passes * self._num_examples, label=label)

    def _score(
        self, batches: Iterable[batching.Batch], shown: progress.Progress
    ) -> Scored:
        framing = self._detector.info.framing
        return self._scorer.score_batches(
            self._detector.variables, batches, self._num_examples, framing, shown
        )

    def _to_batches(self, numbered: _Numbered) -> Iterator[batching.Batch]:
        framing = self._detector.info.framing
        return _to_batches(numbered, framing, self._batch_size, self._pictures.pool)


def _repeats_others(condition: _Condition, suite: suites.Suite) -> bool:
    """Whether every picture of a mix equals that of another condition of the suite."""
    return isinstance(condition, Mix) and all(
        choice in suite.conditions and not choice.kind.is_random
        for choice in condition.choices
    )


def _select(
    mix: Mix, scored: dict[_Condition, Scored], pictures: Pictures, key: jax.Array
) -> Scored:
    """Takes each score of a mix from the condition that is drawn for the picture."""
    first = scored[mix.choices[0]]
    values = np.zeros_like(first.values)
    for index, picture in pictures:
        values[index] = scored[apply.draw(mix, picture, key)].values[index]
    return Scored(values, first.valid)


def _to_batches(
    numbered: _Numbered,
    framing: Framing,
    size: int,
    pool: concurrent.futures.ThreadPoolExecutor,
) -> Iterator[batching.Batch]:
    """Makes batches with each picture in the row that `mode=evaluate` gives it."""
    for _, group in itertools.groupby(numbered, lambda item: item[0] // size):
        indices, pictures = zip(*group, strict=True)
        inputs = pool.map(to_input, pictures, itertools.repeat(framing))
        rows = [batching.make_row(batching.NO_EXAMPLE, 0, None, framing)] * size
        for index, image in zip(indices, inputs, strict=True):
            rows[index % size] = batching.make_row(index, 0, image, framing)
        yield batching.stack_rows(rows)


def _ahead(items: Iterator[_Item], number: int) -> Iterator[_Item]:
    """Yields items that another thread takes up to `number` items in advance."""
    with concurrent.futures.ThreadPoolExecutor(1, "fakedet-ahead") as worker:
        waiting = collections.deque(
            worker.submit(next, items, None) for _ in range(number)
        )
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(worker.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()

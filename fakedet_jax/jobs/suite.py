# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=suite`: measures a detector on perturbed pictures.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: AUC under four perturbations.
"""

import collections
import concurrent.futures
import itertools
import logging
import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

from fakedet_jax import systems
from fakedet_jax.config import EvaluateConfig, SuiteConfig
from fakedet_jax.evaluation import data as evaluation_data
from fakedet_jax.evaluation.perturbed import Pictures
from fakedet_jax.evaluation.scoring import Scored, Scorer
from fakedet_jax.jobs import compute
from fakedet_jax.media import batching
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb import apply, suites
from fakedet_jax.perturb.perturbation import Mix, Perturbation
from fakedet_jax.report import robustness as robustness_report
from fakedet_jax.runtime import parallel, progress
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# Bytes of batches that are perturbed in advance. Some perturbations are quick and some,
# such as JPEG 2000 on one core, are slow; this many batches even out the difference.
_AHEAD_BYTES = 2**28
_MIN_AHEAD = 3

_Item = TypeVar("_Item")
_Condition = Perturbation | Mix
# Positions in the dataset, and pictures.
_Numbered = Iterable[tuple[int, np.ndarray]]


def evaluate_suite(config: SuiteConfig) -> dict[str, Any]:
    """Scores a dataset under every condition of a suite.

    Pictures are perturbed after they are decoded, before they are resized to the
    network's input. The results are written to `WORKDIR/evaluations/NAME_SUITE`; see
    `report.robustness.write_robustness`.

    Args:
        config: The settings; `suite` is a name in `suites.names()`.

    Returns:
        The content of `robustness.json`.

    Raises:
        RequestError: The settings or the data are invalid, no picture can be used, or a
            score is not finite.
    """
    compute.prepare(config.compute)
    suite = suites.create(config.suite)
    parallel.require_one_process("suite")
    mesh = parallel.data_mesh()
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    workdir = open_workdir(config.workdir)
    compute.set_up(config.compute, workdir)
    detector = systems.load(
        workdir,
        mesh,
        threshold=config.threshold,
        max_false_alarms=config.max_false_alarms,
    )
    values = {name: value for name, value in vars(config).items() if name != "suite"}
    chosen = evaluation_data.choose(EvaluateConfig(**values), detector.info)
    dataset = chosen.dataset
    _LOGGER.info("classes: %s", dataset.reading)
    scorer = Scorer(detector.log_probability_fn, mesh, batch_size)
    num_passes = 1 + len(suite.conditions)
    with (
        Pictures(dataset, config.input.num_threads) as pictures,
        progress.Progress(num_passes * dataset.num_examples, label="evaluate") as shown,
    ):

        def prepare(numbered: _Numbered) -> Iterator[batching.Batch]:
            return _to_batches(
                numbered, detector.info.framing, batch_size, pictures.pool
            )

        def prepare_all() -> Iterator[tuple[_Condition, batching.Batch]]:
            for index, condition in enumerate(suite.conditions):
                if not _repeats_others(condition, suite):
                    for batch in prepare(pictures.perturbed(suite, index)):
                        yield condition, batch

        def score(batches: Iterable[batching.Batch]) -> Scored:
            return scorer.score_batches(
                detector.variables,
                batches,
                dataset.num_examples,
                detector.info.framing,
                shown,
            )

        batch_bytes = batch_size * math.prod(detector.info.framing.shape)
        num_ahead = max(_MIN_AHEAD, _AHEAD_BYTES // batch_bytes)
        baseline = score(_ahead(prepare(pictures), num_ahead))
        scored: dict[_Condition, Scored] = {}
        prepared = _ahead(prepare_all(), num_ahead)
        by_condition = itertools.groupby(prepared, lambda item: item[0])
        for condition, group in by_condition:
            scored[condition] = score(batch for _, batch in group)
        for index, condition in enumerate(suite.conditions):
            if isinstance(condition, Mix) and condition not in scored:
                key = suite.key(index)
                scored[condition] = _select(condition, scored, pictures, key)
                shown.update(dataset.num_examples)
    evaluations = [
        evaluation_data.to_evaluation(
            detector.info,
            dataset,
            own,
            pictures.reasons,
            left_out=chosen.left_out,
        )
        for own in (baseline, *map(scored.__getitem__, suite.conditions))
    ]
    folder = config.workdir / "evaluations" / f"{chosen.name}_{suite.name}"
    summary = robustness_report.write_robustness(
        folder,
        suite,
        evaluations[0],
        evaluations[1:],
        title=chosen.title,
    )
    _LOGGER.info(
        "wrote robustness.csv, robustness.png and robustness_heatmap.png into %s",
        folder,
    )
    return summary


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

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate --suite=NAME`: measures a detector on perturbed pictures.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: AUC under four perturbations.
"""

import concurrent.futures
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from fakedet_jax import detectors, parallel, progress, report
from fakedet_jax.config import EvaluateConfig
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.data.decode import decode, to_input
from fakedet_jax.detectors.base import FittedDetector
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.jobs import evaluation_data
from fakedet_jax.perturb import apply, suites
from fakedet_jax.report import robustness as robustness_report
from fakedet_jax.scoring import Scored, Scorer

_LOGGER = logging.getLogger(__name__)

# Decoded pictures are kept for the next condition up to so many bytes; those beyond are
# decoded again for every condition.
MAX_KEPT_BYTES = 2 * 2**30

# Pictures that are decoded ahead.
_WINDOW = 64

# Pictures of which an index tells the place in the dataset.
_Numbered = Iterable[tuple[int, np.ndarray]]


def evaluate_suite(config: EvaluateConfig) -> dict[str, Any]:
    """Scores a dataset under every condition of a suite.

    Pictures are perturbed as they are decoded, before they are brought to the size of
    the network's input. Files are written to `WORKDIR/evaluations/NAME_SUITE`, as
    `report.robustness.write_robustness` says.

    Args:
        config: The settings; `suite` is a name in `suites.names()`.

    Returns:
        The content of `robustness.json`.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    suite = suites.create(config.suite)
    if jax.process_count() > 1:
        raise RequestError(
            f"--suite: expected one process, found {jax.process_count()}; run it "
            "without --distributed"
        )
    mesh = parallel.data_mesh()
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    detector = detectors.load(config.workdir, mesh)
    chosen = evaluation_data.choose(config, detector.info)
    dataset = chosen.dataset
    _check_both(dataset, range(dataset.num_examples))
    scorer = Scorer(detector.probability_fn, mesh, batch_size)
    num_passes = 1 + len(suite.conditions)
    with (
        concurrent.futures.ThreadPoolExecutor(
            config.input.num_threads, "fakedet-decode"
        ) as pool,
        progress.Progress(num_passes * dataset.num_examples, label="evaluate") as shown,
    ):
        pictures = _Pictures(dataset, pool)

        def measure(numbered: _Numbered) -> report.Evaluation:
            scored = _score(
                scorer, detector, numbered, dataset.num_examples, pool, shown
            )
            return evaluation_data.to_evaluation(
                detector.info, dataset, scored, pictures.reasons
            )

        baseline = measure(pictures)
        readable = pictures.readable
        _check_both(dataset, readable)
        evaluations = []
        for index, condition in enumerate(suite.conditions):
            perturbed = apply.apply(
                condition,
                (picture for _, picture in pictures),
                key=suite.key(index),
                mesh=mesh,
                num_threads=config.input.num_threads,
            )
            evaluations.append(measure(zip(readable, perturbed, strict=True)))
    folder = config.workdir / "evaluations" / f"{chosen.name}_{suite.name}"
    summary = robustness_report.write_robustness(
        folder,
        suite,
        baseline,
        evaluations,
        title=f"{detector.info.detector} on {chosen.data.dataset}, {config.split}",
    )
    _LOGGER.info(
        "wrote %s and %s", folder / "robustness.csv", folder / "robustness.png"
    )
    return summary


class _Pictures:
    """The readable pictures of a dataset with their indices, as often as wanted.

    Attributes:
        reasons: By index, why a picture is left out; complete after the first pass.
    """

    def __init__(
        self, dataset: Dataset, pool: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        self.reasons: dict[int, str] = {}
        self._dataset = dataset
        self._pool = pool
        self._kept: dict[int, np.ndarray] = {}
        self._num_kept_bytes = 0
        self._is_complete = False

    @property
    def readable(self) -> list[int]:
        """Indices of the pictures that are not left out."""
        indices = range(self._dataset.num_examples)
        return [index for index in indices if index not in self.reasons]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        indices = iter(self.readable)
        while window := list(itertools.islice(indices, _WINDOW)):
            loaded = self._pool.map(self._load, window)
            for index, picture in zip(window, loaded, strict=True):
                if isinstance(picture, str):
                    self._leave_out(index, picture)
                else:
                    self._keep(index, picture)
                    yield index, picture
        self._is_complete = True

    def _load(self, index: int) -> np.ndarray | str:
        """The picture, or why there is none."""
        if index in self._kept:
            return self._kept[index]
        try:
            picture = decode(self._dataset.source[index].encoded)
            apply.check_picture(picture)
        except ImageError as error:
            return str(error)
        return picture

    def _keep(self, index: int, picture: np.ndarray) -> None:
        is_new = index not in self._kept
        if is_new and self._num_kept_bytes + picture.nbytes <= MAX_KEPT_BYTES:
            self._kept[index] = picture
            self._num_kept_bytes += picture.nbytes

    def _leave_out(self, index: int, reason: str) -> None:
        if self._is_complete:  # The conditions would not be of the same pictures.
            raise RequestError(
                f"--data_dir: {self._dataset.names[index]!r} could be read at first "
                f"and then {reason}; evaluate pictures that nobody changes"
            )
        self.reasons[index] = reason


def _score(
    scorer: Scorer,
    detector: FittedDetector,
    numbered: _Numbered,
    num_examples: int,
    pool: concurrent.futures.ThreadPoolExecutor,
    shown: progress.Progress,
) -> Scored:
    """Scores pictures in the same batches, row by row, as an evaluation does."""
    framing = detector.info.framing
    size = scorer.batch_size
    table: np.ndarray | None = None
    valid = np.zeros(num_examples, np.bool_)
    for _, group in itertools.groupby(numbered, lambda item: item[0] // size):
        indices, pictures = zip(*group, strict=True)
        images = np.zeros((size, *framing.shape), np.uint8)
        inputs = pool.map(to_input, pictures, itertools.repeat(framing))
        for index, image in zip(indices, inputs, strict=True):
            images[index % size] = image
        values = scorer.score_images(detector.variables, images)
        if table is None:
            table = np.zeros((num_examples, values.shape[1]), values.dtype)
        chosen = np.array(indices)
        table[chosen] = values[chosen % size]
        valid[chosen] = True
        shown.update(len(indices))
    shown.update(int((~valid).sum()))
    if table is None:
        table = np.zeros((num_examples, 0), np.float32)
    return Scored(table, valid)


def _check_both(dataset: Dataset, indices: Sequence[int]) -> None:
    """Refuses pictures that are all real or all fake: they have no AUC."""
    found = set(dataset.fake_labels[list(indices)].tolist())
    if len(found) == 1:
        raise RequestError(
            "--dataset: expected real and fake pictures that can be read, as an AUC "
            f"needs both, found only {BINARY_CLASSES[found.pop()]} ones"
        )

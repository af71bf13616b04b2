# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a `FaceRanker` on photographs alone, and measures how well it ranks.

Faces are ranked by the settings of their cameras and told from manipulated ones; see
`ranking` for the losses and `self_supervision` for the
manipulated faces.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fakedet_jax.config import InputConfig
from fakedet_jax.data import inspection
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.bootstrap import Interval
from fakedet_jax.evaluation.scoring import PictureFn, Scorer
from fakedet_jax.media import exif
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import pretrained
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.systems import training_run
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.systems.exif_anomaly import metrics as anomaly_metrics
from fakedet_jax.systems.exif_anomaly import ranking, self_supervision
from fakedet_jax.systems.exif_anomaly.embedding import Embedding
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions
from fakedet_jax.systems.exif_anomaly.ranker import Embedder
from fakedet_jax.training import loop, steps

_LOGGER = logging.getLogger(__name__)

# Of the best states, in a workdir.
_BESTS = "embedding"

# A fresh network with the body of a trained one.
START_BODY_FROM = functools.partial(pretrained.start_from, inside="body")

# Of the manipulations that validation sees, the same in every run.
_SEED = 0


def train(
    request: FitRequest, embedder: Embedder, embedded: Embedding
) -> tuple[int, Any]:
    """Trains, or goes on training, in the workdir of a request.

    Args:
        request: The photographs: real pictures only, those of the training from
            `with_portraits`.
        embedder: The network. It starts from the weights of the plan, if any: its body,
            or all of it where a trained one is fine-tuned.
        embedded: The embedding that it gives.

    Returns:
        The best step and its variables, on the mesh.

    Raises:
        Stopped: The run was asked to stop and has saved.
        NonFiniteLossError: The training diverged.
    """
    config = request.config
    options: ExifAnomalyOptions = config.options
    assert embedded.rank is not None
    training_run.run(
        request,
        embedder.build(DTYPES[str(embedded.settings["dtype"])]),
        embedder.preprocessing,
        # Paired photographs fill two rows each.
        num_examples=request.train.num_examples * (2 if options.paired else 1),
        batches=self_supervision.train_iterator(
            request.train,
            portraits_of(request.train, config.input.num_threads),
            framing=embedded.framing,
            seed=config.seed,
            flip=options.flip,
            paired=options.paired,
            **training_run.reading(request),
        ),
        validate=_validator(request, embedded.framing, embedded.rank),
        start_from=_start_from_all if options.fine_tune else START_BODY_FROM,
        best_folder=_BESTS,
        trainable=options.trainable,
        objective=make_objective(options.manipulated_weight),
    )
    whole = parallel.replicated(request.mesh)
    abstract = checkpoint.abstract_like(embedded.abstract, whole)
    with checkpoint.Store(config.workdir / _BESTS, read_only=True) as bests:
        step = bests.steps()[-1]
        return step, bests.read_tree(step, abstract)


def with_portraits(photographs: Dataset, num_threads: int) -> Dataset:
    """Photographs with what is known of them, to be ranked.

    Args:
        photographs: The photographs.
        num_threads: Threads that read their files.

    Raises:
        RequestError: No two photographs tell the same setting.
    """
    known = portraits_of(photographs, num_threads)
    _check(photographs, known)
    return dataclasses.replace(photographs, portraits=known)


def portraits_of(photographs: Dataset, num_threads: int) -> Portraits:
    """What is known of photographs, from their files where the dataset does not say.

    Args:
        photographs: The photographs.
        num_threads: Threads that read their files.
    """
    return photographs.portraits or inspection.read_portraits(photographs, num_threads)


def make_objective(manipulated_weight: float = 1.0) -> steps.Objective:
    """The sum of the five losses, over all pairs of the global batch.

    Args:
        manipulated_weight: See `ranking.total_loss`.

    Returns:
        From the heads of a `FaceRanker`, float32 `[batch, 5]`, and targets of the same
        shape (the settings, NaN where one is missing, and last whether the face was
        manipulated) to the loss and `manipulated_accuracy`.
    """

    def objective(
        outputs: jax.Array, targets: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        tags, is_manipulated = targets[:, :-1], targets[:, -1]
        right = (outputs[:, -1] > 0) == (is_manipulated > 0)
        loss = ranking.total_loss(
            outputs, tags, is_manipulated, manipulated_weight=manipulated_weight
        )
        return loss, {"manipulated_accuracy": right.mean()}

    return objective


@dataclasses.dataclass(frozen=True)
class Ranked:
    """How well photographs are ranked, and manipulated faces found.

    Attributes:
        taus: Kendall's τ between score and setting, for each of `exif.TAGS`; None
            where fewer than two photographs tell it.
        manipulated_accuracy: Of originals and manipulated faces, half of each.
        tau_intervals: The 95 % intervals of `taus`, where they are known.
    """

    taus: dict[str, float | None]
    manipulated_accuracy: float
    tau_intervals: dict[str, Interval] = dataclasses.field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """What is defined of it, by name."""
        known = {tag: tau for tag, tau in self.taus.items() if tau is not None}
        named = {f"tau_{tag}": tau for tag, tau in known.items()}
        return {**named, "manipulated_accuracy": self.manipulated_accuracy}

    @property
    def accuracy(self) -> float:
        """The mean share of right answers over the heads; of pairs for rankings."""
        shares = [(tau + 1) / 2 for tau in self.taus.values() if tau is not None]
        return float(np.mean([*shares, self.manipulated_accuracy]))


def measure(
    scorer: Scorer,
    variables: Any,
    photographs: Dataset,
    framing: Framing,
    reading: InputConfig,
) -> Ranked | None:
    """Ranks photographs, and looks for manipulated ones among them.

    Args:
        scorer: Of the heads.
        variables: Of the network.
        photographs: Each is seen as it is, and manipulated.
        framing: Of the network's input.
        reading: How pictures are read.

    Returns:
        The outcome; None where no photograph can be read.

    Raises:
        NonFiniteLossError: The network gives what is no number.
    """
    known = portraits_of(photographs, reading.num_threads)
    both = self_supervision.with_manipulated(photographs, known, _SEED)
    scored = scorer.score_dataset(variables, both, framing, reading)
    original = scored.values[: photographs.num_examples]
    readable = scored.valid[: photographs.num_examples]
    if not readable.any():
        return None
    if not np.isfinite(scored.values).all():
        raise loop.NonFiniteLossError(
            f"the network's answers to photographs of {photographs.name} are not finite"
        )
    right = (scored.values[:, -1] > 0) == (both.labels == 1)
    shares = [
        right[scored.valid & (both.labels == label)].mean()
        for label in range(2)
        if (scored.valid & (both.labels == label)).any()
    ]
    sides = {
        tag: (original[readable, place], known.tags[readable, place])
        for place, tag in enumerate(exif.TAGS)
    }
    intervals = {
        tag: anomaly_metrics.kendall_tau_interval(*both) for tag, both in sides.items()
    }
    return Ranked(
        taus={tag: anomaly_metrics.kendall_tau(*both) for tag, both in sides.items()},
        manipulated_accuracy=float(np.mean(shares)),
        tau_intervals={tag: ends for tag, ends in intervals.items() if ends},
    )


def _start_from_all(fresh: Any, trained: Any) -> Any:
    """The variables of a trained network, those of its heads too."""
    return trained


def _validator(
    request: FitRequest, framing: Framing, rank: PictureFn
) -> Callable[[int, Any], loop.Verdict]:
    """Measures a state on held-out photographs."""
    reading, mesh = request.config.input, request.mesh
    # Tags are read from files once, not in every epoch.
    known = portraits_of(request.validation, reading.num_threads)
    photographs = dataclasses.replace(request.validation, portraits=known)
    batch_size = min(request.recipe.batch_size, 2 * photographs.num_examples)
    scorer = Scorer(rank, mesh, parallel.round_up_batch_size(batch_size, mesh))

    def validate(step: int, variables: Any) -> loop.Verdict:
        ranked = measure(scorer, variables, photographs, framing, reading)
        if ranked is None:
            raise RequestError(
                f"`dataset`: none of the {photographs.num_examples} validation "
                f"photographs of {photographs.name} can be read"
            )
        values = {**ranked.metrics, "accuracy": ranked.accuracy}
        recorded = {f"validation/{name}": value for name, value in values.items()}
        return loop.Verdict(recorded, ranked.accuracy, {"step": step, **values})

    return validate


def _check(photographs: Dataset, known: Portraits) -> None:
    """Refuses photographs that cannot be ranked, and warns of what is missing.

    Raises:
        RequestError: No two photographs tell the same setting.
    """
    num_known = (~np.isnan(known.tags)).sum(0)
    if (num_known < 2).all():
        raise RequestError(
            f"`dataset`: none of the {photographs.num_examples} training photographs "
            f"of {photographs.name} tells ISO, aperture, exposure time or focal length "
            "in its EXIF data, so that there is nothing to rank; give photographs that "
            "do, or an embedding by `pretrained` or `backbone`"
        )
    for tag, number in zip(exif.TAGS, num_known.tolist(), strict=True):
        if number < 2:
            _LOGGER.warning(
                "no two training photographs tell the %s: its head learns nothing",
                tag.replace("_", " "),
            )
        elif number < photographs.num_examples:
            _LOGGER.info(
                "%d of %d training photographs tell the %s",
                number,
                photographs.num_examples,
                tag.replace("_", " "),
            )
    num_unmarked = int(np.isnan(known.landmarks).any((1, 2)).sum())
    if num_unmarked:
        _LOGGER.warning(
            "%d of %d training photographs have no landmarks: of the manipulations "
            "they get the warp alone; `mode=prepare` with `face_detector=yunet` finds "
            "landmarks",
            num_unmarked,
            photographs.num_examples,
        )

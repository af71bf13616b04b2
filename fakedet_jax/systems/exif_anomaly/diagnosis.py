# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation tells of a detector of anomalies besides its scores.

Its log-likelihoods, its embeddings, how well its network ranks the photographs, and the
metrics as its authors count them, with real pictures as the positive class.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from fakedet_jax import report
from fakedet_jax.config import InputConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored, Scorer
from fakedet_jax.media import exif
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.systems.base import Diagnosis, DiagnosisFn
from fakedet_jax.systems.exif_anomaly import metrics as anomaly_metrics
from fakedet_jax.systems.exif_anomaly import model as anomaly_model
from fakedet_jax.systems.exif_anomaly import panels
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.systems.exif_anomaly.stored import Stored
from fakedet_jax.systems.exif_anomaly.training import Ranked

_LOGGER = logging.getLogger(__name__)

# Of the map of embeddings, evenly spread over the pictures of each class.
_MAX_MAPPED = 1000

# From how many real pictures on, and beyond which share of false alarms, the threshold
# is said not to fit.
_FEWEST_TO_WARN = 10
_MAX_FALSE_ALARMS = 0.5

# Metrics that differ when real pictures are the positive class.
_REAL_METRICS = ("precision", "recall", "f1", "average_precision")


@dataclasses.dataclass(frozen=True, eq=False)
class Looks:
    """What only the devices can tell, the same in every process.

    Attributes:
        mapped: Indices of the pictures that were embedded.
        embeddings: Their embeddings, and which of them could be read.
        ranked: How well the photographs are ranked; None where the network ranks
            nothing, or where no photograph can be read.
    """

    mapped: np.ndarray
    embeddings: Scored
    ranked: Ranked | None


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnose:
    """Looks into a trained detector; see `systems.base.DiagnoseFn`.

    Attributes:
        detector: The detector.
    """

    detector: Stored

    def __call__(
        self,
        scorer: Scorer,
        dataset: Dataset,
        reading: InputConfig,
        treatment: Treatment | None,
    ) -> DiagnosisFn:
        """Embeds pictures, ranks photographs, and draws both later.

        Args:
            scorer: See `look`.
            dataset: See `look`.
            reading: See `look`.
            treatment: See `look`.

        Returns:
            A function that completes the diagnosis.
        """
        looks = self.look(scorer, dataset, reading, treatment)

        def complete(evaluation: report.Evaluation) -> Diagnosis:
            warn_of_other_photographs(evaluation)
            return Diagnosis(
                self._facts(looks, evaluation),
                self._panels(looks, dataset, evaluation),
            )

        return complete

    def look(
        self,
        scorer: Scorer,
        dataset: Dataset,
        reading: InputConfig,
        treatment: Treatment | None = None,
    ) -> Looks:
        """Embeds pictures and ranks photographs.

        Args:
            scorer: The detector's own, whose devices and batches are used.
            dataset: The pictures.
            reading: How they are read.
            treatment: What is done to them; nothing is ranked then, as the tags are
                those of pictures that it was not done to.
        """
        embedded, variables = self.detector.embedded, self.detector.variables
        mapped = _spread(dataset.labels)
        is_treated = treatment is not None
        if treatment is not None and treatment.part_of is not None:
            part_of = treatment.part_of[mapped]
            treatment = dataclasses.replace(treatment, part_of=part_of)
        embed = Scorer(embedded.embed, scorer.mesh, scorer.batch_size)
        embeddings = embed.score_dataset(
            variables,
            dataset.subset(mapped),
            embedded.framing,
            reading,
            treatment=treatment,
        )
        ranked = None
        real = np.flatnonzero(dataset.fake_labels == 0)
        if embedded.rank is not None and len(real) and not is_treated:
            ranked = ranking_training.measure(
                Scorer(embedded.rank, scorer.mesh, scorer.batch_size),
                variables,
                dataset.subset(real),
                embedded.framing,
                reading,
            )
        return Looks(mapped, embeddings, ranked)

    def _facts(self, looks: Looks, evaluation: report.Evaluation) -> dict[str, Any]:
        """Only what the pictures define."""
        as_real = anomaly_metrics.summarize_real_positive(
            evaluation.fake,
            evaluation.scores,
            evaluation.threshold,
            evaluation.evidence,
        )
        found: dict[str, Any] = {}
        if as_real["auc"] is not None:
            found |= {f"real_{name}": as_real[name] for name in _REAL_METRICS}
        found["log_likelihood_threshold"] = self.detector.threshold
        if looks.ranked is None:
            return found
        intervals = {
            f"tau_{tag}_interval": list(ends)
            for tag, ends in looks.ranked.tau_intervals.items()
        }
        return found | looks.ranked.metrics | intervals

    def _panels(
        self, looks: Looks, dataset: Dataset, evaluation: report.Evaluation
    ) -> dict[str, report.Panel]:
        """Likelihoods, embeddings and rankings."""
        likelihoods = anomaly_model.log_likelihoods(
            evaluation.evidence, self.detector.threshold, self.detector.spread
        )
        valid = looks.embeddings.valid
        drawn = {
            "log_likelihoods": panels.likelihood_panel(
                likelihoods,
                evaluation.labels,
                self.detector.threshold,
                evaluation.classes,
                evaluation.is_fake,
            ),
            "embeddings": panels.embedding_panel(
                looks.embeddings.values[valid],
                dataset.labels[looks.mapped][valid],
                dataset.classes,
                dataset.is_fake,
            ),
        }
        if looks.ranked is not None and set(looks.ranked.taus.values()) != {None}:
            named = {exif.TITLES[tag]: tau for tag, tau in looks.ranked.taus.items()}
            panel = panels.ranking_panel(named)
            share = 100 * looks.ranked.manipulated_accuracy
            caption = (
                f"{panel.caption} Of originals and manipulated faces, half of each, it "
                f"tells {share:.1f} % apart; 50 % is chance."
            )
            drawn["camera_settings"] = panel._replace(caption=caption)
        return drawn


def warn_of_other_photographs(evaluation: report.Evaluation) -> None:
    """Warns where most real pictures are called fake: the threshold is of others."""
    called_fake = evaluation.decided[~evaluation.fake]
    if len(called_fake) >= _FEWEST_TO_WARN and called_fake.mean() > _MAX_FALSE_ALARMS:
        _LOGGER.warning(
            "%d of %d real pictures are called fake: they are unlike the photographs "
            "that the detector learnt from; fit mixture and threshold to photographs "
            "like these with `mode=train` `pretrained`",
            called_fake.sum(),
            len(called_fake),
        )


def describe(trained: Mapping[str, Any], info: DetectorInfo) -> dict[str, Any]:
    """Embedding and mixture of a detector, for the settings that the report lists.

    Args:
        trained: The content of `config.json`.
        info: What the detector says of itself.
    """
    names = ("embedder", "backbone", "covariance", "reg_covar", "false_alarm_rate")
    found = {name: trained[name] for name in names if trained.get(name) is not None}
    # The digest of the embedding is for machines.
    details = {
        name: value for name, value in info.details.items() if name != "embedding"
    }
    return {**found, **details}


def _spread(labels: np.ndarray) -> np.ndarray:
    """Indices of at most `_MAX_MAPPED` pictures of each class, in order."""
    chosen = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        number = min(len(of_class), _MAX_MAPPED)
        places = np.linspace(0, len(of_class) - 1, number).round().astype(np.int64)
        chosen.append(of_class[places])
    return np.sort(np.concatenate(chosen))

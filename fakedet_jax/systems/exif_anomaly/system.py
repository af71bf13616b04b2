# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fakes as anomalies: a mixture of what photographs of faces look like to a network.

Zou, Yu, Zhan, Ma: "Self-supervised learning for detecting AI-generated faces as
anomalies", ICASSP 2025 (arXiv 2501.02207).

A network learns from photographs alone to rank them by the settings of their cameras
and to find manipulated faces. A Gaussian mixture is then fitted to its embeddings of
the training photographs, and what is less likely than nearly all held-out photographs
is called a fake. No fake is looked at, in the training or for the threshold.

Where the released code errs the paper is followed: the threshold is set on photographs
that neither network nor mixture was fitted to, and no picture is in two splits.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import TrainConfig
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.scoring import ProbabilityFn, Scorer
from fakedet_jax.runtime import checkpoint, parallel, text
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.systems.base import (
    AnomalyParts,
    DetectorInfo,
    FitRequest,
    FittedDetector,
    refuse,
)
from fakedet_jax.systems.exif_anomaly import (
    embedding,
)
from fakedet_jax.systems.exif_anomaly import (
    model as anomaly_model,
)
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.exif_anomaly import (
    stored as anomaly_workdir,
)
from fakedet_jax.systems.exif_anomaly import (
    training as ranking_training,
)
from fakedet_jax.systems.exif_anomaly.embedding import Embedding
from fakedet_jax.systems.exif_anomaly.model import AnomalyModel
from fakedet_jax.training import optim
from fakedet_jax.weights import folder as weights_folder
from fakedet_jax.weights import store

_LOGGER = logging.getLogger(__name__)

# Pictures that are embedded at a time.
_EMBED_BATCH = 64


@dataclasses.dataclass(frozen=True)
class ExifAnomaly:
    """The detector. Classes are real and fake whatever the dataset has.

    Attributes:
        name: As the setting `detector` names it.
        recipe: The published way to train the network.
        needs_fakes: See `Detector`.
    """

    name: str
    recipe: optim.Recipe
    needs_fakes: bool = False

    def check(self, config: TrainConfig, recipe: optim.Recipe, mesh: Mesh) -> None:
        """Refuses settings that `fit` could not follow.

        Raises:
            RequestError: A setting is wrong.
        """
        refuse(
            config,
            ("neuron", "site", "widths", "cache_dir"),
            f"{self.name} counts no neurons",
        )
        refuse(
            config,
            ("num_microbatches",),
            f"{self.name} compares all faces of a batch with each other",
        )
        refuse(
            config,
            ("batch_norm_fraction", "perturb", "perturb_copies", "select_by"),
            f"{self.name} has no such setting",
        )
        anomaly_model.check(config)
        if config.pretrained is not None:
            refuse(
                config,
                ("backbone", "weights", "dtype"),
                "`pretrained` brings the embedding",
            )
            _refuse_training(config, "`pretrained` brings the embedding")
            anomaly_workdir.read_pretrained(config.pretrained, self.name)
            return
        embedding.create(vars(config))
        if config.backbone is not None:
            _refuse_training(config, "`backbone` is the embedding")
            if config.weights is None:
                raise RequestError(
                    f"`weights`: `backbone={config.backbone}` needs its weights; name "
                    "a published file, or a folder that `mode=convert` wrote"
                )
            return
        parallel.local_batch_size(recipe.batch_size, mesh)
        optim.create_optimizer(recipe, num_steps=1)
        if config.weights is not None:
            self._initial_weights(config)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """The photographs, with their camera settings where a network ranks them.

        Raises:
            RequestError: There are no photographs, or fewer than components, or they
                tell no camera settings.
        """
        photographs = _photographs(train, "training")
        _photographs(validation, "validation")
        anomaly_model.check_number(photographs.num_examples, config)
        if config.pretrained is None and config.backbone is None:
            return ranking_training.with_portraits(
                photographs, config.input.num_threads
            )
        return photographs

    def settings(self, config: TrainConfig) -> dict[str, Any]:
        """What decides the result besides the common settings, for `config.json`."""
        weights = pretrained = None
        named: dict[str, Any] = vars(config)
        if config.pretrained is not None:
            named, info = anomaly_workdir.read_pretrained(config.pretrained, self.name)
            pretrained = info.details.get("embedding")
        elif config.backbone is not None:
            assert config.weights is not None
            backbone = embedding.backbones.create(config.backbone)
            weights = store.load(backbone, config.weights)[1]["digest"]
        elif config.weights is not None:
            weights = self._initial_weights(config)[1]["digest"]
        return {
            **embedding.create(named).settings,
            "weights": weights,
            "pretrained": pretrained,
            "paired": config.paired,
            "manipulated_weight": config.manipulated_weight,
            "covariance": config.covariance,
            "num_components": list(config.num_components),
            "num_restarts": config.num_restarts,
            "reg_covar": config.reg_covar,
            "false_alarm_rate": config.false_alarm_rate,
        }

    def fit(self, request: FitRequest) -> None:
        """Trains the network, fits the mixture, sets the threshold.

        A run that was stopped while the network was trained goes on there. The mixture
        takes minutes at most and is fitted anew.

        Raises:
            RequestError: Settings, weights or photographs are not as expected.
            Stopped: The run was asked to stop.
            NonFiniteLossError: The training diverged.
        """
        config, mesh = request.config, request.mesh
        self.check(config, request.recipe, mesh)
        with checkpoint.Store(config.workdir / "best", max_to_keep=None) as bests:
            if bests.steps():
                _LOGGER.info("%s is trained already", config.workdir)
                return
            photographs = dataclasses.replace(
                request,
                validation=_photographs(request.validation, "validation"),
            )
            embedded, step, variables = self._embedding(photographs)
            if signum := parallel.agree_on_maximum(request.stop.signum or 0):
                raise Stopped(signum)
            digest = weights_folder.digest(jax.tree.map(parallel.to_host, variables))
            scorer = Scorer(
                embedded.embed, mesh, parallel.round_up_batch_size(_EMBED_BATCH, mesh)
            )
            rows = {
                split: _embed(scorer, variables, dataset, embedded, request)
                for split, dataset in (
                    ("train", photographs.train),
                    ("validation", photographs.validation),
                )
            }
            _LOGGER.info(
                "fitting a mixture to %d photographs, %d features each",
                *rows["train"].shape,
            )
            fitted = anomaly_model.fit(rows["train"], rows["validation"], config, mesh)
            _warn_of_few(fitted, config.false_alarm_rate)
            info = self._describe(embedded, step, digest, fitted, config)
            probability_fn = _probability_fn(embedded, fitted.threshold, fitted.spread)
            together = {
                "network": variables,
                "mixture": parallel.replicate(mesh, fitted.mixture),
            }
            info = _with_validation(info, request, together, probability_fn)
            if jax.process_index() == 0:
                # The best state is what tells that all is there, so it comes last.
                anomaly_workdir.save_mixture(config.workdir, fitted.mixture, info)
            bests.save(step, variables, dataclasses.asdict(info))

    def load(self, workdir: Path, mesh: Mesh) -> FittedDetector:
        """Loads the detector of a workdir; raises as `anomaly_workdir.load`."""
        stored = anomaly_workdir.load(workdir, mesh)
        embedded, threshold, spread = stored.embedded, stored.threshold, stored.spread
        return FittedDetector(
            stored.info,
            {
                "network": stored.variables,
                "mixture": parallel.replicate(mesh, stored.mixture),
            },
            _probability_fn(embedded, threshold, spread),
            AnomalyParts(
                embed=_of_network(embedded.embed),
                rank=None if embedded.rank is None else _of_network(embedded.rank),
                threshold=threshold,
                spread=spread,
            ),
        )

    def _embedding(self, request: FitRequest) -> tuple[Embedding, int, Any]:
        """The embedding, the step it is of, and its variables on the mesh."""
        config, mesh = request.config, request.mesh
        if config.pretrained is not None:
            stored = anomaly_workdir.load(config.pretrained, mesh)
            return stored.embedded, stored.info.step, stored.variables
        named = embedding.create(vars(config))
        if config.backbone is not None:
            assert config.weights is not None
            backbone = embedding.backbones.create(config.backbone)
            variables, _ = store.load(backbone, config.weights)
            return named, 0, parallel.replicate(mesh, variables)
        weights = None
        if config.weights is not None:
            weights, _ = self._initial_weights(config)
        embedder = face_ranker.create(str(named.settings["embedder"]))
        step, variables = ranking_training.train(request, embedder, weights)
        return named, step, variables

    def _initial_weights(self, config: TrainConfig) -> tuple[Any, dict[str, Any]]:
        embedder = face_ranker.create(config.embedder or embedding.DEFAULT)
        if embedder.pretrained is None or config.weights is None:
            raise RequestError(
                f"`weights`: `embedder={embedder.name}` starts from no published "
                "weights; leave it out"
            )
        return store.load(embedder.pretrained, config.weights)

    def _describe(
        self,
        embedded: Embedding,
        step: int,
        digest: str,
        fitted: AnomalyModel,
        config: TrainConfig,
    ) -> DetectorInfo:
        return DetectorInfo(
            detector=self.name,
            classes=BINARY_CLASSES,
            is_fake=(False, True),
            task="binary",
            framing=embedded.framing,
            threshold=anomaly_model.THRESHOLD,
            threshold_origin=(
                f"{fitted.false_alarm_rate:.1%} of the {fitted.num_held_out} held-out "
                f"photographs are called fake at the threshold; "
                f"{config.false_alarm_rate:.1%} were asked for. No fake was looked at."
            ),
            step=step,
            details={
                "embedding": digest,
                "num_components": fitted.mixture.num_components,
                "log_likelihood_threshold": fitted.threshold,
                "log_likelihood_spread": fitted.spread,
                "num_held_out": fitted.num_held_out,
            },
        )


def _refuse_training(config: TrainConfig, reason: str) -> None:
    """Refuses settings of the network's training, where there is none."""
    refuse(config, ("embedder", "paired", "manipulated_weight", "flip"), reason)
    for name in config.recipe:
        raise RequestError(
            f"`{name}`: {reason}, so that no network is trained; leave it out"
        )


def _photographs(dataset: Dataset, kind: str) -> Dataset:
    """The real pictures of a dataset.

    Raises:
        RequestError: There is none.
    """
    real = np.flatnonzero(dataset.fake_labels == 0)
    if not len(real):
        raise RequestError(
            f"`dataset`: {dataset.name} has no real {kind} pictures; the detector "
            "learns from photographs, so add some"
        )
    return dataset.subset(real)


def _embed(
    scorer: Scorer,
    variables: Any,
    photographs: Dataset,
    embedded: Embedding,
    request: FitRequest,
) -> np.ndarray:
    """Embeddings of the photographs that can be read, float32 `[n, d]`.

    Raises:
        RequestError: None can be read.
    """
    scored = scorer.score_dataset(
        variables,
        photographs,
        embedded.framing,
        request.config.input,
        label=f"embed {photographs.split}",
    )
    if not scored.valid.any():
        raise RequestError(
            f"`dataset`: none of the {photographs.num_examples} photographs of "
            f"{photographs.name}, split {photographs.split}, can be read"
        )
    return scored.values[scored.valid]


def _of_network(picture_fn: Any) -> Any:
    """A function of the network's variables as one of the whole detector's."""
    return lambda variables, images: picture_fn(variables["network"], images)


def _probability_fn(
    embedded: Embedding, threshold: float, spread: float
) -> ProbabilityFn:
    def probabilities(variables: Any, images: jax.Array) -> jax.Array:
        rows = embedded.embed(variables["network"], images)
        fake = anomaly_model.score(variables["mixture"], threshold, spread, rows)
        return jnp.stack([1 - fake, fake], axis=-1)

    return probabilities


def _with_validation(
    info: DetectorInfo,
    request: FitRequest,
    variables: Any,
    probability_fn: ProbabilityFn,
) -> DetectorInfo:
    """Adds what the detector makes of validation pictures, where some are fake."""
    dataset = request.validation.as_binary()
    if len(set(dataset.labels.tolist())) < 2:
        return info
    batch_size = parallel.round_up_batch_size(_EMBED_BATCH, request.mesh)
    scored = Scorer(probability_fn, request.mesh, batch_size).score_dataset(
        variables, dataset, info.framing, request.config.input
    )
    labels = dataset.labels[scored.valid]
    scores = info.scores(scored.values[scored.valid])
    values = {"accuracy": float(np.mean((scores >= info.threshold) == labels))}
    auc = metrics.auc(labels, scores)
    if auc is not None:
        values["auc"] = auc
    return dataclasses.replace(info, validation=values)


def _warn_of_few(fitted: AnomalyModel, rate: float) -> None:
    if fitted.num_held_out * rate < 5:
        _LOGGER.warning(
            "the threshold rests on %s, held out, too few to know a false alarm rate "
            "of %.1f %%; hold out more photographs for validation",
            text.counted(fitted.num_held_out, "photograph"),
            100 * rate,
        )

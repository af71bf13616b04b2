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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.evaluation.info import DetectorInfo, kept_log_odds
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.models import pretrained
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import checkpoint, parallel, text
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.systems import training_run
from fakedet_jax.systems.base import (
    Benchmark,
    FitRequest,
    Fitted,
    Plan,
    read_info,
    refuse,
)
from fakedet_jax.systems.exif_anomaly import diagnosis, embedding, stored
from fakedet_jax.systems.exif_anomaly import model as anomaly_model
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.systems.exif_anomaly.embedding import Embedding
from fakedet_jax.systems.exif_anomaly.model import AnomalyModel
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions
from fakedet_jax.systems.exif_anomaly.ranker import Embedder
from fakedet_jax.systems.features import embedding_feature
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.weights import folder as weights_folder
from fakedet_jax.weights import store
from fakedet_jax.workdir import Workdir

_LOGGER = logging.getLogger(__name__)

# Pictures that are embedded at a time.
_EMBED_BATCH = 64


# Section 4.1 of the paper.
_RECIPE = Recipe(
    optimizer="torch_adam",
    learning_rate=1e-5,
    schedule="cosine",
    final_learning_rate=1e-7,
    adam_beta2=0.98,
    adam_epsilon=1e-6,
    weight_decay=1e-4,
    batch_size=256,
    num_epochs=10,
)


@dataclasses.dataclass(frozen=True)
class ExifAnomaly:
    """The detector. Classes are real and fake whatever the dataset has."""

    name: str = "exif_anomaly"
    Options: type[ExifAnomalyOptions] = ExifAnomalyOptions
    recipe: Recipe = _RECIPE
    needs_fakes: bool = False
    can_go_on: bool = False
    pretrained: Backbone | None = pretrained.RESNET50
    published: None = None

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Reads the weights that the embedding starts from, or consists of.

        Raises:
            RequestError: Settings contradict each other, or weights do not fit.
        """
        options: ExifAnomalyOptions = config.options
        if options.pretrained is not None:
            return self._plan_from(options.pretrained, config, recipe, mesh)
        if options.fine_tune:
            raise RequestError(
                "`fine_tune`: expected the workdir of a trained network as "
                "`pretrained`, found none; name one, or leave it out"
            )
        named = embedding.create(vars(options)).settings
        if options.backbone is not None:
            _refuse_training(config, "`backbone` is the embedding")
            network: Backbone | None = embedding.backbones.create(options.backbone)
        else:
            network = _check_training(named, config, recipe, mesh).pretrained
        if options.weights is None and options.backbone is None:
            return Plan({**named, "weights": None, "pretrained": None})
        if network is None:
            raise RequestError(
                f"`weights`: `embedder={named['embedder']}` starts from no published "
                "weights; leave it out"
            )
        weights, card = store.load(network, options.weights)
        digest = card["digest"]
        return Plan({**named, "weights": digest, "pretrained": None}, weights)

    def _plan_from(
        self, workdir: Path, config: TrainConfig, recipe: Recipe, mesh: Mesh
    ) -> Plan:
        """The plan of a run that takes, or trains further, the network of another."""
        options: ExifAnomalyOptions = config.options
        reason = "`pretrained` brings the embedding"
        refuse(options, ("backbone", "weights", "dtype"), reason)
        if options.fine_tune:
            refuse(options, ("embedder",), reason)
        else:
            _refuse_training(config, reason)
        earlier = stored.open_pretrained(workdir, self.name)
        digest = read_info(earlier).details.get("embedding")
        named = embedding.of_workdir(earlier).settings
        weights = None
        if options.fine_tune:
            if named["backbone"] is not None:
                raise RequestError(
                    "`fine_tune`: expected a network that was trained to rank "
                    f"photographs, found the backbone {named['backbone']} in "
                    f"{str(workdir)!r}; leave it out"
                )
            _check_training(named, config, recipe, mesh)
            found = stored.load(earlier, mesh).variables
            weights = jax.tree.map(parallel.to_host, found)
        return Plan({**named, "weights": None, "pretrained": digest}, weights)

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
        options: ExifAnomalyOptions = config.options
        anomaly_model.check_number(photographs.num_examples, options)
        if _is_ranking(options):
            return ranking_training.with_portraits(
                photographs, config.input.num_threads
            )
        return photographs

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
        options: ExifAnomalyOptions = config.options
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
            rows, held_out = (
                _embed(scorer, variables, dataset, embedded, request)
                for dataset in (photographs.train, photographs.validation)
            )
            _LOGGER.info(
                "fitting a mixture to %d photographs, %d features each",
                *rows.shape,
            )
            fitted = anomaly_model.fit(rows, held_out, options, config.seed, mesh)
            _warn_of_few(fitted, options.false_alarm_rate)
            detector = self.detector(
                embedded, variables, fitted, options, step=step, digest=digest
            )
            info = _with_validation(detector, request)
            if jax.process_index() == 0:
                # The best state is what tells that all is there, so it comes last.
                stored.save_mixture(config.workdir, fitted.mixture, info)
            bests.save(step, variables, dataclasses.asdict(info))

    def load(self, workdir: Workdir, mesh: Mesh) -> Fitted:
        """Loads the detector of a workdir; raises as `stored.load`."""
        found = stored.load(workdir, mesh)
        return Fitted(
            found.info,
            found.all_variables(mesh),
            found.log_probabilities,
            features={
                "embedding": embedding_feature(
                    found.embedded.embed,
                    found.variables,
                    found.info.framing,
                    {"embedding": str(found.info.details["embedding"])},
                )
            },
            diagnose=diagnosis.Diagnose(found),
            settings=diagnosis.describe(workdir.record, found.info),
        )

    def benchmark(self, config: BenchmarkConfig, mesh: Mesh) -> Benchmark:
        """Measures learning to rank, embedding and the mixture."""
        from fakedet_jax.systems.exif_anomaly.benchmark import AnomalyBenchmark

        return AnomalyBenchmark(config, self, mesh)

    def programs(self, request: ProgramRequest) -> Programs:
        """Training to rank, class probabilities, a pass of the mixture's fit."""
        from fakedet_jax.systems.exif_anomaly import programs

        return programs.create(self, request)

    def detector(
        self,
        embedded: Embedding,
        variables: Any,
        fitted: AnomalyModel,
        options: ExifAnomalyOptions,
        *,
        step: int,
        digest: str,
    ) -> stored.Stored:
        """The detector that a fit ends with.

        Args:
            embedded: Its embedding.
            variables: Of the embedding's network: arrays, or their shapes.
            fitted: The mixture, likewise, and the threshold.
            options: Of the training.
            step: Of the network's training.
            digest: Of the variables.
        """
        info = self._describe(embedded, step, digest, fitted, options)
        return stored.Stored(
            info, embedded, variables, fitted.mixture, fitted.threshold, fitted.spread
        )

    def _embedding(self, request: FitRequest) -> tuple[Embedding, int, Any]:
        """The embedding, the step it is of, and its variables on the mesh."""
        options, mesh = request.config.options, request.mesh
        if options.pretrained is not None and not options.fine_tune:
            earlier = stored.open_pretrained(options.pretrained, self.name)
            found = stored.load(earlier, mesh)
            return found.embedded, found.info.step, found.variables
        named = embedding.create(request.plan.record)
        if options.backbone is not None:
            return named, 0, parallel.replicate(mesh, request.plan.weights)
        embedder = face_ranker.create(str(named.settings["embedder"]))
        step, variables = ranking_training.train(request, embedder, named)
        return named, step, variables

    def _describe(
        self,
        embedded: Embedding,
        step: int,
        digest: str,
        fitted: AnomalyModel,
        options: ExifAnomalyOptions,
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
                f"{options.false_alarm_rate:.1%} were asked for. No fake was looked at."
            ),
            step=step,
            **kept_log_odds(fitted.held_out_log_odds),
            details={
                "embedding": digest,
                "num_components": fitted.mixture.num_components,
                "log_likelihood_threshold": fitted.threshold,
                "log_likelihood_spread": fitted.spread,
                "num_held_out": fitted.num_held_out,
            },
        )


def _is_ranking(options: ExifAnomalyOptions) -> bool:
    """Whether a network learns to rank the photographs."""
    is_taken = options.pretrained is not None and not options.fine_tune
    return not is_taken and options.backbone is None


def _check_training(
    named: Mapping[str, str | None], config: TrainConfig, recipe: Recipe, mesh: Mesh
) -> Embedder:
    """The network that is trained, once its batch and what is trained are found fit.

    Raises:
        RequestError: They are not.
    """
    parallel.local_batch_size(recipe.batch_size, mesh)
    embedder = face_ranker.create(str(named["embedder"]))
    training_run.check_trainable(
        embedder.build(DTYPES[str(named["dtype"])]),
        embedder.preprocessing,
        config.options.trainable,
    )
    return embedder


def _refuse_training(config: TrainConfig, reason: str) -> None:
    """Refuses settings of the network's training, where there is none."""
    fields = ("embedder", "paired", "manipulated_weight", "flip", "trainable")
    refuse(config.options, fields, reason)
    if config.profile is not None:
        raise RequestError(
            f"`profile_dir`: {reason}, so that no step is traced; leave it out"
        )
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


def _with_validation(detector: stored.Stored, request: FitRequest) -> DetectorInfo:
    """Adds what the detector makes of validation pictures, where some are fake."""
    info, mesh = detector.info, request.mesh
    dataset = request.validation.as_binary()
    if len(set(dataset.labels.tolist())) < 2:
        return info
    batch_size = parallel.round_up_batch_size(_EMBED_BATCH, mesh)
    scored = Scorer(detector.log_probabilities, mesh, batch_size).score_dataset(
        detector.all_variables(mesh), dataset, info.framing, request.config.input
    )
    labels = dataset.labels[scored.valid]
    evidence = info.log_odds(scored.values[scored.valid])
    decided = metrics.decide(log_odds.scores(evidence), info.threshold)
    values = {"accuracy": float(np.mean(decided == labels))}
    auc = metrics.auc(labels, evidence)
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


SYSTEM = ExifAnomaly()

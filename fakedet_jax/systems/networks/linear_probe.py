# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A linear layer on the embeddings of a frozen encoder (UniversalFakeDetect).

The published encoder is CLIP ViT-L/14, of which the projected class token is classified
by one layer with one output; pictures are resized to 256 pixels and cropped to 224. The
loss, the update rule and the initial values are those of the authors' code.

As the encoder is frozen, each picture goes through it once, and its embedding is
cached. So the authors' blur, JPEG and random crops of training pictures are left out:
pictures are seen as they are and mirrored. The authors divide the rate by ten when
validation stalls; here it is constant, and the best epoch is kept.

References:
    Ojha, Li, Lee: "Towards universal fake image detectors that generalize across
    generative models", CVPR 2023 (arXiv 2302.10174).
"""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.evaluation.scoring import Scored, Scorer
from fakedet_jax.models import backbones, evidence, resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.systems import table_run
from fakedet_jax.systems.base import FitRequest, Plan
from fakedet_jax.systems.feature_cache import FeatureCache
from fakedet_jax.systems.networks import headed
from fakedet_jax.systems.networks.options import LinearProbeOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.systems.options import PictureOptions
from fakedet_jax.training import steps
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.weights import store

# The encoder of those who name none.
PUBLISHED = "clip_vit_l14"
# Pictures are resized to 256 pixels before 224 of them are cut out.
CENTRAL_SHARE = 224 / 256

_KERNEL_INIT = nn.initializers.normal(0.02)
# Pictures that go through the encoder at a time.
_EMBED_BATCH = 32
_RECIPE = Recipe(optimizer="adam", learning_rate=1e-4, batch_size=256, num_epochs=100)


class Probe(nn.Module):
    """The linear layer alone, of embeddings `[batch, features]`: logits `[batch]`."""

    @nn.compact
    def __call__(self, embeddings: jax.Array) -> jax.Array:
        """Evidence of a fake."""
        found = resnet.linear(embeddings, 1, headed.HEAD, kernel_init=_KERNEL_INIT)
        return found[:, 0]


def _log_probabilities(params: Any, embeddings: jax.Array) -> jax.Array:
    """Of real and fake, float32 `[batch, 2]`."""
    found = jnp.asarray(Probe().apply({"params": params}, embeddings))
    return jax.nn.log_softmax(evidence.to_logits(found[:, None]))


@dataclasses.dataclass(frozen=True)
class LinearProbe(NetworkDetector):
    """The detector. Classes are real and fake whatever the dataset has."""

    can_go_on: bool = False

    @property
    def backbone(self) -> Backbone:
        """The encoder."""
        assert self.pretrained is not None
        return self.pretrained

    def check(self, options: PictureOptions, recipe: Recipe, mesh: Mesh) -> None:
        """Refuses batches that cannot be cut, where nothing is cached."""
        del options
        parallel.local_batch_size(recipe.batch_size, mesh)

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Reads the weights of the encoder.

        Raises:
            RequestError: They are not named, or do not fit, or steps are to be traced.
        """
        del recipe, mesh  # The batches of the linear layer are not cut.
        table_run.check(config, "embeddings")
        weights, card = store.load(self.backbone, config.options.weights)
        return Plan({**self.architecture, "weights": card["digest"]}, weights)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them, each as often as it is there.

        Raises:
            RequestError: There are too few for the parts asked for.
        """
        del validation
        table_run.check_pictures(config, train)
        return train

    def fit(self, request: FitRequest) -> None:
        """Embeds the pictures, or reads their embeddings from the cache, and trains.

        A run that was stopped while it embedded goes on there.

        Raises:
            RequestError: The pictures are not as expected.
            Stopped: The run was asked to stop; what was embedded is in the cache.
            NonFiniteLossError: The training diverged.
        """
        table_run.fit(
            request,
            self.name,
            self.framing,
            lambda train, validation: self._prepare(request, train, validation),
        )

    def trained_model(self, num_classes: int, options: PictureOptions) -> nn.Module:
        """Its network, for a training without a cache."""
        return self.model(num_classes, options.dtype)

    def step_options(self, options: PictureOptions) -> dict[str, Any]:
        """How the linear layer is trained where nothing is cached."""
        del options
        return {
            "trainable": self.trainable,
            "objective": steps.classification(self.loss),
        }

    def _prepare(
        self, request: FitRequest, train: Dataset, validation: Dataset
    ) -> table_run.Task:
        options: LinearProbeOptions = request.config.options
        embeddings = _Embeddings(self, request)
        rows = table_run.training_rows(
            lambda side: embeddings.of(train, mirrored=side), train, options.flip
        )
        return table_run.Task(
            Probe(),
            rows,
            embeddings.of(validation, mirrored=False),
            log_probabilities=jax.jit(_log_probabilities),
            complete=lambda params: headed.with_head(
                request.plan.weights, params[headed.HEAD]
            ),
        )


class _Embeddings:
    """Embeddings of datasets, from the cache where they are there."""

    def __init__(self, detector: LinearProbe, request: FitRequest) -> None:
        config, options = request.config, request.config.options
        self._detector, self._request = detector, request
        self._network = detector.backbone.build(DTYPES[options.dtype], "layer")
        self._cache = FeatureCache(
            options.cache_dir,
            {
                "backbone": detector.backbone.name,
                "weights": str(request.plan.record["weights"]),
                "dtype": options.dtype,
            },
            detector.preprocessing,
            num_threads=config.input.num_threads,
            check=table_run.stopping(request.stop),
        )
        self._scorers: dict[bool, Scorer] = {}

    @functools.cached_property
    def _variables(self) -> Any:
        """On the devices, once something has to be embedded."""
        return parallel.replicate(self._request.mesh, self._request.plan.weights)

    def of(self, dataset: Dataset, *, mirrored: bool) -> Scored:
        """Float32 `[num_examples, features]`, the same in every process."""
        shapes = store.abstract(self._detector.backbone)
        pictures = jax.ShapeDtypeStruct((1, *self._detector.framing.shape), jnp.uint8)
        row = platforms.eval_shape(self._embed, shapes, pictures)
        return self._cache.rows(
            "embeddings",
            dataset,
            np.zeros((0, *row.shape[1:]), np.float32),
            lambda part: self._compute(part, mirrored),
            doing="embedding",
            mirrored=mirrored,
        )

    def _embed(self, variables: Any, images: jax.Array) -> jax.Array:
        preprocessing = self._detector.preprocessing
        return headed.embed(self._network, preprocessing, variables, images)

    def _compute(self, part: Dataset, mirrored: bool) -> Scored:
        if mirrored not in self._scorers:
            mesh = self._request.mesh

            def mirror(variables: Any, images: jax.Array) -> jax.Array:
                return self._embed(variables, images[:, :, ::-1])

            self._scorers[mirrored] = Scorer(
                mirror if mirrored else self._embed,
                mesh,
                parallel.round_up_batch_size(_EMBED_BATCH, mesh),
            )
        return self._scorers[mirrored].score_dataset(
            self._variables, part, self._detector.framing, self._request.config.input
        )


def create(options: LinearProbeOptions | None = None) -> LinearProbe:
    """A linear probe of an encoder or of a face-recognition network.

    Args:
        options: Name the network; None for the published one.

    Raises:
        RequestError: There is none of that name.
    """
    chosen = options and options.backbone
    backbone = backbones.create(chosen or PUBLISHED)
    preprocessing = headed.cropped(backbone, CENTRAL_SHARE)

    def build(num_classes: int, dtype: Any) -> headed.Headed:
        return headed.Headed(
            backbone.build(dtype, "layer"),
            evidence.num_outputs(num_classes),
            kernel_init=_KERNEL_INIT,
        )

    network = backbone.build(jnp.float32, "layer")
    return LinearProbe(
        name="linear_probe",
        build=build,
        preprocessing=preprocessing,
        recipe=_RECIPE,
        trainable=headed.HEAD_PATTERN,
        pretrained=backbone,
        start_from=headed.start_from,
        published=Published(
            (Layer(headed.HEAD, "dense", torch="fc", bias=True),),
            encoder=backbone,
        ),
        features=functools.partial(headed.features, network, preprocessing),
        Options=LinearProbeOptions,
        architecture={"backbone": backbone.name},
    )

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

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.models import backbones, evidence, resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.systems import table_run
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.systems.networks import cached, headed
from fakedet_jax.systems.networks.options import LinearProbeOptions
from fakedet_jax.training.recipe import Recipe

# The encoder of those who name none.
PUBLISHED = "clip_vit_l14"
# Pictures are resized to 256 pixels before 224 of them are cut out.
CENTRAL_SHARE = 224 / 256

_KERNEL_INIT = nn.initializers.normal(0.02)
_RECIPE = Recipe(optimizer="adam", learning_rate=1e-4, batch_size=256, num_epochs=100)


class Probe(nn.Module):
    """The linear layer alone, of embeddings `[batch, features]`: logits `[batch]`."""

    @nn.compact
    def __call__(self, embeddings: jax.Array) -> jax.Array:
        """Evidence of a fake."""
        found = resnet.linear(embeddings, 1, headed.HEAD, kernel_init=_KERNEL_INIT)
        return found[:, 0]


@dataclasses.dataclass(frozen=True)
class LinearProbe(cached.CachedDetector):
    """The detector. Classes are real and fake whatever the dataset has."""

    needs_weights: bool = True
    sees: str = "embeddings"

    @property
    def backbone(self) -> Backbone:
        """The encoder."""
        assert self.pretrained is not None
        return self.pretrained

    def task(
        self, request: FitRequest, train: Dataset, validation: Dataset
    ) -> table_run.Task:
        """A linear layer on the embeddings of the encoder."""
        options: LinearProbeOptions = request.config.options
        weights = request.plan.weights
        network = self.backbone.build(DTYPES[options.dtype], "layer")
        embeddings = cached.Features(
            request,
            self,
            functools.partial(headed.embed, network, self.preprocessing),
            what="embeddings",
            doing="embedding",
            variables=weights,
            described={
                "backbone": self.backbone.name,
                "weights": str(request.plan.record["weights"]),
                "dtype": options.dtype,
            },
        )
        rows = table_run.training_rows(
            lambda side: embeddings.of(train, mirrored=side), train, options.flip
        )
        model = Probe()
        return table_run.Task(
            model,
            rows,
            embeddings.of(validation, mirrored=False),
            log_probabilities=cached.log_probability_fn(model),
            complete=lambda params: headed.with_head(weights, params[headed.HEAD]),
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

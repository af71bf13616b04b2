# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training options of detectors that are one network."""

import dataclasses

from fakedet_jax.config import BackboneConfig
from fakedet_jax.settings import option
from fakedet_jax.systems.options import (
    LoopOptions,
    PerturbCopiesOptions,
    PictureOptions,
    SelectionOptions,
    TableOptions,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions(
    PictureOptions, SelectionOptions, LoopOptions, PerturbCopiesOptions
):
    """What every network detector can be asked for."""

    batch_norm_fraction: float | None = option(
        None,
        "Share of their old value that the running statistics of batch "
        "normalisation keep at each step; by default that of the published network. "
        "Short runs need a smaller share.",
        above=0,
        below=1,
    )
    num_microbatches: int = option(
        1, "Parts of a batch that are computed one by one, to save memory.", minimum=1
    )
    self_blended: float | None = option(
        None,
        "Share of the real training pictures that are shown as fakes, each blended "
        "with an altered copy of itself; drawn anew in every epoch.",
        above=0,
        below=1,
    )

    balance: str = option(
        "none",
        "What is drawn equally often: classes, and those that were merged into one; "
        "folders, also the folders within these; or none, each picture once an epoch.",
        choices=("none", "classes", "folders"),
    )
    weight_averaging: float | None = option(
        None,
        "Decay, such as 0.99, of an exponential moving average of the network's "
        "variables over the steps, which is validated and kept in their place.",
        above=0,
        below=1,
    )

    @property
    def makes_fakes(self) -> bool:
        """Whether some are made of the real pictures."""
        return self.self_blended is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmtenNetOptions(NetworkOptions):
    """AMTENnet has ablations, and other residual layers in the place of AMTEN."""

    amten_variant: str | None = option(
        None,
        "Ablation: amten_1 to amten_6, amtennet_7, amtennet_8 or model_base.",
        is_architecture=True,
    )
    residual: str | None = option(
        None,
        "Residual layer in AMTEN's place: hand_crafted, srm or constrained.",
        is_architecture=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearProbeOptions(BackboneConfig, PictureOptions, TableOptions):
    """What the training of a linear layer on cached embeddings can be asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockDctOptions(PictureOptions, TableOptions):
    """What the training of two layers on cached scales can be asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GendOptions(BackboneConfig, NetworkOptions):
    """GenD can tune any image encoder; its added losses have weights."""

    uniformity: float = option(
        0.5, "Weight of the loss that spreads embeddings over the sphere.", minimum=0
    )
    alignment: float = option(
        0.1, "Weight of the loss that draws embeddings of a class together.", minimum=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommunityForensicsOptions(NetworkOptions):
    """Community Forensics was published for two sizes of inputs."""

    input_side: int | None = option(
        None,
        "Side of the network's input, 384 (the default) or 224 pixels.",
        choices=(384, 224),
        is_architecture=True,
    )

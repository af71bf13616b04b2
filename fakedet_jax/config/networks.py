# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A face-recognition network, and what is counted in it."""

import dataclasses
from pathlib import Path

from fakedet_jax.config.compute import DTYPES
from fakedet_jax.settings import Settings, option


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Settings):
    """A face-recognition network or an image encoder, and its weights."""

    backbone: str | None = option(
        None,
        "Backbone, a face-recognition network or an image encoder.",
        is_architecture=True,
    )
    weights: Path | None = option(
        None,
        "Weights: a published file, or a folder that the mode convert wrote; for "
        "dlib_resnet29 by default those of the extra `recognition`.",
    )


@dataclasses.dataclass(frozen=True)
class CountConfig(BackboneConfig):
    """What is counted as an activated neuron of a face-recognition network."""

    neuron: str = option(
        "unit",
        "What counts as one neuron: unit (each number of a layer's output) or "
        "channel (the mean of each feature map).",
        choices=("unit", "channel"),
    )
    site: str = option(
        "layer",
        "Where a layer is read: layer (at its output) or activation (after "
        "normalisation and activation function).",
        choices=("layer", "activation"),
    )


@dataclasses.dataclass(frozen=True)
class BackboneFeatureConfig(CountConfig):
    """A face-recognition network, to extract features with it."""

    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a recognition network is to the rest of the toolkit."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# Where the output of a layer is looked at: as the layer defines it, or after the
# normalisation and the non-linearity that follow it.
SITES = ("layer", "activation")


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network that turns faces into embeddings.

    Attributes:
        name: As the setting `backbone` names it.
        build: From dtype and site (one of `SITES`) to a module
            `module(images, *, train=False) → (embedding, out)`. `images` are float
            `[batch, height, width, 3]`, preprocessed; the embedding is float32
            `[batch, features]`; `out` maps the names of all convolutional and
            fully-connected layers, in network order, to their outputs, channel-last.
        preprocessing: Of its input.
        layers: All layers with numbers, and their names in published files.
        embedding: What the embedding is, in words.
    """

    name: str
    build: Callable[[Any, str], nn.Module]
    preprocessing: Preprocessing
    layers: tuple[Layer, ...]
    embedding: str

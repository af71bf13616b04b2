# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features that can be extracted from pictures with the network of a system."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

# uint8 `[batch, height, width, 3]`, and bool `[batch]`: which rows are pictures.
MaskedBatch = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of pictures, ready to be computed.

    Attributes:
        compute: Compiled, from uint8 `[batch, height, width, 3]` on the mesh to
            `[batch, …]`.
        row_shape: Shape of the features of one picture.
        dtype: Number format of the features.
        layers: Names of the layers that they come from.
        layer_sizes: Neurons of each layer, where neurons are counted.
        thresholds: float32 `[layers]`, where neurons are counted.
        settings: The network and its neurons, for JSON; thresholds that were fitted
            with others do not fit.
        draw: From a picture, its features and a title to a PNG file; None where they
            cannot be drawn.
    """

    compute: Callable[[jax.Array], jax.Array]
    row_shape: tuple[int, ...]
    dtype: np.dtype
    layers: tuple[str, ...]
    layer_sizes: tuple[int, ...] = ()
    thresholds: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.float32)
    )
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    draw: Callable[[np.ndarray, np.ndarray, str], bytes] | None = None


@dataclasses.dataclass(frozen=True)
class FeatureRequest:
    """What a feature may depend on besides the network.

    Attributes:
        mesh: The devices.
        open_batches: Starts to read the pictures.
        pictures: What the pictures are, in words.
        are_training_pictures: Whether the detector to come is trained on them.
        thresholds: `.npz` file with thresholds; None for none.
    """

    mesh: Mesh
    open_batches: Callable[[], Iterator[MaskedBatch]]
    pictures: str
    are_training_pictures: bool
    thresholds: Path | None = None


FeatureFn = Callable[[FeatureRequest], Feature]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the log-odds of a detector come from, as pure functions of pictures.

Both are evidence of the network and not of the picture: they tell what the network
reacts to, right or wrong. Log-odds are those before calibration.

References:
    M. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, ECCV
    2014, section 4.2: occlusion.
    A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje, Not just a black box, 2016
    (arXiv 1605.01713), section 3.2: gradient × input.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.evaluation.scoring import PictureFn

CELLS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What a network reacts to in pictures.

    Attributes:
        occlusion: float32 `[n, cells, cells]`, see `occlusion`.
        gradient: float32 `[n, height, width]`, see `gradient_times_input`; None for a
            network that has no gradient, as one that counts.
        traces: float32 `[n, height, width, 3]`, RGB, in units of the picture: what the
            network's own predictor misses; None for a network without one.
        layers: float32 `[n, layers]`: how far each layer is from its mean over faces
            that are told by `layers_of`, in their standard deviations; None for a
            network that does not compare layers.
        layer_names: Their names.
        layers_of: What faces these are, in words.
    """

    occlusion: np.ndarray
    gradient: np.ndarray | None = None
    traces: np.ndarray | None = None
    layers: np.ndarray | None = None
    layer_names: tuple[str, ...] = ()
    layers_of: str = ""


def occlusion(
    log_odds: PictureFn, variables: Any, images: jax.Array, *, cells: int = CELLS
) -> jax.Array:
    """What the log-odds lose when a cell is covered with the picture's mean colour.

    Args:
        log_odds: See `scoring.log_odds_fn`.
        variables: Of the detector.
        images: uint8 `[batch, height, width, 3]`; no side has fewer pixels than there
            are cells.
        cells: Cells along each side; they are as equal as the pixels allow.

    Returns:
        float32 `[batch, cells, cells]`, by rows from the top: positive where the cell
        speaks for a fake, 0 where the network does not look.
    """
    height, width = images.shape[1:3]
    rows = jnp.arange(height) * cells // height
    columns = jnp.arange(width) * cells // width
    places = rows[:, None] * cells + columns
    means = images.astype(jnp.float32).mean((1, 2), keepdims=True)
    colours = jnp.round(means).astype(images.dtype)

    def covered(cell: jax.Array) -> jax.Array:
        is_covered = (places == cell)[None, :, :, None]
        return log_odds(variables, jnp.where(is_covered, colours, images))

    # One cell after the other: all at once would need the memory of many batches.
    without = jax.lax.map(covered, jnp.arange(cells * cells))
    lost = log_odds(variables, images) - without
    return lost.T.reshape(-1, cells, cells)


def gradient_times_input(
    log_odds: PictureFn, variables: Any, images: jax.Array
) -> jax.Array:
    """The part of each pixel in the log-odds, as far as these are linear.

    Args:
        log_odds: See `scoring.log_odds_fn`.
        variables: Of the detector.
        images: uint8 `[batch, height, width, 3]`.

    Returns:
        float32 `[batch, height, width]`: `Σ_c ∂ log-odds / ∂x_c · x_c` over the
        channels of a pixel x, 0 to 255. For a linear network the sum over the picture
        is the difference of its log-odds from those of a black one.
    """
    values = images.astype(jnp.float32)
    # Pictures do not depend on each other, so the gradient of the sum is that of each.
    gradients = jax.grad(lambda pixels: log_odds(variables, pixels).sum())(values)
    return (gradients * values).sum(-1)

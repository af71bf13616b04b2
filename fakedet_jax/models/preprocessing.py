# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How pictures are prepared for a network: a description that is applied on device."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.media.framing import Framing


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Maps uint8 RGB pictures to the input range that a network was trained on.

    Attributes:
        framing: Size of the input in pixels, and how it is cut out of a picture.
        bgr: Whether the network takes channels in the order blue, green, red.
        mean: Subtracted from each channel, in the network's channel order, 0–255.
        std: Divides each channel after the mean, in the network's channel order.
    """

    framing: Framing
    bgr: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, pictures: jax.Array) -> jax.Array:
        """Prepares pictures that already have the size of `framing`.

        Args:
            pictures: uint8 RGB `[batch, height, width, 3]`.

        Returns:
            float32 of the same shape: `(pictures − mean) / std`, in the network's
            channel order.
        """
        ordered = pictures[..., ::-1] if self.bgr else pictures
        values = ordered.astype(jnp.float32) - np.asarray(self.mean, np.float32)
        return values * (1.0 / np.asarray(self.std, np.float32))

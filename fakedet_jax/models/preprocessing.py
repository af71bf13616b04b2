# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a network wants its pictures to look like, as data, applied on the device."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.media.framing import Framing


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From uint8 RGB pictures to the numbers that a network was defined on.

    Attributes:
      framing: the input in pixels, and how it is cut out of a picture.
      bgr: whether the channels are handed over as blue, green, red.
      mean: subtracted per channel, in the network's channel order, 0–255.
      std: divides after the mean, in the network's channel order.
    """

    framing: Framing
    bgr: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Preprocessing":
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            TypeError: Fields are missing or unknown.
        """
        triples = {name: tuple(fields[name]) for name in ("mean", "std")}
        framing = Framing.from_json(fields["framing"])
        return cls(**{**fields, **triples, "framing": framing})

    def __call__(self, pictures: jax.Array) -> jax.Array:
        """Prepares pictures.

        Args:
          pictures: uint8 RGB `[batch, height, width, 3]`.

        Returns:
          float32 of the same shape.
        """
        ordered = pictures[..., ::-1] if self.bgr else pictures
        values = ordered.astype(jnp.float32) - np.asarray(self.mean, np.float32)
        return values * (1.0 / np.asarray(self.std, np.float32))

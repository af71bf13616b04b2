# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What tells the sizes of a vision transformer apart."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class EncoderSize:
    """The numbers that one network of a family has and its sisters have not.

    Attributes:
        name: As its authors call it, such as "CLIP ViT-L/14".
        width: Features of a token.
        depth: Number of blocks.
        num_heads: Heads of the attention of each block.
        patch: Side of a patch, pixels.
        side: Side of the square pictures for which positions were learned, pixels.
        features: Features of the embedding; 0 where it is as wide as a token.
        num_registers: Tokens that stand for nothing in the picture.
        mlp_ratio: Features between the two layers of a block's MLP, in widths.
    """

    name: str
    width: int
    depth: int
    num_heads: int
    patch: int
    side: int
    features: int = 0
    num_registers: int = 0
    mlp_ratio: float = 4

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.side // self.patch

    @property
    def mlp_width(self) -> int:
        """Features between the two layers of a block's MLP."""
        return int(self.width * self.mlp_ratio)

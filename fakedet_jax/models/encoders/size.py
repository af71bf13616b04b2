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
        input_side: Side of the pictures that the network sees, pixels; by default
            `side`.
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
    input_side: int = 0

    def __post_init__(self) -> None:
        if not self.input_side:
            object.__setattr__(self, "input_side", self.side)

    @property
    def grid(self) -> int:
        """Patches along a side for which positions were learned."""
        return self.side // self.patch

    @property
    def input_grid(self) -> int:
        """Patches along a side of what the network sees."""
        return self.input_side // self.patch

    @property
    def mlp_width(self) -> int:
        """Features between the two layers of a block's MLP."""
        return int(self.width * self.mlp_ratio)

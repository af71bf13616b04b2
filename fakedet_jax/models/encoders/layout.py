# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How files name the layers of a transformer's blocks."""

from collections.abc import Iterator, Mapping

from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer

# In network order; the kind of each, see `Layer`.
_KINDS = {
    "norm1": "affine",
    "qkv": "dense",
    "attention": "dense",
    "scale1": "array",
    "norm2": "affine",
    "fc1": "dense",
    "fc2": "dense",
    "scale2": "array",
}


def blocks(size: EncoderSize, prefix: str, names: Mapping[str, str]) -> Iterator[Layer]:
    """The layers of all blocks; linear ones have biases.

    Args:
        size: Of the encoder.
        prefix: What the names of all blocks start with, before a block's number.
        names: From our name of a layer of a block to that in the file, behind the
            number; a block without layer scales has none.
    """
    for number in range(size.depth):
        for ours, kind in _KINDS.items():
            if ours in names:
                yield Layer(
                    f"block{number}/{ours}",
                    kind,
                    f"{prefix}.{number}.{names[ours]}",
                    bias=kind == "dense",
                )

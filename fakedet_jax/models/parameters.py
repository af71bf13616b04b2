# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which layers of a network have numbers, and what published files call them, as data.

A layer `NAME` of ours has the arrays, in Flax variables:

- `conv`: `params/NAME/kernel` `[height, width, in_features / groups, features]`, and
  `params/NAME/bias` `[features]` where it has a bias
- `dense`: `params/NAME/kernel` `[in_features, features]` and `params/NAME/bias`
- `norm`: `params/NAME/{scale,bias}` and `batch_stats/NAME/{mean,var}`, all
  `[features]`
- `prelu`: `params/NAME/slope` `[features]`

Which files have what is the business of `fakedet_jax.weights`.
"""

import dataclasses

KINDS = ("conv", "dense", "norm", "prelu")


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with numbers and its names in published files.

    Attributes:
        name: Ours: of the Flax module.
        kind: One of `KINDS`.
        torch: In PyTorch's keys, without `.weight`; None where no file has it.
        caffe: Of the Caffe layer (of the BatchNorm layer for `norm`).
        keras: Of the Keras layer.
        bias: Whether a `conv` or `dense` layer has a bias.
        flattened: For a `dense` layer behind planes: their height, width and features.
            We flatten in that order; PyTorch and Caffe put features first.
    """

    name: str
    kind: str
    torch: str | None = None
    caffe: str | None = None
    keras: str | None = None
    bias: bool = False
    flattened: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: expected one of {KINDS}, got {self.kind!r}")

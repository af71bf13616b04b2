# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which layers of a network have numbers, and what published files call them, as data.

A layer `NAME` of ours has the arrays, in Flax variables:

- `conv`: `params/NAME/kernel` `[height, width, in_features / groups, features]`, and
  `params/NAME/bias` `[features]` where it has a bias
- `dense`: `params/NAME/kernel` `[in_features, features]` and `params/NAME/bias`
- `norm`: `params/NAME/{scale,bias}` and `batch_stats/NAME/{mean,var}`, all
  `[features]`
- `caffe_norm`: `params/NAME/{scale,bias}` and `batch_stats/NAME/{mean_sum,var_sum}`,
  all `[features]`, and `batch_stats/NAME/weight`, the number that divides the sums
- `prelu`: `params/NAME/slope` `[features]`

Which files have what is the business of `fakedet_jax.weights`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

KINDS = ("conv", "dense", "norm", "caffe_norm", "prelu")


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with numbers and its names in published files.

    Attributes:
        name: Ours: of the Flax module.
        kind: One of `KINDS`.
        torch: In PyTorch's keys, without `.weight`; None where no file has it.
        caffe: Of the Caffe layer (of the BatchNorm layer for `norm`, `caffe_norm`).
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


def _unchanged(variables: Any) -> Any:
    return variables


@dataclasses.dataclass(frozen=True)
class Published:
    """How the published weights of a detector of real and fake become ours.

    Attributes:
        layers: All layers of the network with numbers.
        adapt: From the numbers as they were published, in our layout, to those of our
            network, of the same paths and shapes; such as another sign where the
            authors call real what we call fake.
    """

    layers: tuple[Layer, ...]
    adapt: Callable[[Any], Any] = _unchanged

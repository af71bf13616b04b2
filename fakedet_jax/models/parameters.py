# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The layers of a network that have parameters, and their names in published files.

In Flax variables, a layer `NAME` has these arrays:

- `conv`: `params/NAME/kernel` `[height, width, in_features / groups, features]`, and
  `params/NAME/bias` `[features]` where it has a bias
- `dense`: `params/NAME/kernel` `[in_features, features]` and `params/NAME/bias`
- `norm`: `params/NAME/{scale,bias}` and `batch_stats/NAME/{mean,var}`, all
  `[features]`
- `caffe_norm`: `params/NAME/{scale,bias}` and `batch_stats/NAME/{mean_sum,var_sum}`,
  all `[features]`, and `batch_stats/NAME/weight`, the number that divides the sums
- `affine`: `params/NAME/{scale,bias}`, both `[features]`
- `prelu`: `params/NAME/slope` `[features]`
- `matrix`: `params/NAME/kernel` `[in_features, features]`, in files the same
- `array`: `params/NAME/value`, any numbers that are no layer of their own

`fakedet_jax.weights.mapping` describes the arrays of published files.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakedet_jax.models.backbone import Backbone
    from fakedet_jax.models.encoders.size import EncoderSize

KINDS = ("conv", "dense", "norm", "caffe_norm", "affine", "prelu", "matrix", "array")


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with parameters and its names in published files.

    Attributes:
        name: Path of the Flax module.
        kind: One of `KINDS`.
        torch: Name in PyTorch's keys, without `.weight`; None where no file has it. A
            star stands for `weight` or `bias` where they follow something else than a
            point. `a.(q,k?,v)` joins the features of `a.q`, `a.k` and `a.v` in this
            order, and `k` may lack a bias, which is then zero. Of `matrix` and
            `array` it is the whole key.
        caffe: Name of the Caffe layer (for `norm` and `caffe_norm` of the BatchNorm
            layer).
        keras: Name of the Keras layer.
        bias: Whether a `conv` or `dense` layer has a bias.
        flattened: For a `dense` layer that follows feature maps, their height, width
            and features, flattened in this order; PyTorch and Caffe put features first.

    Raises:
        ValueError: `kind` is none of `KINDS`.
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
            raise ValueError(
                f"{self.name}: expected one of {KINDS}, found {self.kind!r}"
            )


@dataclasses.dataclass(frozen=True)
class Published:
    """How to convert the published weights of a detector of real and fake.

    Attributes:
        layers: All layers of the network with parameters.
        adapt: Maps variables with the published values, already in our layout, to
            those of our network, with the same paths and shapes; for instance with the
            opposite sign where the authors number the classes the other way round.
        encoder: Of a detector that is a head behind an encoder: the encoder, in the
            module `encoder` of the network. `layers` are then those of the head.
        size: Of a vision transformer, its size; None for others.
        sizes: Of a vision transformer, all published sizes, so that files of another
            one can be told.
    """

    layers: tuple[Layer, ...]
    adapt: Callable[[Any], Any] = lambda variables: variables
    encoder: "Backbone | None" = None
    size: "EncoderSize | None" = None
    sizes: "tuple[EncoderSize, ...]" = ()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""AMTENnet: adaptive manipulation-trace extraction in front of a small CNN.

Geometry, initial values and the names in published files follow the authors' Caffe
definition. `VARIANTS` are the ablations of the paper's Table VI; where the table leaves
something open, one number of the definition changes and the rest stays.

References:
    Guo, Yang, Chen, Sun: "Fake face detection via adaptive manipulation traces
    extraction network", Computer Vision and Image Understanding 204 (2021), 103170.
"""

import collections
import dataclasses
import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import layers, pooling
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import text
from fakedet_jax.systems.features import FeatureFn
from fakedet_jax.systems.networks.options import AmtenNetOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

PREPROCESSING = Preprocessing(Framing.square(128), bgr=True)

Outputs = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Variant:
    """What an ablation changes; the defaults are AMTENnet itself.

    Attributes:
        extractor: Whether AMTEN precedes the CNN; otherwise the CNN gets the picture.
        predictor: Side of conv1's kernel in pixels, odd. None leaves conv1 out: the
            picture itself replaces the trace F_mt.
        reuse_trace: Whether F_mt is also an input of conv4 and of the CNN; otherwise
            only of conv2.
        features: Number of features of conv4 and of conv5.
        deep: Whether conv3 follows conv2, and conv5 follows conv4.
        pool: Kind of the CNN's four pooling layers, `max` or `average`.
        last_kernel: Side of conv9's kernel in pixels; it has no padding.
    """

    extractor: bool = True
    predictor: int | None = 3
    reuse_trace: bool = True
    features: int = 6
    deep: bool = True
    pool: str = "max"
    last_kernel: int = 1


AMTEN = Variant()

VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        "amten": AMTEN,
        "amten_1": Variant(predictor=None),
        "amten_2": Variant(reuse_trace=False),
        "amten_3": Variant(features=3),
        "amten_4": Variant(features=12),
        "amten_5": Variant(predictor=5),
        "amten_6": Variant(deep=False),
        "amtennet_7": Variant(pool="average"),
        "amtennet_8": Variant(last_kernel=3),
        "model_base": Variant(extractor=False),
    }
)


def frozen(variant: Variant = AMTEN) -> tuple[str, ...]:
    """Paths of the parameters that are not trained.

    Caffe's definition gives conv1 a bias with learning rate 0; it counts as parameters.

    Args:
        variant: The variant of the network.
    >>> frozen(), frozen(VARIANTS["model_base"])
    (('amten/conv1/bias',), ())
    """
    has_predictor = variant.extractor and variant.predictor is not None
    return ("amten/conv1/bias",) if has_predictor else ()


def published_layers(variant: Variant = AMTEN) -> tuple[Layer, ...]:
    """All layers with parameters, and their names in the authors' definition.

    Args:
        variant: The variant of the network.
    """
    names = {"conv2": "conv2_1", "conv4": "conv3_1"}
    if variant.predictor is not None:
        names = {"conv1": "conv1", **names}
    if variant.deep:
        names |= {"conv3": "conv2_2", "conv5": "conv3_2"}
    table = []
    if variant.extractor:
        table = [
            Layer(f"amten/{name}", "conv", caffe=names[name], bias=True)
            for name in sorted(names)
        ]
    # The authors number the layers of the CNN from 4, the paper and this file from 6.
    for number in (6, 7, 8, 9):
        caffe = f"conv{number - 2}"
        table.append(Layer(f"base/conv{number}", "conv", caffe=caffe, bias=True))
        if number < 9:
            norm = Layer(f"base/bn{number}", "caffe_norm", caffe=f"{caffe}/bn")
            table.append(norm)
    # Caffe flattens feature maps in the same order, so `flattened` is not needed.
    table += [
        Layer(f"base/fc{number}", "dense", caffe=f"fc_net_{number - 1}", bias=True)
        for number in (1, 2, 3)
    ]
    return tuple(table)


def extractor_variant(params: Mapping[str, Any]) -> Variant:
    """Infers the variant of an extractor from the shapes of its parameters.

    Args:
        params: Parameters of an `Amten` with a predictor `conv1`.

    Returns:
        A variant with the extractor's fields; those of the CNN have their defaults.
    """
    shapes = {name: node["kernel"].shape for name, node in params.items()}
    return Variant(
        predictor=shapes["conv1"][0],
        reuse_trace=shapes["conv4"][2] > shapes["conv2"][3],
        features=shapes["conv4"][3],
        deep="conv3" in shapes,
    )


class Amten(nn.Module):
    """The trace extractor AMTEN (section 3.1 of the paper), usable before any CNN.

    conv1 predicts the picture; its error is the manipulation trace F_mt. conv2 to conv5
    extract higher-level traces from it, and each stage gets the outputs of the stages
    before it; all together are the reused trace F_reu. There is no activation function
    because traces are faint and have either sign.

    Attributes:
        dtype: Dtype of the computation and the outputs.
        variant: The variant; only the fields of the extractor matter.
    """

    dtype: layers.Dtype = jnp.float32
    variant: Variant = AMTEN

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, Outputs]:
        """Extracts traces.

        Args:
            images: Float `[batch, height, width, 3]`, BGR, 0–255, of any size.

        Returns:
            F_reu, `[batch, 12, height, width]` (9 or 18 channels in other variants),
            and the outputs by name, also channel-first: `conv1` to `conv5`, `trace`
            (F_mt, 3 channels), `reused_trace` (F_reu).
        """
        variant = self.variant

        def conv(features: int, name: str, side: int = 3) -> layers.Conv:
            return layers.Conv(
                features, side, padding=side // 2, dtype=self.dtype, name=name
            )

        planes = images.astype(self.dtype).transpose(0, 3, 1, 2)
        out: Outputs = {}
        trace = planes
        if variant.predictor is not None:
            out["conv1"] = conv(3, "conv1", variant.predictor)(planes)
            out["trace"] = trace = out["conv1"] - planes
        first = out["conv2"] = conv(3, "conv2")(trace)
        if variant.deep:
            first = out["conv3"] = conv(3, "conv3")(first)
        if variant.reuse_trace:
            first = jnp.concatenate([first, trace], axis=1)
        second = out["conv4"] = conv(variant.features, "conv4")(first)
        if variant.deep:
            second = out["conv5"] = conv(variant.features, "conv5")(second)
        out["reused_trace"] = jnp.concatenate([second, first], axis=1)
        return out["reused_trace"], out


class ModelBase(nn.Module):
    """The CNN after the extractor (section 3.2): four convolutions, three dense layers.

    As in the paper, there is neither ReLU nor dropout between the dense layers.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
        batch_norm_fraction: See `layers.BatchNorm`. The authors' 0.999 averages over
            more than a thousand steps; shorter runs need a smaller value.
        pool: See `Variant`.
        last_kernel: See `Variant`.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999
    pool: str = "max"
    last_kernel: int = 1

    @nn.compact
    def __call__(
        self,
        features: jax.Array,
        *,
        train: bool = False,
        extractor: Amten | None = None,
    ) -> tuple[jax.Array, Outputs]:
        """Classifies feature maps.

        Args:
            features: Float `[batch, channels, 128, 128]`, usually F_reu. Other sizes
                work and change the size of `fc1`. With an extractor, its input.
            train: Whether batch normalisation uses, and learns from, this batch.
            extractor: Makes the feature maps.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of the
            extractor, of `conv6` to `conv9` and of `fc1` to `fc3` by name.
        """
        out: Outputs = {}
        widths = {"conv6": (24, 3, 1), "conv7": (48, 3, 0), "conv8": (64, 3, 0)}
        before = [] if extractor is None else [extractor]
        hidden = features
        for name, (width, kernel_size, padding) in widths.items():
            conv = layers.Conv(
                width, kernel_size, padding=padding, dtype=self.dtype, name=name
            )
            hidden, named = layers.picture_by_picture(
                functools.partial(_convolve_and_pool, name=name, pool=self.pool),
                [*before, conv],
                hidden,
            )
            before = []
            out |= named
            norm = layers.BatchNorm(
                fraction=self.batch_norm_fraction,
                dtype=self.dtype,
                name=f"bn{name[-1]}",
            )
            hidden = norm(hidden, train=train)
        conv9 = layers.Conv(128, self.last_kernel, dtype=self.dtype, name="conv9")
        hidden, named = _convolve_and_pool(
            [conv9], hidden, name="conv9", pool=self.pool
        )
        out |= named
        hidden = hidden.reshape(hidden.shape[0], -1)
        for name, width in (("fc1", 300), ("fc2", 300), ("fc3", self.num_classes)):
            hidden = layers.Dense(width, dtype=self.dtype, name=name)(hidden)
            out[name] = hidden
        return hidden.astype(jnp.float32), out


def _convolve_and_pool(
    modules: Sequence[Any],
    planes: jax.Array,
    *,
    name: str,
    pool: str,
) -> tuple[jax.Array, Outputs]:
    """The layers between two normalisations, with the extractor where it comes first.

    Args:
        modules: The convolution; an extractor may precede it.
        planes: Input of the first module.
        name: Name of the convolution.
        pool: See `Variant`.

    Returns:
        The pooled feature maps, and the outputs by name.
    """
    *extractors, conv = modules
    named: Outputs = {}
    for extractor in extractors:
        planes, named = extractor(planes)
    if pool == "max":
        named[name], planes = conv.max_pooled(planes)
    else:
        named[name] = conv(planes)
        planes = pooling.average_pool(named[name])
    # JAX sorts the keys of other dictionaries.
    return nn.relu(planes), collections.OrderedDict(named)


class AmtenNet(nn.Module):
    """AMTENnet: 2,023,050 parameters for two classes, 2,024,856 for eight.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
        batch_norm_fraction: See `ModelBase`.
        variant: One of the values of `VARIANTS`, or another one.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999
    variant: Variant = AMTEN

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`).
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and all named outputs in network
            order.
        """
        extractor = None
        if self.variant.extractor:
            extractor = Amten(self.dtype, self.variant, name="amten")
        else:
            images = images.astype(self.dtype).transpose(0, 3, 1, 2)
        base = ModelBase(
            self.num_classes,
            dtype=self.dtype,
            batch_norm_fraction=self.batch_norm_fraction,
            pool=self.variant.pool,
            last_kernel=self.variant.last_kernel,
            name="base",
        )
        return base(images, train=train, extractor=extractor)


# The solver of AMTENnet's authors.
RECIPE = Recipe(
    optimizer="caffe_sgd",
    learning_rate=1e-3,
    schedule="step",
    decay_steps=1000,
    decay_factor=0.5,
    momentum=0.95,
    weight_decay=0.005,
    batch_size=64,
    num_epochs=10,
)


def create(options: AmtenNetOptions | None = None) -> NetworkDetector:
    """AMTENnet, one of its ablations, or another residual layer before its CNN.

    Args:
        options: Name the ablation or the residual layer; None for the published
            network.

    Returns:
        The detector.

    Raises:
        RequestError: There is none of that name, or both are named.
    """
    from fakedet_jax.systems.networks import residuals

    options = options or AmtenNetOptions()
    residual = options.residual
    if residual is not None:
        if options.amten_variant is not None:
            raise RequestError(
                f"`residual`: {residual} takes AMTEN's place, so that there is no "
                f"variant {options.amten_variant} of it; leave one of the two out"
            )
        if residual not in residuals.KINDS:
            raise RequestError(text.unknown("residual", residual, residuals.KINDS))
        return NetworkDetector(
            name="amtennet",
            build=functools.partial(residuals.ResidualNet, residual),
            preprocessing=residuals.PREPROCESSING,
            recipe=RECIPE,
            project=residuals.project if residual == "constrained" else None,
            Options=AmtenNetOptions,
        )
    name = options.amten_variant or "amten"
    if name not in VARIANTS:
        raise RequestError(text.unknown("amten_variant", name, VARIANTS))
    variant = VARIANTS[name]
    return NetworkDetector(
        name="amtennet",
        build=functools.partial(AmtenNet, variant=variant),
        preprocessing=PREPROCESSING,
        recipe=RECIPE,
        frozen=frozen(variant),
        published=Published(published_layers(variant)),
        features=_features,
        Options=AmtenNetOptions,
    )


def _features(variables: Any) -> Mapping[str, FeatureFn]:
    from fakedet_jax.systems.networks import traces

    return traces.features(variables, PREPROCESSING.framing)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layers of vision transformers, which the families of encoders put together.

Tokens have the shape `[batch, tokens, width]`. Layers compute in `dtype`; parameters,
the statistics of normalisations and the weights of the attention are float32.

What counts as a layer of a transformer, for coverage, is a choice of this toolkit: each
linear layer, that is the patch embedding, four layers in each block (queries, keys and
values are one) and a projection at the end; and each block as a whole, whose output is
the sum that the next block takes. The outputs of `block3` are

| Name | site "layer" | site "activation" |
|---|---|---|
| `block3/qkv` | queries, keys, values `[b, t, 3 × width]` | what the attention mixed |
| `block3/attention` | projection of what was mixed | after the layer scale |
| `block3/fc1` | `[b, t, mlp_width]` | after GELU |
| `block3/fc2` | `[b, t, width]` | after the layer scale |
| `block3` | the tokens behind the block | the same |

References:
    Dosovitskiy et al.: "An image is worth 16×16 words: transformers for image
    recognition at scale", ICLR 2021.
    Touvron et al.: "Going deeper with image transformers", ICCV 2021 (layer scale).
    Su et al.: "RoFormer: enhanced transformer with rotary position embedding", 2021.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.errors import RequestError
from fakedet_jax.models import channel_last, precision
from fakedet_jax.models.backbone import SITES
from fakedet_jax.models.encoders.size import EncoderSize

Dtype = channel_last.Dtype
Activation = Callable[[jax.Array], jax.Array]
# Turns queries or keys `[batch, tokens, heads, features]` by their positions.
Rotation = Callable[[jax.Array], jax.Array]


class Outputs(dict[str, jax.Array]):
    """Outputs of layers by name, in network order.

    Args:
        site: Where they are taken, one of `models.backbone.SITES`.

    Raises:
        KeyError: There is no such site.
    """

    def __init__(self, site: str) -> None:
        super().__init__()
        self._index = {name: index for index, name in enumerate(SITES)}[site]

    def keep(self, name: str, layer: jax.Array, activation: jax.Array) -> None:
        """Keeps the output of a layer, or what became of it."""
        self[name] = (layer, activation)[self._index]


class Parameter(nn.Module):
    """Learned numbers that are added or inserted: tokens, positions, layer scales.

    Attributes:
        shape: Of `value`.
        value_init: Its initialiser.
    """

    shape: tuple[int, ...]
    value_init: channel_last.Initializer = nn.initializers.normal(0.02)

    @nn.compact
    def __call__(self) -> jax.Array:
        """The numbers, float32."""
        value: jax.Array = self.param("value", self.value_init, self.shape)
        return value


class LayerNorm(nn.Module):
    """Normalises each token, then scales and shifts its features.

    Attributes:
        epsilon: Added to the variance.
        dtype: Dtype of the output; the computation is in float32.
    """

    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Normalises `[..., features]`."""
        features = (tokens.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        values = tokens.astype(jnp.float32)
        centred = values - values.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        normalised = centred * lax.rsqrt(variance + self.epsilon)
        return (normalised * scale + bias).astype(self.dtype)


class PatchEmbedding(nn.Module):
    """A linear layer over each patch, `[b, h, w, 3]` → `[b, patches, features]`.

    It is the convolution of published files, written as one matrix product.
    Parameters: `kernel` `[patch, patch, 3, features]`, `bias` `[features]`.

    Attributes:
        features: Number of output features.
        patch: Side of a patch, pixels.
        use_bias: Whether the layer has a bias.
        dtype: Dtype of the computation and the output.
    """

    features: int
    patch: int
    use_bias: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Embeds patches, row by row."""
        batch, height, width, depth = images.shape
        side = self.patch
        shape = (side, side, depth, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        rows, columns = height // side, width // side
        patches = images.astype(self.dtype).reshape(
            batch, rows, side, columns, side, depth
        )
        patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(
            batch, rows * columns, side * side * depth
        )
        matrix = kernel.astype(self.dtype).reshape(-1, self.features)
        product = jnp.matmul(patches, matrix, precision=precision.of_products())
        if not self.use_bias:
            return product
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return product + channel_last.per_feature(bias, product)


class QueriesKeysValues(nn.Module):
    """A linear layer whose output is taken apart into heads.

    It is one layer, multiplied in three parts: compilers then lay each out as the
    attention needs it, which takes half of the time that it takes to cut one in three.
    Parameters: `kernel` `[width, 3 × width]`, `bias` `[3 × width]`.

    Attributes:
        num_heads: Number of heads.
        dtype: Dtype of the computation and the output.
    """

    num_heads: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, tokens: jax.Array, asking: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Applies the layer.

        Args:
            tokens: `[batch, tokens, width]`.
            asking: Of which the queries are, if of others.

        Returns:
            Queries, keys and values, `[batch, tokens, heads, width / heads]`.
        """
        width = tokens.shape[-1]
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (width, 3 * width)
        )
        bias = self.param("bias", nn.initializers.zeros, (3 * width,))
        kernels = kernel.reshape(width, 3, self.num_heads, -1).astype(self.dtype)
        biases = bias.reshape(3, self.num_heads, -1)

        def part(index: int, inputs: jax.Array) -> jax.Array:
            product = jnp.einsum(
                "btw,whd->bthd",
                inputs.astype(self.dtype),
                kernels[:, index],
                precision=precision.of_products(),
            )
            spread = jnp.broadcast_to(biases[index], product.shape)
            return product + spread.astype(self.dtype)

        queries = part(0, tokens if asking is None else asking)
        return queries, part(1, tokens), part(2, tokens)


class FromHeads(nn.Module):
    """A linear layer over heads, `[b, t, heads, width / heads]` → `[b, t, features]`.

    Parameters: `kernel` `[width, features]`, `bias` `[features]`.

    Attributes:
        features: Number of output features.
        dtype: Dtype of the computation and the output.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, heads: jax.Array) -> jax.Array:
        """Applies the layer."""
        *_, num_heads, depth = heads.shape
        shape = (num_heads * depth, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # Heads first, as the attention leaves them: XLA's compiler for GPUs (jaxlib
        # 0.10.2) fails on the product of `[batch × tokens, width]`.
        product = jnp.einsum(
            "bhtd,hdf->btf",
            heads.astype(self.dtype).transpose(0, 2, 1, 3),
            kernel.astype(self.dtype).reshape(num_heads, depth, self.features),
            precision=precision.of_products(),
        )
        return product + channel_last.per_feature(bias, product)


class Block(nn.Module):
    """A block of a transformer: attention, then an MLP, each added to its input.

    Attributes:
        num_heads: Heads of the attention.
        mlp_width: Features between the two layers of the MLP.
        activation: Non-linearity between them.
        epsilon: Of the normalisations.
        layer_scale: Whether both branches are multiplied by learned numbers.
        dtype: Dtype of the computation and of the tokens.
        site: Where layer outputs are taken; see the table of this module.
    """

    num_heads: int
    mlp_width: int
    activation: Activation
    epsilon: float = 1e-5
    layer_scale: bool = False
    dtype: Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, tokens: jax.Array, rotate: Rotation | None = None
    ) -> tuple[jax.Array, Outputs]:
        """Applies the block.

        Args:
            tokens: `[batch, tokens, width]`.
            rotate: Turns queries and keys by their positions.

        Returns:
            Tokens of the same shape, and the outputs of the four layers by name.
        """
        out = Outputs(self.site)
        width = tokens.shape[-1]
        mixed = self._attend(self._norm("norm1")(tokens), rotate, out)
        linear = FromHeads(width, dtype=self.dtype, name="attention")(mixed)
        tokens = tokens + self._scaled("attention", linear, "scale1", out)
        hidden = self._dense("fc1", self.mlp_width)(self._norm("norm2")(tokens))
        activation = self.activation(hidden)
        out.keep("fc1", hidden, activation)
        linear = self._dense("fc2", width)(activation)
        tokens = tokens + self._scaled("fc2", linear, "scale2", out)
        return tokens, out

    def _attend(
        self, tokens: jax.Array, rotate: Rotation | None, out: Outputs
    ) -> jax.Array:
        qkv = QueriesKeysValues(self.num_heads, dtype=self.dtype, name="qkv")(tokens)
        queries, keys, values = qkv
        if rotate is not None:
            queries, keys = rotate(queries), rotate(keys)
        mixed = attend(queries, keys, values)
        out.keep("qkv", joined(*qkv), joined(mixed))
        return mixed

    def _scaled(
        self, name: str, linear: jax.Array, scale: str, out: Outputs
    ) -> jax.Array:
        """The end of a branch after its layer scale."""
        scaled = linear
        if self.layer_scale:
            start = nn.initializers.constant(1e-5)
            factors = Parameter(linear.shape[-1:], start, name=scale)()
            scaled = linear * channel_last.per_feature(factors, linear)
        out.keep(name, linear, scaled)
        return scaled

    def _norm(self, name: str) -> LayerNorm:
        return LayerNorm(self.epsilon, self.dtype, name=name)

    def _dense(self, name: str, features: int) -> channel_last.Dense:
        return channel_last.Dense(features, dtype=self.dtype, name=name)


def blocks(
    tokens: jax.Array,
    size: EncoderSize,
    out: Outputs,
    rotate: Rotation | None = None,
    **settings: Any,
) -> jax.Array:
    """Applies all blocks of an encoder, within its module.

    Args:
        tokens: `[batch, tokens, width]`.
        size: Of the encoder.
        out: Where the outputs of the layers and blocks go.
        rotate: Turns queries and keys by their positions.
        **settings: Of each `Block`, but what the size tells.

    Returns:
        Tokens of the same shape.
    """
    for number in range(size.depth):
        name = f"block{number}"
        block = Block(size.num_heads, size.mlp_width, name=name, **settings)
        tokens, found = block(tokens, rotate)
        out.update({f"{name}/{layer}": values for layer, values in found.items()})
        out[name] = tokens
    return tokens


def attend(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Each token as a mean of all, weighted by the similarity of queries and keys.

    Args:
        queries: `[batch, tokens, heads, features]`.
        keys: The same, perhaps of more tokens.
        values: As `keys`.

    Returns:
        The same as `queries`; sums and weights are float32.
    """
    with precision.scope():
        return jax.nn.dot_product_attention(queries, keys, values)


def joined(*heads: jax.Array) -> jax.Array:
    """`[batch, tokens, heads, features]` side by side, `[batch, tokens, all]`."""
    batch, length, *_ = heads[0].shape
    return jnp.concatenate([one.reshape(batch, length, -1) for one in heads], axis=-1)


def with_prefix(tokens: jax.Array, *prefix: jax.Array) -> jax.Array:
    """Puts learned tokens, `[width]` or `[n, width]`, before those of each picture."""
    batch, _, width = tokens.shape
    learned = jnp.concatenate([jnp.atleast_2d(values) for values in prefix])
    shape = (batch, learned.shape[0], width)
    before = jnp.broadcast_to(learned.astype(tokens.dtype), shape)
    return jnp.concatenate([before, tokens], axis=1)


def quick_gelu(values: jax.Array) -> jax.Array:
    """`x · σ(1.702 x)`, with which OpenAI trained CLIP instead of GELU."""
    return values * jax.nn.sigmoid(np.float32(1.702).astype(values.dtype) * values)


def gelu(values: jax.Array) -> jax.Array:
    """`x · Φ(x)`, exactly."""
    return jax.nn.gelu(values, approximate=False)


def check_images(images: jax.Array, size: EncoderSize) -> None:
    """Refuses pictures of another size than that of the encoder.

    Args:
        images: `[batch, height, width, 3]`.
        size: Of the encoder.

    Raises:
        RequestError: They are.
    """
    side = size.input_side
    if images.ndim != 4 or images.shape[1:] != (side, side, 3):
        raise RequestError(
            f"images: {size.name} takes [batch, {side}, {side}, 3], found "
            f"{list(images.shape)}; resize them"
        )

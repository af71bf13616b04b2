# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How strong each coefficient of the 8 × 8 blocks of a picture is, and a small network.

The AC coefficients of the cosine transform of blocks are distributed like Laplace's
law, whose scale is their mean magnitude. Generators leave other scales than cameras do.
They are few numbers, so that a network of them trains in seconds on some hundred
pictures, and has a hundred kilobytes.

To take these scales as evidence is the paper's idea. These are our choices: the
scales are those of luminance and of both colour differences; they are taken on the grid
of JPEG files and on one that is moved by half a block, where JPEG shows less; their
logarithms go through one hidden layer. The second grid and the layer were chosen by
five-fold cross-validation on training pictures.

References:
    Giudice, Guarnera, Battiato: "Fighting deepfakes by detecting GAN DCT anomalies",
    Journal of Imaging 7(8), 2021.
"""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, evidence, resnet
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems import table_run
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.systems.networks import cached
from fakedet_jax.systems.networks.options import BlockDctOptions
from fakedet_jax.training.recipe import Recipe

PREPROCESSING = Preprocessing(Framing.square(256))
SIDE = 8
"""Of a block, pixels."""
SHIFTS = (0, SIDE // 2)
"""Where the grids of blocks begin, pixels from the left and from the top."""
WIDTH = 64
"""Features of the hidden layer."""

# Y, Cb and Cr of JFIF files, without what is added to the last two.
_TO_YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ],
    np.float32,
)
# Added to the scales before the logarithm, in levels: less is rounding.
_OFFSET = 0.1
# More deviations from the training pictures count as these, so that a few scales that
# are far from all of them, such as those of a grey picture's colours, decide less.
_MOST = 4.0


class BlockDctNet(nn.Module):
    """Two layers on the scales: 25,077 parameters for two classes.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the layers; scales and logits are float32.
    """

    num_classes: int
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classifies pictures.

        Args:
            images: Float RGB `[batch, height, width, 3]`, 0–255, at least 12 pixels
                wide and high.
            train: Whether the standardisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and by name in network order:
            `scales`, see `log_scales`; both layers, before the ReLU between them.
        """
        scales = log_scales(images)
        norm = channel_last.BatchNorm(name="norm")
        values = limited(norm(scales, train=train))
        num_outputs = evidence.num_outputs(self.num_classes)
        hidden, found = _layers(values, num_outputs, self.dtype)
        out = {"scales": scales, "fc1": hidden, "fc2": found}
        return evidence.to_logits(found), out


class Head(nn.Module):
    """The layers alone, of `limited` scales `[batch, 378]`: evidence `[batch]`.

    Attributes:
        dtype: Dtype of the layers.
    """

    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Evidence of a fake."""
        return _layers(values, 1, self.dtype)[1][:, 0].astype(jnp.float32)


def _layers(
    values: jax.Array, num_outputs: int, dtype: channel_last.Dtype
) -> tuple[jax.Array, jax.Array]:
    hidden = resnet.linear(values, WIDTH, "fc1", dtype=dtype)
    return hidden, resnet.linear(nn.relu(hidden), num_outputs, "fc2", dtype=dtype)


def limited(standardised: jax.Array) -> jax.Array:
    """Scales as the layers see them, float of any shape."""
    return jnp.clip(standardised, -_MOST, _MOST)


def log_scales(images: jax.Array) -> jax.Array:
    """The scales of all AC coefficients, a pure function.

    `log(mean |c| + 0.1)` over the blocks of a grid, where c is an orthonormal cosine
    transform of 8 × 8 levels. Pixels that fill no block are left out.

    Args:
        images: Float RGB `[batch, height, width, 3]`, 0–255, at least 12 pixels wide
            and high.

    Returns:
        float32 `[batch, 378]`: for each of `SHIFTS` those of Y, Cb and Cr, 63 each, by
        vertical and then by horizontal frequency.
    """
    found = [_mean_magnitudes(images[:, shift:, shift:]) for shift in SHIFTS]
    # Frequency 0 is the first of each channel.
    values = jnp.stack(found, axis=1)[..., 1:]
    return jnp.log(values + _OFFSET).reshape(images.shape[0], -1)


def _mean_magnitudes(images: jax.Array) -> jax.Array:
    """Of all coefficients of Y, Cb and Cr, `[batch, 3, SIDE ** 2]`."""
    # One convolution turns colours and transforms blocks.
    coefficients = lax.conv_general_dilated(
        images.astype(jnp.float32),
        jnp.asarray(_kernel()),
        window_strides=(SIDE, SIDE),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    return jnp.abs(coefficients).mean((1, 2)).reshape(images.shape[0], 3, -1)


def _kernel() -> np.ndarray:
    """From RGB to coefficients, float32 `[SIDE, SIDE, 3, 3 * SIDE ** 2]`."""
    frequency, pixel = np.mgrid[:SIDE, :SIDE]
    waves = np.cos(math.pi * (2 * pixel + 1) * frequency / (2 * SIDE))
    waves *= np.where(frequency == 0, math.sqrt(1 / SIDE), math.sqrt(2 / SIDE))
    kernel = np.einsum("dc,vy,ux->yxcdvu", _TO_YCBCR, waves, waves)
    return kernel.reshape(SIDE, SIDE, 3, -1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class BlockDct(cached.CachedDetector):
    """The detector. Classes are real and fake whatever the dataset has."""

    sees: str = "scales of coefficients"

    def task(
        self, request: FitRequest, train: Dataset, validation: Dataset
    ) -> table_run.Task:
        """Two layers on the scales, standardised over the training pictures."""
        scales = cached.Features(
            request,
            self,
            lambda _, images: log_scales(self.preprocessing(images)),
            what="scales",
            doing="transforming",
            variables={},
            described={"shifts": SHIFTS, "side": SIDE},
        )
        # A mirrored picture has the same scales.
        rows = table_run.training_rows(
            lambda side: scales.of(train, mirrored=side), train, flip=False
        )
        to_judge = scales.of(validation, mirrored=False)
        norm = _normalisation(rows.values)

        def standardised(values: np.ndarray) -> np.ndarray:
            found = channel_last.BatchNorm().apply(norm, values, train=False)
            return np.asarray(limited(jnp.asarray(found)))

        head = Head(DTYPES[request.config.options.dtype])
        return table_run.Task(
            head,
            dataclasses.replace(rows, values=standardised(rows.values)),
            dataclasses.replace(to_judge, values=standardised(to_judge.values)),
            log_probabilities=cached.log_probability_fn(head),
            complete=lambda params: {
                "params": {"norm": norm["params"], **params},
                "batch_stats": {"norm": norm["batch_stats"]},
            },
        )


def _normalisation(values: np.ndarray) -> dict[str, Any]:
    """Variables of a batch normalisation that standardises rows `[n, columns]`."""
    columns = values.shape[1]
    exact = values.astype(np.float64)
    return {
        "params": {
            "scale": np.ones(columns, np.float32),
            "bias": np.zeros(columns, np.float32),
        },
        "batch_stats": {
            "mean": exact.mean(0).astype(np.float32),
            "var": exact.var(0).astype(np.float32),
        },
    }


DETECTOR = BlockDct(
    name="block_dct",
    build=BlockDctNet,
    preprocessing=PREPROCESSING,
    trainable="^fc",
    Options=BlockDctOptions,
    recipe=Recipe(
        optimizer="torch_adam",
        learning_rate=3e-3,
        schedule="cosine",
        weight_decay=0.005,
        batch_size=64,
        num_epochs=200,
    ),
)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""VGG-Face: VGG-16, trained to recognise 2,622 identities.

References:
    Parkhi, Vedaldi, Zisserman: "Deep face recognition", BMVC 2015: table 3.
    Simonyan, Zisserman: "Very deep convolutional networks for large-scale image
    recognition", ICLR 2015.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The short side is scaled to 256 pixels, then the central 224 are cut out.
PREPROCESSING = Preprocessing(
    Framing(224, 224, 224 / 256), bgr=True, mean=(93.5940, 104.7624, 129.1863)
)
NUM_IDENTITIES = 2622

# The width of each convolution, stage by stage; pooling follows each stage.
_STAGES = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)
_CONVOLUTIONS = tuple(
    tuple((f"conv{stage}_{number}", width) for number, width in enumerate(widths, 1))
    for stage, widths in enumerate(_STAGES, 1)
)


class Vgg16(nn.Module):
    """Thirteen convolutions and three fully-connected layers, all with biases.

    The dropout that the paper trains with (after fc6 and fc7) is left out: it has no
    effect at inference.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the embedding and the logits are float32.
        site: "layer" and "activation" are the same here: all layers but `fc8` include
            their ReLU.
    """

    num_classes: int = NUM_IDENTITIES
    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds and classifies faces.

        Args:
            images: Float `[batch, 224, 224, 3]`, BGR, 0–255 minus the mean
                (`PREPROCESSING`). Other sizes work and change the size of fc6.
            train: Ignored: no layer depends on the batch.

        Returns:
            The embedding, float32 `[batch, 4096]`: fc7 after its ReLU, not normalised.
            And the outputs of the 16 layers by name, in network order; `fc8` is float32
            `[batch, num_classes]`.
        """
        del train
        out: dict[str, jax.Array] = {}
        hidden = images.astype(self.dtype)
        for stage in _CONVOLUTIONS:
            for name, width in stage:
                conv = channel_last.Conv(
                    width, 3, padding=1, use_bias=True, dtype=self.dtype, name=name
                )
                hidden = out[name] = nn.relu(conv(hidden))
            hidden = channel_last.max_pool(hidden, 2, 2)
        hidden = hidden.reshape(hidden.shape[0], -1)
        for name in ("fc6", "fc7"):
            dense = channel_last.Dense(4096, dtype=self.dtype, name=name)
            hidden = out[name] = nn.relu(dense(hidden))
        classifier = channel_last.Dense(self.num_classes, dtype=self.dtype, name="fc8")
        out["fc8"] = classifier(hidden).astype(jnp.float32)
        return hidden.astype(jnp.float32), out


# All published files use the same names.
LAYERS = (
    *(
        Layer(name, "conv", name, name, name, bias=True)
        for stage in _CONVOLUTIONS
        for name, _ in stage
    ),
    Layer("fc6", "dense", "fc6", "fc6", "fc6", bias=True, flattened=(7, 7, 512)),
    Layer("fc7", "dense", "fc7", "fc7", "fc7", bias=True),
    Layer("fc8", "dense", "fc8", "fc8", "fc8", bias=True),
)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""FakeSpotter's classifier: five fully-connected layers on layer-wise neuron counts.

Wang et al.: "FakeSpotter: a simple yet robust baseline for spotting AI-synthesized fake
faces", IJCAI 2020 (arXiv 1909.06122), section 3.3. The paper gives the number of layers
and the loss; widths, ReLU and Keras' initialiser are choices.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.models import channel_last


class CoverageClassifier(nn.Module):
    """A multi-layer perceptron with one logit.

    Attributes:
        widths: Of the hidden layers; the last layer has one output.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Classifies.

        Args:
            features: float32 `[batch, layers]`, standardised.

        Returns:
            float32 `[batch]`, the logit of being fake.
        """
        hidden = features
        for number, width in enumerate((*self.widths, 1), start=1):
            dense = channel_last.Dense(
                width, kernel_init=nn.initializers.glorot_uniform(), name=f"fc{number}"
            )
            hidden = dense(hidden)
            if number <= len(self.widths):
                hidden = nn.relu(hidden)
        return jnp.squeeze(hidden, -1)

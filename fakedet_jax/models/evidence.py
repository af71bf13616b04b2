# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks whose only output is evidence of a fake, as classifiers of real and fake.

With the logits `[0, z]`, softmax gives the second class, the fake one, the probability
`sigmoid(z)`.
"""

import jax
import jax.numpy as jnp


def num_outputs(num_classes: int) -> int:
    """Outputs of the last layer: one for two classes, as published; more have one each.

    Args:
        num_classes: Classes to tell apart.
    """
    return 1 if num_classes == 2 else num_classes


def to_logits(outputs: jax.Array) -> jax.Array:
    """Logits of classes.

    Args:
        outputs: Float `[batch, num_outputs(classes)]`.

    Returns:
        Float32 `[batch, classes]`.
    """
    outputs = outputs.astype(jnp.float32)
    if outputs.shape[-1] != 1:
        return outputs
    return jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=-1)

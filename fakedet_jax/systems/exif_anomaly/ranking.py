# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Learning to rank pictures by their camera settings: the fidelity loss over pairs.

Exposure and lens leave traces that a network can order before it can measure them: of
two pictures it is asked which has the larger ISO, aperture, exposure time or focal
length. A fifth output says whether a face was manipulated, under the same loss.

A pair may lie on two devices. The functions therefore take whole batches: under `jit`
with inputs that are cut along the mesh the compiler gathers the few scores, and the
result is that of one device. Memory grows with the square of the batch.

References:
    Zou, Yu, Zhan, Ma: "Self-Supervised Learning for Detecting AI-Generated Faces as
    Anomalies", ICASSP 2025.
    Tsai, Liu, Qin, Chen, Ma: "FRank: A Ranking Method with Fidelity Loss", SIGIR 2007.
"""

import math

import jax
import jax.numpy as jnp

# Keeps the slope of the square root finite at 0.
EPSILON = 1e-8


def total_loss(
    outputs: jax.Array,
    tags: jax.Array,
    is_manipulated: jax.Array,
    mask: jax.Array | None = None,
    *,
    manipulated_weight: float = 1.0,
) -> jax.Array:
    """The sum of the ranking losses of all tags and of the manipulated loss.

    Args:
        outputs: float `[n, num_tags + 1]`: a score for each tag, and last the logit of
            having been manipulated.
        tags: float `[n, num_tags]`, NaN where one is missing. A manipulated face keeps
            the tags of its original.
        is_manipulated: bool or 0 and 1 `[n]`.
        mask: bool `[n]`, false where a row only fills the batch. `None`: all count.
        manipulated_weight: Of the manipulated loss; 1 is the published plain sum.

    Returns:
        float32 `[]`.
    """
    per_tag = jax.vmap(ranking_loss, in_axes=(1, 1, None))(outputs[:, :-1], tags, mask)
    manipulated = manipulated_loss(outputs[:, -1], is_manipulated, mask)
    return per_tag.sum() + manipulated_weight * manipulated


def ranking_loss(
    scores: jax.Array, values: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """The mean fidelity loss over all pairs of pictures whose tag is known.

    Of a pair i < j the network claims that i has the larger value with probability
    Φ(2 (s_i − s_j)). The truth is 1, 0, or ½ where both have the same value.

    Args:
        scores: float `[n]`.
        values: float `[n]`, of any scale, as only their order counts. NaN where the tag
            is missing: the picture is then in no pair.
        mask: bool `[n]`, false where a row only fills the batch. `None`: all count.

    Returns:
        float32 `[]`; 0, with a gradient of 0, where there is no pair.

    >>> right = ranking_loss(jnp.array([3.0, 0.0]), jnp.array([400.0, 100.0]))
    >>> wrong = ranking_loss(jnp.array([3.0, 0.0]), jnp.array([100.0, 400.0]))
    >>> print(f"{right:.3f} {wrong:.3f}")
    -0.000 1.000
    """
    known = ~jnp.isnan(values)
    if mask is not None:
        known &= mask.astype(bool)
    # Replaced before they are used: a NaN would come back through the gradient.
    scores = jnp.where(known, scores.astype(jnp.float32), 0)
    values = jnp.where(known, values, 0)
    target = (jnp.sign(values[:, None] - values[None, :]) + 1) / 2
    distance = math.sqrt(2) * (scores[:, None] - scores[None, :])
    # erfc keeps its digits where 1 − p would be rounded to 0.
    claimed = jax.scipy.special.erfc(-distance) / 2
    denied = jax.scipy.special.erfc(distance) / 2
    losses = _fidelity_loss(claimed, denied, target.astype(jnp.float32))
    number = jnp.arange(len(scores))
    pairs = known[:, None] & known[None, :] & (number[:, None] < number[None, :])
    return _masked_mean(losses, pairs)


def manipulated_loss(
    logits: jax.Array, is_manipulated: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """The mean fidelity loss of the probability of having been manipulated.

    Args:
        logits: float `[n]`, which a sigmoid makes probabilities of.
        is_manipulated: bool or 0 and 1 `[n]`.
        mask: bool `[n]`, false where a row only fills the batch. `None`: all count.

    Returns:
        float32 `[]`; 0, with a gradient of 0, where no row counts.
    """
    counts = jnp.ones(len(logits), bool) if mask is None else mask.astype(bool)
    logits = jnp.where(counts, logits.astype(jnp.float32), 0)
    target = is_manipulated.astype(jnp.float32)
    losses = _fidelity_loss(jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits), target)
    return _masked_mean(losses, counts)


def _fidelity_loss(
    claimed: jax.Array, denied: jax.Array, target: jax.Array
) -> jax.Array:
    """1 − √(p g + ε) − √((1 − p)(1 − g) + ε) of probabilities p, 1 − p and g."""
    agreed = jnp.sqrt(claimed * target + EPSILON)
    return 1 - agreed - jnp.sqrt(denied * (1 - target) + EPSILON)


def _masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Losses that rank pictures by their camera settings: the fidelity loss over pairs.

A network learns to tell which of two pictures has the larger ISO, aperture, exposure
time or focal length; this is easier than to estimate their values. A further output
says whether a face was manipulated, and has the same loss.

The two pictures of a pair may be on different devices. The functions therefore take
whole batches: under `jit`, with inputs that are cut along the mesh, the compiler
gathers the few scores, and the result is that of one device. Memory grows with the
square of the batch.

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
    """The sum of the ranking losses of all tags and the weighted manipulated loss.

    Args:
        outputs: Float `[n, num_tags + 1]`: a score for each tag, and last the logit of
            being manipulated.
        tags: Float `[n, num_tags]`, NaN where a tag is missing. A manipulated face has
            the tags of its original.
        is_manipulated: `[n]`, bool or 0 and 1.
        mask: Bool `[n]`, False for a row that only fills the batch; None if all count.
        manipulated_weight: Weight of the manipulated loss; 1 for the published sum.

    Returns:
        Float32 `[]`, at least 0 but for rounding.
    """
    per_tag = jax.vmap(ranking_loss, in_axes=(1, 1, None))(outputs[:, :-1], tags, mask)
    manipulated = manipulated_loss(outputs[:, -1], is_manipulated, mask)
    return per_tag.sum() + manipulated_weight * manipulated


def ranking_loss(
    scores: jax.Array, values: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """The mean fidelity loss over all pairs of pictures whose tag is known.

    `1 − √(p g + ε) − √((1 − p)(1 − g) + ε)`, where `p = Φ(2 (s_i − s_j))` is the
    predicted probability that picture i of a pair i < j has the larger value, and the
    target g is 1 if it has, 0 if j has, and ½ if the values are equal.

    Args:
        scores: Float `[n]`, s above.
        values: Float `[n]`, on any scale, as only their order counts. NaN where the tag
            is missing: the picture is then in no pair.
        mask: Bool `[n]`, False for a row that only fills the batch; None if all count.

    Returns:
        Float32 `[]`, in [0, 1] but for rounding; 0, with a gradient of 0, if there is
        no pair.

    >>> right = ranking_loss(jnp.array([3.0, 0.0]), jnp.array([400.0, 100.0]))
    >>> wrong = ranking_loss(jnp.array([3.0, 0.0]), jnp.array([100.0, 400.0]))
    >>> print(f"{right:.3f} {wrong:.3f}")
    -0.000 1.000
    """
    known = ~jnp.isnan(values)
    if mask is not None:
        known &= mask.astype(bool)
    # Replaced before use, as NaN would reach the gradient even where it is masked.
    scores = jnp.where(known, scores.astype(jnp.float32), 0)
    values = jnp.where(known, values, 0)
    target = (jnp.sign(values[:, None] - values[None, :]) + 1) / 2
    distance = math.sqrt(2) * (scores[:, None] - scores[None, :])
    # erfc is exact where 1 − p would be rounded to 0.
    claimed = jax.scipy.special.erfc(-distance) / 2
    denied = jax.scipy.special.erfc(distance) / 2
    losses = _fidelity_loss(claimed, denied, target.astype(jnp.float32))
    number = jnp.arange(len(scores))
    pairs = known[:, None] & known[None, :] & (number[:, None] < number[None, :])
    return _masked_mean(losses, pairs)


def manipulated_loss(
    logits: jax.Array, is_manipulated: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """The mean fidelity loss of the probability of being manipulated.

    `1 − √(p g + ε) − √((1 − p)(1 − g) + ε)` with `p = sigmoid(logit)` and target g.

    Args:
        logits: Float `[n]`.
        is_manipulated: `[n]`, bool or 0 and 1.
        mask: Bool `[n]`, False for a row that only fills the batch; None if all count.

    Returns:
        Float32 `[]`, in [0, 1] but for rounding; 0, with a gradient of 0, if no row
        counts.
    """
    counts = jnp.ones(len(logits), bool) if mask is None else mask.astype(bool)
    logits = jnp.where(counts, logits.astype(jnp.float32), 0)
    target = is_manipulated.astype(jnp.float32)
    losses = _fidelity_loss(jax.nn.sigmoid(logits), jax.nn.sigmoid(-logits), target)
    return _masked_mean(losses, counts)


def _fidelity_loss(
    claimed: jax.Array, denied: jax.Array, target: jax.Array
) -> jax.Array:
    """The fidelity loss of p, 1 − p and the target g, see `ranking_loss`."""
    agreed = jnp.sqrt(claimed * target + EPSILON)
    return 1 - agreed - jnp.sqrt(denied * (1 - target) + EPSILON)


def _masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Expectation-maximisation of a Gaussian mixture over blocks of standardised rows.

One pass over the rows gives both the likelihood and the moments of the next mixture,
because moments are taken around the current centres. All arithmetic is float32. Kahan's
method sums the moments over the blocks and loses no more than float32 products do, so
they stay on the devices; float64 sums on the host would copy k d² numbers back and
forth in each iteration.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp

from fakedet_jax.mixture.model import Mixture, log_joint, map_components, matmul

# Smallest share of a feature's variance, not explained by the features before it, that
# float32 can tell from zero. Correlation matrices with smaller pivots get a ridge.
_MIN_PIVOT = 1e-6
_FIRST_RIDGE = 2e-6

# Added to counts so that a component without rows does not divide by zero.
_SMALL_COUNT = 1e-6

# Standardised rows, float32 `[size, d]`, and bool `[size]`, false for padding.
Block = tuple[jax.Array, jax.Array]


@flax.struct.dataclass
class Moments:
    """Sums over rows, each row weighted with its responsibilities.

    Attributes:
        counts: float32 `[k]`, sums of responsibilities.
        sums: float32 `[k, d]`, sums of differences from the centre.
        squares: float32, sums of squared differences: matrices `[k, d, d]` for "full",
            `[d, d]` for "tied", otherwise `[k, d]`.
        excess: float32, sum of log-likelihoods minus a reference, which keeps it small
            and so precise.
    """

    counts: jax.Array
    sums: jax.Array
    squares: jax.Array
    excess: jax.Array


@flax.struct.dataclass
class Running:
    """A running Kahan sum of moments.

    Attributes:
        total: The sums so far.
        lost: What rounding has removed from them.
    """

    total: Moments
    lost: Moments


@dataclasses.dataclass(frozen=True)
class Result:
    """Result of expectation-maximisation.

    Attributes:
        mixture: The last mixture.
        num_iterations: Number of maximisation steps.
        converged: Whether the mean log-likelihood changed by less than the tolerance.
        regularised: bool `[k]`, components whose covariance would be singular without
            regularisation.
    """

    mixture: Mixture
    num_iterations: int
    converged: bool
    regularised: np.ndarray


def zero_moments(mixture: Mixture) -> Running:
    """The running moments of no rows.

    Args:
        mixture: Any mixture of the same type and size.
    """
    matrices = mixture.covariance_type in ("full", "tied")

    def moments() -> Moments:
        return Moments(
            counts=jnp.zeros_like(mixture.weights),
            sums=jnp.zeros_like(mixture.centres),
            squares=jnp.zeros_like(mixture.whitening if matrices else mixture.centres),
            excess=jnp.zeros((), jnp.float32),
        )

    return Running(moments(), moments())


def accumulate(
    running: Running, mixture: Mixture, block: Block, reference: jax.Array
) -> Running:
    """Expectation step for a block of rows, a pure function.

    Args:
        running: The moments so far.
        mixture: The current mixture.
        block: Rows and their mask; padding may hold any finite numbers.
        reference: float32 scalar, a log-likelihood near the mean.

    Returns:
        The moments including these rows.
    """
    z, mask = block
    joint = log_joint(mixture, z)
    likelihoods = logsumexp(joint, axis=0)
    shares = jnp.where(mask, jnp.exp(joint - likelihoods), 0.0)
    matrices = mixture.covariance_type in ("full", "tied")

    def moments(centre: jax.Array, _: jax.Array, share: jax.Array) -> Any:
        difference = z - centre
        if matrices:
            # Equal factors make the product symmetric with a non-negative diagonal.
            half = difference * jnp.sqrt(share)[:, None]
            squares = matmul(half.T, half)
        else:
            squares = matmul(share, difference * difference)
        return matmul(share, difference), squares

    sums, squares = map_components(moments, mixture, shares)
    if mixture.covariance_type == "tied":
        squares = squares.sum(0)
    excess = jnp.where(mask, likelihoods - reference, 0.0).sum()
    return _kahan_add(running, Moments(shares.sum(1), sums, squares, excess))


def maximise(
    mixture: Mixture, moments: Moments, ridge: jax.Array
) -> tuple[Mixture, jax.Array]:
    """Maximisation step, a pure function.

    Args:
        mixture: The current mixture.
        moments: Moments of all rows around its centres.
        ridge: float32 `[d]`, positive, added to the variances.

    Returns:
        The next mixture, and bool `[k]`: components whose covariance is singular
        without the ridge.
    """
    counts = moments.counts
    weights = counts / counts.sum()
    divisors = counts + _SMALL_COUNT
    shifts = moments.sums / divisors[:, None]
    if mixture.covariance_type == "tied":
        between = matmul((weights[:, None] * shifts).T, shifts)
        matrix = moments.squares / counts.sum() - between
        whitening, one = _whiten(matrix, ridge)
        singular = jnp.broadcast_to(one, counts.shape)
    elif mixture.covariance_type == "full":

        def whiten(given: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
            squares, divisor, shift = given
            return _whiten(squares / divisor - jnp.outer(shift, shift), ridge)

        whitening, singular = lax.map(whiten, (moments.squares, divisors, shifts))
    else:
        variances = jnp.maximum(moments.squares / divisors[:, None] - shifts**2, 0)
        if mixture.covariance_type == "spherical":
            variances, ridge = variances.mean(1, keepdims=True), ridge.mean()
        singular = (variances <= ridge).any(1)
        whitening = lax.rsqrt(variances + ridge)
        if mixture.covariance_type == "spherical":
            whitening = whitening[:, 0]
    new = mixture.replace(  # type: ignore[attr-defined]
        weights=weights, centres=mixture.centres + shifts, whitening=whitening
    )
    return new, singular


def run(
    mixture: Mixture,
    blocks_fn: Callable[[], Iterable[Block]],
    ridge: jax.Array,
    tolerance: float,
    max_iterations: int,
) -> Result:
    """Runs until the mean log-likelihood settles.

    Args:
        mixture: The mixture to start from.
        blocks_fn: Returns all blocks, for each iteration anew.
        ridge: float32 `[d]`, positive, added to the variances.
        tolerance: The loop ends once the mean log-likelihood changes by less.
        max_iterations: Largest number of iterations, at least 1.
    """
    # Everything has the sharding of the mixture from the first block on; otherwise the
    # second block would be compiled again.
    sharding = mixture.weights.sharding
    mean = jax.device_put(jnp.float32(0), sharding)
    for iteration in range(max_iterations):
        running = jax.device_put(zero_moments(mixture), sharding)
        for block in blocks_fn():
            running = compiled_accumulate(running, mixture, block, mean)
        mixture, mean, change, singular = compiled_step(
            mixture, running.total, mean, ridge
        )
        # The first iteration has no earlier likelihood to compare with.
        converged = iteration > 0 and abs(float(change)) < tolerance
        if converged or np.isnan(change):
            break
    return Result(mixture, iteration + 1, converged, np.asarray(singular))


def _step(
    mixture: Mixture,
    moments: Moments,
    mean: jax.Array,
    ridge: jax.Array,
) -> tuple[Mixture, jax.Array, jax.Array, jax.Array]:
    """The next mixture, the mean log-likelihood, its change, and what is singular."""
    change = moments.excess / moments.counts.sum()
    new, singular = maximise(mixture, moments, ridge)
    return new, mean + change, change, singular


compiled_accumulate = jax.jit(accumulate)
compiled_step = jax.jit(_step)


def _kahan_add(running: Running, moments: Moments) -> Running:
    terms = jax.tree.map(jnp.add, moments, running.lost)
    total = jax.tree.map(jnp.add, running.total, terms)
    lost = jax.tree.map(
        lambda old, new, t: t - (new - old), running.total, total, terms
    )
    return Running(total, lost)


def _whiten(covariance: jax.Array, ridge: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Inverse lower Cholesky factor, and whether the matrix is singular by itself.

    Correlations are factored instead of covariances, whose features may differ by
    orders of magnitude. Where rounding makes the matrix not positive definite, as for
    fewer rows than features, a ridge grows tenfold until it is.
    """
    variances = jnp.maximum(jnp.diagonal(covariance), 0)
    identity = jnp.eye(len(covariance), dtype=covariance.dtype)
    deviations = jnp.sqrt(variances + ridge)
    # Rounding may have made the diagonal of the covariance negative.
    raised = jnp.where(identity > 0, jnp.diag(variances + ridge), covariance)
    correlation = raised / deviations[:, None] / deviations

    def fails(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        extra, factor = state
        # A factorisation that failed gives NaN, for which the comparison is false.
        found = jnp.square(jnp.diagonal(factor)).min() >= _MIN_PIVOT
        return ~found & (extra < 1)

    def raise_ridge(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        extra = jnp.maximum(10 * state[0], _FIRST_RIDGE)
        return extra, jnp.linalg.cholesky(correlation + extra * identity)

    first = (jnp.float32(0), jnp.linalg.cholesky(correlation))
    extra, factor = lax.while_loop(fails, raise_ridge, first)
    inverse = jax.scipy.linalg.solve_triangular(factor, identity, lower=True)
    # The variance, ridge included, that the features before a feature do not explain.
    unexplained = jnp.square(jnp.diagonal(factor) * deviations)
    singular = (extra > 0) | (unexplained <= 2 * ridge).any()
    return inverse / deviations, singular

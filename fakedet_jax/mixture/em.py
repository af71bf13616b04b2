# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Expectation-maximisation of a Gaussian mixture over blocks of standardised rows.

One pass over the rows gives both the likelihood and the moments of the next mixture,
since moments are taken around the present centres. All is float32: the moments of
centred, standardised rows are summed by Kahan's method from block to block, which loses
no more than products of float32 do, and is what leaves the loop on the devices; float64
on the host would copy k d² numbers there and back in each iteration.
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

# Shares of a feature's variance that the features before it do not explain; float32
# cannot tell smaller ones from none. Correlations that have them get a ridge.
_MIN_PIVOT = 1e-6
_FIRST_RIDGE = 2e-6

# Added to counts, so that a component without rows does not divide by zero.
_SMALL_COUNT = 1e-6

# Standardised rows `[size, d]` and the mask `[size]` of rows that are no padding.
Block = tuple[jax.Array, jax.Array]


@flax.struct.dataclass
class Moments:
    """Sums over rows, each row weighted with its responsibilities.

    Attributes:
        counts: float32 `[k]`, of responsibilities.
        sums: float32 `[k, d]`, of differences from the centre.
        squares: float32, of squares of the differences: matrices `[k, d, d]` of "full",
            `[d, d]` of "tied", else `[k, d]`.
        excess: float32, of log-likelihoods less a reference: small numbers keep digits.
    """

    counts: jax.Array
    sums: jax.Array
    squares: jax.Array
    excess: jax.Array


@flax.struct.dataclass
class Running:
    """Moments so far, and what rounding took from them."""

    total: Moments
    lost: Moments


@dataclasses.dataclass(frozen=True)
class Result:
    """Where expectation-maximisation ended.

    Attributes:
        mixture: The mixture.
        num_iterations: Maximisations until then.
        converged: Whether the mean log-likelihood changed less than the tolerance.
        regularised: bool `[k]`, whose covariance is singular but for regularisation.
    """

    mixture: Mixture
    num_iterations: int
    converged: bool
    regularised: np.ndarray


def zero_moments(mixture: Mixture) -> Running:
    """No rows so far."""
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
    """The expectation step of a block of rows, a pure function.

    Args:
        running: The moments so far.
        mixture: The present mixture.
        block: Rows, and false for padding, which may hold any finite numbers.
        reference: float32, some log-likelihood near the mean.

    Returns:
        The moments with these rows.
    """
    z, mask = block
    joint = log_joint(mixture, z)
    likelihoods = logsumexp(joint, axis=0)
    shares = jnp.where(mask, jnp.exp(joint - likelihoods), 0.0)
    matrices = mixture.covariance_type in ("full", "tied")

    def moments(centre: jax.Array, _: jax.Array, share: jax.Array) -> Any:
        difference = z - centre
        if matrices:
            # Of equal factors, so that it is symmetric and has no negative diagonal.
            half = difference * jnp.sqrt(share)[:, None]
            squares = matmul(half.T, half)
        else:
            squares = matmul(share, difference * difference)
        return matmul(share, difference), squares

    sums, squares = map_components(moments, mixture, shares)
    if mixture.covariance_type == "tied":
        squares = squares.sum(0)
    excess = jnp.where(mask, likelihoods - reference, 0.0).sum()
    return _add(running, Moments(shares.sum(1), sums, squares, excess))


def maximise(
    mixture: Mixture, moments: Moments, ridge: jax.Array
) -> tuple[Mixture, jax.Array]:
    """The maximisation step, a pure function.

    Args:
        mixture: The present mixture.
        moments: Of all rows, around its centres.
        ridge: float32 `[d]`, added to the variances, positive.

    Returns:
        The next mixture, and bool `[k]`: whose covariance is singular without ridge.
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


@jax.jit
def _loop(
    mixture: Mixture,
    blocks: Block,
    ridge: jax.Array,
    tolerance: jax.Array,
    max_iterations: jax.Array,
) -> Any:
    def step(state: Any) -> Any:
        mixture, mean, _, iteration, _ = state

        def add_block(running: Running, block: Block) -> tuple[Running, None]:
            return accumulate(running, mixture, block, mean), None

        running, _ = lax.scan(add_block, zero_moments(mixture), blocks)
        return _step(mixture, running.total, mean, iteration, ridge)

    def goes_on(state: Any) -> jax.Array:
        _, _, change, iteration, _ = state
        return (iteration < max_iterations) & (jnp.abs(change) >= tolerance)

    return lax.while_loop(goes_on, step, _first(mixture))


def run(
    mixture: Mixture,
    blocks: Block,
    ridge: jax.Array,
    tolerance: float,
    max_iterations: int,
) -> Result:
    """Runs until the mean log-likelihood settles, as one compiled loop.

    Args:
        mixture: The start.
        blocks: Stacks of blocks, `[blocks, size, d]` and bool `[blocks, size]`.
        ridge: float32 `[d]`, added to the variances, positive.
        tolerance: Ends once the mean log-likelihood changes by less.
        max_iterations: Ends here at the latest.

    Returns:
        The end.
    """
    limit = jnp.float32(tolerance)
    state = _loop(mixture, blocks, ridge, limit, jnp.int32(max_iterations))
    return _result(state, tolerance)


def run_stream(
    mixture: Mixture,
    blocks_fn: Callable[[], Iterable[Block]],
    ridge: jax.Array,
    tolerance: float,
    max_iterations: int,
) -> Result:
    """Runs the same over blocks that come one by one, anew in each iteration."""
    # All lies on the mixture's devices from the first block on, or else what is
    # compiled for the first block would be compiled again for the second.
    everywhere = mixture.weights.sharding
    state = jax.device_put(_first(mixture), everywhere)
    for _ in range(max_iterations):
        mixture, mean, _, iteration, _ = state
        running = jax.device_put(zero_moments(mixture), everywhere)
        for block in blocks_fn():
            running = _compiled_accumulate(running, mixture, block, mean)
        state = _compiled_step(mixture, running.total, mean, iteration, ridge)
        if abs(float(state[2])) < tolerance:
            break
    return _result(state, tolerance)


def _first(mixture: Mixture) -> Any:
    """State before the first iteration: mixture, mean, change, iteration, singular."""
    singular = jnp.zeros(mixture.num_components, bool)
    infinity = jnp.float32(jnp.inf)
    return mixture, jnp.float32(0), infinity, jnp.int32(0), singular


def _step(
    mixture: Mixture,
    moments: Moments,
    mean: jax.Array,
    iteration: jax.Array,
    ridge: jax.Array,
) -> Any:
    change = moments.excess / moments.counts.sum()
    new, singular = maximise(mixture, moments, ridge)
    # Before the first iteration there was no likelihood to compare with.
    shown = jnp.where(iteration == 0, jnp.inf, change)
    return new, mean + change, shown, iteration + 1, singular


_compiled_accumulate = jax.jit(accumulate)
_compiled_step = jax.jit(_step)


def _result(state: Any, tolerance: float) -> Result:
    mixture, _, change, iteration, singular = state
    converged = abs(float(change)) < tolerance
    return Result(mixture, int(iteration), converged, np.asarray(singular))


def _add(running: Running, moments: Moments) -> Running:
    """Kahan's compensated sum."""
    terms = jax.tree.map(jnp.add, moments, running.lost)
    total = jax.tree.map(jnp.add, running.total, terms)
    lost = jax.tree.map(
        lambda old, new, t: t - (new - old), running.total, total, terms
    )
    return Running(total, lost)


def _whiten(covariance: jax.Array, ridge: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Inverse lower Cholesky factor, and whether the matrix is singular by itself.

    Correlations are factored instead of covariances, whose features may differ by
    orders of magnitude. Where rounding leaves no positive matrix, as it does of fewer
    rows than features, a ridge on them is raised tenfold until it is one.
    """
    variances = jnp.maximum(jnp.diagonal(covariance), 0)
    identity = jnp.eye(len(covariance), dtype=covariance.dtype)
    deviations = jnp.sqrt(variances + ridge)
    # The diagonal as it was computed; rounding may have taken it below zero.
    raised = jnp.where(identity > 0, jnp.diag(variances + ridge), covariance)
    correlation = raised / deviations[:, None] / deviations

    def fails(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        extra, factor = state
        # A factor that was not found is NaN, which no comparison holds for.
        found = jnp.square(jnp.diagonal(factor)).min() >= _MIN_PIVOT
        return ~found & (extra < 1)

    def raise_ridge(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        extra = jnp.maximum(10 * state[0], _FIRST_RIDGE)
        return extra, jnp.linalg.cholesky(correlation + extra * identity)

    first = (jnp.float32(0), jnp.linalg.cholesky(correlation))
    extra, factor = lax.while_loop(fails, raise_ridge, first)
    inverse = jax.scipy.linalg.solve_triangular(factor, identity, lower=True)
    # What the features before a feature leave of its variance, the ridge included.
    left = jnp.square(jnp.diagonal(factor) * deviations)
    singular = (extra > 0) | (left <= 2 * ridge).any()
    return inverse / deviations, singular

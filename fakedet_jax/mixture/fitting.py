# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits a Gaussian mixture to rows in memory or in a stream, on all devices."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.sharding import Mesh
from numpy.typing import ArrayLike

from fakedet_jax.errors import RequestError
from fakedet_jax.mixture import em, model, rows
from fakedet_jax.mixture.model import Mixture
from fakedet_jax.runtime import checkpoint, parallel

# Smallest ridge of a standardised feature: float32 cannot resolve smaller variances.
_MIN_VARIANCE = 1e-12

# Standard deviation, in standardised coordinates, of the initial components: so narrow
# that every row belongs to the nearest centre.
_START_DEVIATION = 1e-3

# Smallest scale whose reciprocal is a float32.
_MIN_SCALE = 1e-30

# Returns batches of rows `[n, d]`, the same ones at each call.
BatchesFn = Callable[[], Iterable[np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """The best of all restarts.

    Attributes:
        mixture: The mixture.
        log_likelihood: Mean log-likelihood of all rows, natural logarithm.
        num_iterations: Number of iterations of the restart that found the mixture.
        converged: Whether its likelihood settled within `max_iterations`.
        num_rows: Number of rows.
        regularised: bool `[k]`, components whose covariance would be singular without
            regularisation, such as those of identical rows or of fewer rows than
            features.
        warnings: One line for each problem of the rows or the mixture.
    """

    mixture: Mixture
    log_likelihood: float
    num_iterations: int
    converged: bool
    num_rows: int
    regularised: np.ndarray
    warnings: tuple[str, ...]

    @property
    def bic(self) -> float:
        """Bayesian information criterion of the fitted rows; lower is better."""
        return model.bic_of_mean(self.mixture, self.log_likelihood, self.num_rows)


@dataclasses.dataclass(frozen=True, eq=False)
class Chosen:
    """The mixture whose number of components has the lowest BIC.

    Attributes:
        fitted: The mixture.
        bics: BIC by number of components.
    """

    fitted: Fitted
    bics: dict[int, float]

    @property
    def num_components(self) -> int:
        """The chosen number of components."""
        return self.fitted.mixture.num_components


def fit(
    x: ArrayLike | jax.Array | BatchesFn,
    num_components: int,
    *,
    covariance_type: str = "full",
    reg_covar: float = 1e-6,
    tolerance: float = 1e-3,
    max_iterations: int = 100,
    num_restarts: int = 1,
    seed: int = 0,
    init: Mixture | None = None,
    mesh: Mesh | None = None,
) -> Fitted:
    """Fits a mixture to rows.

    Args:
        x: Rows `[n, d]` with n ≥ k, of any numeric dtype, used as float32; the same in
            each process. Or a function that returns batches of rows, see `fit_stream`.
        num_components: Number of components, k.
        covariance_type: One of `COVARIANCE_TYPES`.
        reg_covar: Added to each variance, in squared units of the rows; at least 10⁻¹²
            of the feature's variance is used. Matrices that rounding makes not positive
            definite, such as those of fewer rows than features, get another 2·10⁻⁶ of
            each variance or more; `Fitted.regularised` tells which components.
        tolerance: A restart ends once the mean log-likelihood changes by less.
        max_iterations: Largest number of iterations of a restart.
        num_restarts: Number of starts by k-means++; the best result is returned.
        seed: Seed of the starts, which do not depend on the number of devices.
        init: Mixture to start from instead; its offset and scale standardise the rows.
        mesh: The devices; all of them by default.

    Raises:
        RequestError: Rows are too few or not finite.
        ValueError: An argument is out of range, or `init` has another shape.
    """
    model.check_covariance_type(covariance_type)
    for name, value, least in (
        ("num_components", num_components, 1),
        ("reg_covar", reg_covar, 0),
        ("tolerance", tolerance, 0),
        ("max_iterations", max_iterations, 1),
        ("num_restarts", num_restarts, 1),
    ):
        if not least <= value < math.inf:
            raise ValueError(
                f"{name}: expected a number of at least {least}, found {value}"
            )
    in_memory = not callable(x)
    source: Any = np.asarray(x) if in_memory else x

    def batches_fn() -> Iterator[np.ndarray]:
        return rows.chunks(source) if in_memory else map(np.asarray, source())

    mesh = parallel.data_mesh() if mesh is None else mesh
    survey = rows.survey(batches_fn(), seed)
    if survey.count < num_components:
        raise RequestError(
            f"embeddings: expected at least {num_components} rows, one for each "
            f"component, found {survey.count}; give more pictures or fewer components"
        )
    starts: Iterable[Mixture]
    if init is None:
        offset, scale = _standardisation(survey, covariance_type, reg_covar)
        rngs = (np.random.default_rng([seed, 2, n]) for n in range(num_restarts))
        starts = (
            _start(survey, num_components, covariance_type, offset, scale, rng)
            for rng in rngs
        )
    else:
        _check_init(init, num_components, len(survey.mean), covariance_type)
        offset, scale = np.asarray(init.offset), np.asarray(init.scale)
        starts = (init,)
    ridge = jnp.asarray(
        np.maximum(reg_covar / np.square(scale, dtype=float), _MIN_VARIANCE),
        jnp.float32,
    )
    size = rows.block_size(survey.count, mesh.size)

    def blocks_fn() -> Iterator[em.Block]:
        count = 0
        for z, mask in rows.blocks(batches_fn(), offset, scale, size):
            count += int(mask.sum())
            yield jax.device_put((z, mask), parallel.batch_sharding(mesh))
        if count != survey.count:
            raise ValueError(
                f"batches_fn: expected the same {survey.count} rows at each call, "
                f"found {count}"
            )

    # Rows in memory stay on the devices.
    held = list(blocks_fn()) if in_memory else None
    all_blocks = blocks_fn if held is None else lambda: held
    best: tuple[float, em.Result] | None = None
    for start in starts:
        start = parallel.replicate(mesh, start)
        result = em.run(start, all_blocks, ridge, tolerance, max_iterations)
        likelihood = _mean_log_likelihood(result.mixture, all_blocks())
        if best is None or not likelihood <= best[0]:
            best = likelihood, result
    assert best is not None
    likelihood, result = best
    if not math.isfinite(likelihood):
        raise RequestError(
            f"embeddings: expected a finite likelihood, found {likelihood}; check "
            "their range, and raise `reg_covar`"
        )
    return Fitted(
        # On one device, so that it can be used with rows on any devices.
        mixture=jax.tree.map(
            lambda a: jnp.asarray(parallel.to_host(a)), result.mixture
        ),
        log_likelihood=likelihood,
        num_iterations=result.num_iterations,
        converged=result.converged,
        num_rows=survey.count,
        regularised=result.regularised,
        warnings=tuple(_warnings(survey, result)),
    )


def fit_stream(batches_fn: BatchesFn, num_components: int, **options: Any) -> Fitted:
    """Fits the same mixture as `fit` to rows that need not fit into memory.

    Args:
        batches_fn: Returns batches of rows `[n, d]`, the same rows in the same order at
            each call; n may differ between batches. It is called once for each
            iteration and twice more.
        num_components: Number of components.
        **options: Keyword arguments of `fit`.

    Raises:
        RequestError: Rows are too few or not finite.
        ValueError: See `fit`; or a later call returned another number of rows.
    """
    return fit(batches_fn, num_components, **options)


def choose_num_components(
    x: ArrayLike | jax.Array | BatchesFn, candidates: Iterable[int], **options: Any
) -> Chosen:
    """Fits a mixture for each number of components and takes the one of lowest BIC.

    Args:
        x: Rows, see `fit`.
        candidates: Numbers of components to try.
        **options: Keyword arguments of `fit`.

    Returns:
        The choice; the smaller number where two have the same BIC.

    Raises:
        RequestError: Rows are too few or not finite.
        ValueError: There are no candidates, or an option is out of range.
    """
    best: Fitted | None = None
    bics: dict[int, float] = {}
    for number in sorted(set(candidates)):
        fitted = fit(x, number, **options)
        bics[number] = fitted.bic
        if best is None or fitted.bic < best.bic:
            best = fitted
    if best is None:
        raise ValueError("candidates: expected numbers of components, found none")
    return Chosen(best, bics)


def abstract_pass(
    mixture: Mixture, num_rows: int, mesh: Mesh
) -> tuple[Any, tuple[Any, ...]]:
    """What a fit runs for each block of rows in each iteration, for a compiler.

    Args:
        mixture: Shapes of the mixture, from `model.abstract`.
        num_rows: Rows of the block, a multiple of the number of devices.
        mesh: The devices, which may be absent ones.

    Returns:
        A function that `jax.jit` returned, and the shapes of its arguments, with
        shardings.
    """
    block = (
        jax.ShapeDtypeStruct((num_rows, mixture.num_features), jnp.float32),
        jax.ShapeDtypeStruct((num_rows,), jnp.bool_),
    )
    running = jax.eval_shape(em.zero_moments, mixture)
    reference = jax.ShapeDtypeStruct((), jnp.float32)
    running, mixture, reference = checkpoint.abstract_like(
        (running, mixture, reference), parallel.replicated(mesh)
    )
    block = checkpoint.abstract_like(block, parallel.batch_sharding(mesh))
    return em.compiled_accumulate, (running, mixture, block, reference)


def _standardisation(
    survey: rows.Survey, covariance_type: str, reg_covar: float
) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale of the rows, float32 `[d]`."""
    variance = survey.variance
    if covariance_type == "spherical":
        # Different scales would make a different model.
        variance = np.full_like(variance, variance.mean())
    scale = np.sqrt(variance + reg_covar)
    scale = np.where(scale > 0, np.maximum(scale, _MIN_SCALE), 1)
    return survey.mean.astype(np.float32), scale.astype(np.float32)


def _start(
    survey: rows.Survey,
    num_components: int,
    covariance_type: str,
    offset: np.ndarray,
    scale: np.ndarray,
    rng: np.random.Generator,
) -> Mixture:
    """A mixture of narrow components around centres that are drawn from the rows."""
    (z, _) = next(rows.blocks([survey.sample], offset, scale, len(survey.sample)))
    num_features = z.shape[1]
    shape = model.whitening_shape(covariance_type, num_components, num_features)
    whitening = np.full(shape, 1 / _START_DEVIATION, np.float32)
    if covariance_type in ("full", "tied"):
        whitening *= np.eye(num_features, dtype=np.float32)
    weights = np.full(num_components, 1 / num_components, np.float32)
    centres = rows.draw_centres(z, num_components, rng)
    return model.from_arrays(
        weights, centres, whitening, offset, scale, covariance_type
    )


def _mean_log_likelihood(mixture: Mixture, blocks: Iterable[em.Block]) -> float:
    """Mean over all rows, summed in float64."""
    total, count = 0.0, 0
    for z, mask in blocks:
        values = parallel.to_host(_standardised_log_likelihoods(mixture, z))
        kept = values[parallel.to_host(mask)]
        total, count = total + float(kept.sum(dtype=np.float64)), count + len(kept)
    return total / count - float(np.log(np.asarray(mixture.scale, np.float64)).sum())


@jax.jit
def _standardised_log_likelihoods(mixture: Mixture, z: jax.Array) -> jax.Array:
    return jnp.asarray(logsumexp(model.log_joint(mixture, z), axis=0))


def _check_init(
    init: Mixture, num_components: int, num_features: int, covariance_type: str
) -> None:
    found = (init.covariance_type, init.num_components, init.num_features)
    expected = (covariance_type, num_components, num_features)
    if found != expected:
        raise ValueError(
            "init: expected type, number of components and features "
            f"{', '.join(map(str, expected))}, found {', '.join(map(str, found))}"
        )


def _warnings(survey: rows.Survey, result: em.Result) -> Iterator[str]:
    num_constant = int((survey.variance == 0).sum())
    if num_constant == len(survey.variance):
        yield f"embeddings: all {survey.count} rows are identical"
    elif num_constant:
        yield (
            f"embeddings: {num_constant} of {len(survey.variance)} features are the "
            "same in all rows"
        )
    numbers = np.flatnonzero(result.regularised)
    if len(numbers):
        yield (
            f"mixture: {len(numbers)} of {len(result.regularised)} components have a "
            "covariance that is singular without regularisation, because rows are "
            "identical or too few; a larger `reg_covar`, fewer components or a simpler "
            "covariance, such as diagonal, may generalise better"
        )

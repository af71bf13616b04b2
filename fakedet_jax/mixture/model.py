# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A Gaussian mixture and its densities, as pure functions of parameters and rows.

All arithmetic is float32. It is precise enough because rows are standardised first,
with an offset and a scale per feature, and because distances are computed from
differences to a component's mean, never from products of the rows themselves.

References:
    Schwarz: "Estimating the dimension of a model", Annals of Statistics 6 (1978)
    (`bic`).
"""

import math
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from numpy.typing import ArrayLike

# "full": a matrix per component; "tied": one matrix for all components; "diagonal": a
# variance per component and feature; "spherical": a variance per component.
COVARIANCE_TYPES = ("full", "tied", "diagonal", "spherical")

Rows = jax.Array | np.ndarray

# By default, accelerators round float32 factors to about ten bits.
_PRECISION = lax.Precision.HIGHEST


@flax.struct.dataclass
class Mixture:
    """A mixture of k Gaussians over d features, in standardised coordinates.

    A row x is standardised as z = (x − offset) / scale. `means` and `covariances`
    return the parameters for x itself.

    Attributes:
        weights: float32 `[k]`, sums to 1.
        centres: float32 `[k, d]`, means of z.
        whitening: float32, maps z − centre to a vector of unit covariance: the inverse
            of the covariance's lower Cholesky factor, `[k, d, d]` for "full", `[d, d]`
            for "tied"; or reciprocal standard deviations, `[k, d]` for "diagonal",
            `[k]` for "spherical".
        offset: float32 `[d]`.
        scale: float32 `[d]`, positive; equal values for "spherical".
        covariance_type: One of `COVARIANCE_TYPES`.
    """

    weights: jax.Array
    centres: jax.Array
    whitening: jax.Array
    offset: jax.Array
    scale: jax.Array
    covariance_type: str = flax.struct.field(pytree_node=False, default="full")

    @property
    def num_components(self) -> int:
        """Number of Gaussians, k."""
        return self.centres.shape[0]

    @property
    def num_features(self) -> int:
        """Length of a row, d."""
        return self.centres.shape[1]

    @property
    def means(self) -> np.ndarray:
        """Means of x, float64 `[k, d]`; not available under `jit`."""
        centres = np.asarray(self.centres, np.float64)
        return centres * np.asarray(self.scale) + np.asarray(self.offset)

    @property
    def covariances(self) -> np.ndarray:
        """Covariances of x, float64; not available under `jit`.

        Their shape is that of scikit-learn's `covariances_`: `[k, d, d]`, `[d, d]`,
        `[k, d]` or `[k]`, depending on the type.
        """
        whitening = np.asarray(self.whitening, np.float64)
        scale = np.asarray(self.scale, np.float64)
        if self.covariance_type == "spherical":
            return np.square(scale[0] / whitening)
        if self.covariance_type == "diagonal":
            return np.square(scale / whitening)
        factor = scale[:, None] * np.linalg.inv(whitening)
        return np.matmul(factor, np.swapaxes(factor, -1, -2))


def from_parameters(
    weights: ArrayLike,
    means: ArrayLike,
    covariances: ArrayLike,
    covariance_type: str = "full",
) -> Mixture:
    """Builds a mixture from its parameters, which may be float64.

    Args:
        weights: `[k]`, sums to 1.
        means: `[k, d]`.
        covariances: Covariance matrices `[k, d, d]` or `[d, d]`, or variances `[k, d]`
            or `[k]`, depending on the type.
        covariance_type: One of `COVARIANCE_TYPES`.

    Returns:
        The mixture, standardised with its own mean and variances.

    Raises:
        ValueError: The shapes do not fit together, or a covariance is not positive
            definite.

    >>> from_parameters([0.5, 0.5], [[0, 0], [10, 0]], [1, 4], "spherical").covariances
    array([1., 4.])
    """
    weights, means, covariances = (
        np.asarray(values, np.float64) for values in (weights, means, covariances)
    )
    check_covariance_type(covariance_type)
    if means.ndim != 2 or weights.shape != means.shape[:1]:
        raise ValueError(
            "mixture: expected weights [k] and means [k, d], found shapes "
            f"{list(weights.shape)} and {list(means.shape)}"
        )
    expected = whitening_shape(covariance_type, *means.shape)
    if covariances.shape != expected:
        raise ValueError(
            f"mixture: expected {covariance_type} covariances {list(expected)}, found "
            f"shape {list(covariances.shape)}"
        )
    offset = weights @ means
    variances = _variances(covariances, covariance_type, means.shape)
    total = weights @ (variances + np.square(means - offset))
    if not (total > 0).all():
        raise ValueError("mixture: expected positive variances, found others")
    scale = np.sqrt(total)
    if covariance_type == "spherical":
        scale = np.full_like(scale, np.sqrt(total.mean()))
    # Rounded before use, so that the parameters match the standardised rows.
    offset, scale = offset.astype(np.float32), scale.astype(np.float32)
    if covariance_type in ("full", "tied"):
        standardised = covariances / np.multiply.outer(scale, scale).astype(np.float64)
        try:
            factor = np.linalg.cholesky(standardised)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                "mixture: expected positive definite covariances, found others"
            ) from error
        whitening = np.tril(np.linalg.inv(factor))
    else:
        if not (covariances > 0).all():
            raise ValueError("mixture: expected positive variances, found others")
        divisor = scale if covariance_type == "diagonal" else scale[0]
        whitening = divisor / np.sqrt(covariances)
    centres = (means - offset) / scale
    return from_arrays(weights, centres, whitening, offset, scale, covariance_type)


def from_arrays(
    weights: ArrayLike,
    centres: ArrayLike,
    whitening: ArrayLike,
    offset: ArrayLike,
    scale: ArrayLike,
    covariance_type: str,
) -> Mixture:
    """Builds a `Mixture` from its attributes; the shapes are not checked.

    Args:
        weights: Numbers `[k]`; like all others they become float32.
        centres: Numbers `[k, d]`.
        whitening: Numbers of the shape `whitening_shape`.
        offset: Numbers `[d]`.
        scale: Numbers `[d]`, positive.
        covariance_type: One of `COVARIANCE_TYPES`.
    """
    return Mixture(
        weights=jnp.asarray(weights, jnp.float32),
        centres=jnp.asarray(centres, jnp.float32),
        whitening=jnp.asarray(whitening, jnp.float32),
        offset=jnp.asarray(offset, jnp.float32),
        scale=jnp.asarray(scale, jnp.float32),
        covariance_type=covariance_type,
    )


def abstract(covariance_type: str, num_components: int, num_features: int) -> Mixture:
    """Shapes of a mixture; nothing is computed.

    Args:
        covariance_type: One of `COVARIANCE_TYPES`.
        num_components: Number of components.
        num_features: Length of a row.

    Returns:
        A mixture of `jax.ShapeDtypeStruct`.
    """

    def floats(*shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    return Mixture(
        weights=floats(num_components),
        centres=floats(num_components, num_features),
        whitening=floats(
            *whitening_shape(covariance_type, num_components, num_features)
        ),
        offset=floats(num_features),
        scale=floats(num_features),
        covariance_type=covariance_type,
    )


@jax.jit
def log_likelihoods(mixture: Mixture, x: Rows | ArrayLike) -> jax.Array:
    """Computes the log-density of each row.

    Args:
        mixture: The mixture.
        x: Rows `[n, d]`, used as float32; they may be sharded along n.

    Returns:
        float32 `[n]`, natural logarithms; NaN for rows that contain NaN.

    Raises:
        ValueError: `x` does not have the shape `[n, d]`.
    """
    return jnp.asarray(logsumexp(_log_joint_of_rows(mixture, x), axis=0))


@jax.jit
def responsibilities(mixture: Mixture, x: Rows | ArrayLike) -> jax.Array:
    """Computes the probability of each component given the row, float32 `[n, k]`.

    Args:
        mixture: The mixture.
        x: Rows `[n, d]`, used as float32; they may be sharded along n.

    Raises:
        ValueError: `x` does not have the shape `[n, d]`.
    """
    return jax.nn.softmax(_log_joint_of_rows(mixture, x), axis=0).T


def num_parameters(covariance_type: str, num_components: int, num_features: int) -> int:
    """Number of free parameters of a mixture.

    Args:
        covariance_type: One of `COVARIANCE_TYPES`.
        num_components: Number of components, k.
        num_features: Length of a row, d.

    Raises:
        ValueError: The type is unknown.

    >>> num_parameters("full", 12, 768)
    3552779
    """
    check_covariance_type(covariance_type)
    triangle = num_features * (num_features + 1) // 2
    of_covariances = {
        "full": num_components * triangle,
        "tied": triangle,
        "diagonal": num_components * num_features,
        "spherical": num_components,
    }[covariance_type]
    return of_covariances + num_components * num_features + num_components - 1


def bic(mixture: Mixture, x: Rows | ArrayLike) -> float:
    """Bayesian information criterion (Schwarz, 1978); lower is better.

    Args:
        mixture: The mixture.
        x: Rows `[n, d]`.

    Returns:
        p log n − 2 log L, with p free parameters and the likelihood L of all rows.

    Raises:
        ValueError: `x` does not have the shape `[n, d]`.
    """
    values = np.asarray(log_likelihoods(mixture, x), np.float64)
    return bic_of_mean(mixture, float(values.mean()), len(values))


def bic_of_mean(mixture: Mixture, log_likelihood: float, num_rows: int) -> float:
    """Like `bic`, for rows whose likelihood is known.

    Args:
        mixture: The mixture.
        log_likelihood: Mean log-likelihood of the rows, natural logarithm.
        num_rows: Number of rows.
    """
    count = num_parameters(
        mixture.covariance_type, mixture.num_components, mixture.num_features
    )
    return count * math.log(num_rows) - 2 * log_likelihood * num_rows


def check_covariance_type(covariance_type: str) -> None:
    """Raises ValueError if the type is none of `COVARIANCE_TYPES`."""
    if covariance_type not in COVARIANCE_TYPES:
        raise ValueError(
            f"covariance_type: expected one of {', '.join(COVARIANCE_TYPES)}, found "
            f"{covariance_type!r}"
        )


def whitening_shape(
    covariance_type: str, num_components: int, num_features: int
) -> tuple[int, ...]:
    """Shape of the whitening and of the covariances of a mixture.

    Args:
        covariance_type: One of `COVARIANCE_TYPES`.
        num_components: Number of components, k.
        num_features: Length of a row, d.
    """
    return {
        "full": (num_components, num_features, num_features),
        "tied": (num_features, num_features),
        "diagonal": (num_components, num_features),
        "spherical": (num_components,),
    }[covariance_type]


def log_joint(mixture: Mixture, z: jax.Array) -> jax.Array:
    """Computes the joint log-density of each component and row.

    Args:
        mixture: The mixture.
        z: Standardised rows, float32 `[n, d]`.

    Returns:
        log p(component, z), float32 `[k, n]`, natural logarithms.
    """

    def squared_distances(centre: jax.Array, whitening: jax.Array) -> jax.Array:
        difference = z - centre
        if whitening.ndim == 2:
            white = matmul(difference, whitening.T)
        else:
            white = difference * whitening
        return jnp.sum(white * white, axis=-1)

    distances = map_components(squared_distances, mixture)
    constants = jnp.log(mixture.weights) + _log_determinants(mixture)
    constants -= 0.5 * math.log(2 * math.pi) * mixture.num_features
    return constants[:, None] - 0.5 * distances


def map_components(
    function: Callable[..., Any], mixture: Mixture, *more: jax.Array
) -> Any:
    """Applies a function to the components one by one, in the memory of one of them.

    Args:
        function: Function of a centre `[d]`, a whitening and entries of `more`.
        mixture: The mixture.
        *more: Arrays `[k, ...]`.

    Returns:
        The results, stacked to `[k, ...]`.
    """
    if mixture.covariance_type == "tied":
        return lax.map(
            lambda given: function(given[0], mixture.whitening, *given[1:]),
            (mixture.centres, *more),
        )
    return lax.map(
        lambda given: function(*given), (mixture.centres, mixture.whitening, *more)
    )


def matmul(left: jax.Array, right: jax.Array) -> jax.Array:
    """Matrix product with full float32 precision on any device.

    Args:
        left: float32 `[..., n, m]`, or `[m]`.
        right: float32 `[..., m, p]`.
    """
    return jnp.matmul(left, right, precision=_PRECISION)


def _log_joint_of_rows(mixture: Mixture, x: Rows | ArrayLike) -> jax.Array:
    rows = jnp.asarray(x, jnp.float32)
    if rows.ndim != 2 or rows.shape[1] != mixture.num_features:
        raise ValueError(
            f"mixture: expected rows [n, {mixture.num_features}], found shape "
            f"{list(rows.shape)}"
        )
    joint = log_joint(mixture, (rows - mixture.offset) / mixture.scale)
    return joint - jnp.log(mixture.scale).sum()


def _log_determinants(mixture: Mixture) -> jax.Array:
    """Log-determinants of the whitenings, `[k]` or a scalar."""
    whitening = mixture.whitening
    if mixture.covariance_type == "spherical":
        return mixture.num_features * jnp.log(whitening)
    if mixture.covariance_type != "diagonal":
        whitening = jnp.diagonal(whitening, axis1=-2, axis2=-1)
    return jnp.log(whitening).sum(-1)


def _variances(
    covariances: np.ndarray, covariance_type: str, shape: tuple[int, int]
) -> np.ndarray:
    """Each component's variance of each feature, `[k, d]`."""
    if covariance_type in ("full", "tied"):
        covariances = np.diagonal(covariances, axis1=-2, axis2=-1)
    elif covariance_type == "spherical":
        covariances = covariances[:, None]
    return np.broadcast_to(covariances, shape)

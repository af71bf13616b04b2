# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.mixture, on eight devices, against scikit-learn in float64."""

import numpy as np
from sklearn import mixture as reference

SKLEARN_TYPES = {
    "full": "full",
    "tied": "tied",
    "diagonal": "diag",
    "spherical": "spherical",
}
NUM_ROWS, NUM_FEATURES, NUM_COMPONENTS = 301, 5, 3


def clustered_rows(
    num_rows: int = NUM_ROWS, num_features: int = NUM_FEATURES, seed: int = 0
) -> np.ndarray:
    """Three correlated clusters that overlap, float32, in random order."""
    rng = np.random.default_rng(seed)
    parts = []
    for share in np.array_split(np.arange(num_rows), NUM_COMPONENTS):
        shape = rng.normal(size=(num_features, num_features)) / np.sqrt(num_features)
        centre = rng.normal(0, 3, num_features)
        parts.append(rng.normal(size=(len(share), num_features)) @ shape + centre)
    rows = np.concatenate(parts).astype(np.float32)
    return rows[rng.permutation(num_rows)]


def parameters(covariance_type: str, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Weights, means and covariances, none of them fitted, float64."""
    rng = np.random.default_rng(seed)
    k, d = NUM_COMPONENTS, NUM_FEATURES
    weights = np.asarray([0.2, 0.5, 0.3])
    means = rng.normal(0, 3, (k, d))
    factors = rng.normal(size=(k, d, d)) / 2 + np.eye(d)
    matrices = factors @ np.swapaxes(factors, 1, 2)
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diagonal": rng.uniform(0.5, 4, (k, d)),
        "spherical": rng.uniform(0.5, 4, k),
    }[covariance_type]
    return weights, means, covariances


def sklearn_mixture(
    covariance_type: str, given: tuple[np.ndarray, ...], **options
) -> reference.GaussianMixture:
    """One that starts from the parameters."""
    weights, means, covariances = given
    if covariance_type in ("full", "tied"):
        precisions = np.linalg.inv(covariances)
    else:
        precisions = 1 / covariances
    return reference.GaussianMixture(
        len(weights),
        covariance_type=SKLEARN_TYPES[covariance_type],
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
        **options,
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures of embeddings, fitted by expectation-maximisation on any mesh.

A mixture that is fitted to the embeddings of faces in photographs gives a low
log-likelihood to faces that are unlike them. It is implemented in JAX, unlike
scikit-learn's, so that it runs on accelerators and on rows that exceed the memory.

References:
    Zou, Yu, Zhan, Ma: "Self-supervised learning for detecting AI-generated faces as
    anomalies", ICASSP 2025, arXiv 2501.02207.
    Dempster, Laird, Rubin: "Maximum likelihood from incomplete data via the EM
    algorithm", 1977.
    Arthur, Vassilvitskii: "k-means++: the advantages of careful seeding", 2007.

Example:
>>> import numpy as np
>>> from fakedet_jax import mixture
>>> rng = np.random.default_rng(0)
>>> photographs = rng.normal(size=(100, 3)) + rng.choice([-4, 4], (100, 1))
>>> fitted = mixture.fit(photographs, 2)
>>> fitted.converged, fitted.warnings
(True, ())
>>> near, far = mixture.log_likelihoods(fitted.mixture, [[4, 4, 4], [-4, 4, -4]])
>>> bool(near > far)
True
>>> chosen = mixture.choose_num_components(photographs, [1, 2])
>>> chosen.num_components
2
"""

from fakedet_jax.mixture.files import Saved, check_embedding, load, save
from fakedet_jax.mixture.fitting import (
    Chosen,
    Fitted,
    choose_num_components,
    fit,
    fit_stream,
)
from fakedet_jax.mixture.model import (
    COVARIANCE_TYPES,
    Mixture,
    bic,
    from_parameters,
    log_likelihoods,
    num_parameters,
    responsibilities,
)

__all__ = [
    "COVARIANCE_TYPES",
    "Chosen",
    "Fitted",
    "Mixture",
    "Saved",
    "bic",
    "check_embedding",
    "choose_num_components",
    "fit",
    "fit_stream",
    "from_parameters",
    "load",
    "log_likelihoods",
    "num_parameters",
    "responsibilities",
    "save",
]

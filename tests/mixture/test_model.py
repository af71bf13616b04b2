# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.mixture.model."""

import doctest

import jax
import numpy as np
import pytest

from fakedet_jax import mixture
from fakedet_jax.mixture import model
from fakedet_jax.runtime import parallel
from tests.mixture import (
    NUM_COMPONENTS,
    NUM_FEATURES,
    SKLEARN_TYPES,
    clustered_rows,
    parameters,
    reference,
)

TYPES = mixture.COVARIANCE_TYPES
ROWS = clustered_rows()


def _reference(covariance_type, given):
    """Of scikit-learn, in float64, with these parameters."""
    weights, _, covariances = given
    found = reference.GaussianMixture(
        len(weights), covariance_type=SKLEARN_TYPES[covariance_type]
    )
    found.weights_, found.means_, found.covariances_ = given
    if covariance_type in ("full", "tied"):
        factors = np.linalg.cholesky(np.linalg.inv(covariances))
    else:
        factors = 1 / np.sqrt(covariances)
    found.precisions_cholesky_ = factors
    return found


@pytest.mark.parametrize("covariance_type", TYPES)
def test_log_likelihoods_are_those_of_float64(covariance_type):
    given = parameters(covariance_type)
    found = mixture.from_parameters(*given, covariance_type)
    expected = _reference(covariance_type, given).score_samples(ROWS)
    values = mixture.log_likelihoods(found, ROWS)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_log_likelihoods_of_small_and_large_units(covariance_type):
    weights, means, covariances = parameters(covariance_type)
    given = weights, means * 1e4, covariances * 1e8
    found = mixture.from_parameters(*given, covariance_type)
    rows = ROWS.astype(np.float64) * 1e4
    expected = _reference(covariance_type, given).score_samples(rows)
    np.testing.assert_allclose(
        mixture.log_likelihoods(found, rows), expected, rtol=1e-5
    )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_responsibilities_are_those_of_float64(covariance_type):
    given = parameters(covariance_type)
    found = mixture.from_parameters(*given, covariance_type)
    expected = _reference(covariance_type, given).predict_proba(ROWS)
    values = mixture.responsibilities(found, ROWS)
    assert values.shape == (len(ROWS), NUM_COMPONENTS)
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_bic_is_that_of_scikit_learn(covariance_type):
    given = parameters(covariance_type)
    found = mixture.bic(mixture.from_parameters(*given, covariance_type), ROWS)
    expected = _reference(covariance_type, given).bic(ROWS.astype(np.float64))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_num_parameters_are_those_of_scikit_learn(covariance_type):
    given = parameters(covariance_type)
    expected = _reference(covariance_type, given)._n_parameters()
    found = mixture.num_parameters(covariance_type, NUM_COMPONENTS, NUM_FEATURES)
    assert found == expected


@pytest.mark.parametrize("covariance_type", TYPES)
def test_parameters_come_back(covariance_type):
    given = parameters(covariance_type)
    found = mixture.from_parameters(*given, covariance_type)
    np.testing.assert_allclose(found.weights, given[0], rtol=1e-6)
    np.testing.assert_allclose(found.means, given[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.covariances, given[2], rtol=1e-4, atol=1e-5)


def test_sharded_rows_give_the_same():
    found = mixture.from_parameters(*parameters("full"))
    mesh = parallel.data_mesh()
    placed = parallel.put_batch(mesh, {"rows": ROWS[:296]})["rows"]
    with jax.set_mesh(mesh):
        values = mixture.log_likelihoods(parallel.replicate(mesh, found), placed)
    expected = mixture.log_likelihoods(found, ROWS[:296])
    np.testing.assert_allclose(parallel.to_host(values), expected, rtol=1e-6)


def test_rows_of_another_length_are_refused():
    found = mixture.from_parameters(*parameters("full"))
    with pytest.raises(ValueError, match=r"expected rows \[n, 5\], found .*\[301, 4\]"):
        mixture.log_likelihoods(found, ROWS[:, :4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance_type": "round"}, "expected one of full, tied, .*'round'"),
        ({"weights": [1.0]}, r"weights \[k\] and means \[k, d\], found shapes \[1\]"),
        (
            {"covariance_type": "tied"},
            r"tied covariances \[5, 5\], found .*\[3, 5, 5\]",
        ),
        ({"covariances": -np.ones((3, 5, 5))}, "positive variances"),
        ({"covariances": np.ones((3, 5, 5))}, "positive definite"),
    ],
)
def test_parameters_that_are_no_mixture_are_refused(change, message):
    names = ("weights", "means", "covariances")
    given = dict(zip(names, parameters("full"), strict=True))
    with pytest.raises(ValueError, match=message):
        mixture.from_parameters(**{**given, **change})


def test_examples_in_docstrings():
    for module in (mixture, model):
        found = doctest.testmod(module)
        assert found.attempted > 0 and found.failed == 0

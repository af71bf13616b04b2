# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.mixture.fitting and what it is made of."""

import functools
import warnings

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fakedet_jax import mixture
from fakedet_jax.errors import RequestError
from fakedet_jax.mixture import em, fitting, model
from fakedet_jax.mixture import rows as rows_module
from fakedet_jax.runtime import parallel
from tests.mixture import clustered_rows, parameters, sklearn_mixture

TYPES = mixture.COVARIANCE_TYPES
ROWS = clustered_rows()

# One device compiles faster; a test of its own compares it with eight.
_MESH = parallel.data_mesh(jax.devices()[:1])
_fit = functools.partial(mixture.fit, mesh=_MESH)
_fit_stream = functools.partial(mixture.fit_stream, mesh=_MESH)
_choose = functools.partial(mixture.choose_num_components, mesh=_MESH)


def _start(covariance_type):
    """Wrong, but near enough that every component keeps many rows."""
    weights, _, covariances = parameters(covariance_type)
    return weights, ROWS[[0, 100, 200]].astype(np.float64), 4 * covariances


def _assert_same(found, expected, rtol=1e-4):
    assert found.num_iterations == expected.num_iterations
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-5)
    np.testing.assert_allclose(
        found.mixture.weights, expected.mixture.weights, rtol=rtol
    )
    np.testing.assert_allclose(
        found.mixture.means, expected.mixture.means, rtol=rtol, atol=rtol
    )


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("num_iterations", [1, 8])
def test_iterations_are_those_of_scikit_learn(covariance_type, num_iterations):
    given = _start(covariance_type)
    expected = sklearn_mixture(covariance_type, given, max_iter=num_iterations, tol=0)
    rows = ROWS.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(rows)
    found = _fit(
        ROWS,
        3,
        covariance_type=covariance_type,
        init=mixture.from_parameters(*given, covariance_type),
        max_iterations=num_iterations,
        tolerance=0,
    )
    assert found.num_iterations == num_iterations
    assert found.log_likelihood == pytest.approx(expected.score(rows), rel=1e-5)
    np.testing.assert_allclose(found.mixture.means, expected.means_, atol=1e-3)
    np.testing.assert_allclose(
        found.mixture.covariances, expected.covariances_, atol=2e-3
    )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_ends_where_scikit_learn_does(covariance_type):
    given = _start(covariance_type)
    expected = sklearn_mixture(covariance_type, given, max_iter=200, tol=1e-3)
    expected.fit(ROWS.astype(np.float64))
    found = _fit(
        ROWS,
        3,
        covariance_type=covariance_type,
        init=mixture.from_parameters(*given, covariance_type),
        max_iterations=200,
    )
    assert found.converged
    assert found.num_iterations == expected.n_iter_


@pytest.mark.few(1)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_one_and_eight_devices_are_equal(covariance_type):
    one, eight = (
        _fit(
            ROWS,
            3,
            covariance_type=covariance_type,
            max_iterations=10,
            mesh=parallel.data_mesh(jax.devices()[:number]),
        )
        for number in (1, 8)
    )
    _assert_same(eight, one)


@pytest.mark.few(2)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("batch_size", [7, 1000])
def test_streaming_equals_in_memory(monkeypatch, covariance_type, batch_size):
    # Several blocks, and several batches in a block or the other way round.
    monkeypatch.setattr(rows_module, "_MAX_BLOCK_ROWS", 100)
    options = {"covariance_type": covariance_type, "max_iterations": 4}
    starts = range(0, len(ROWS), batch_size)
    found = _fit_stream(
        lambda: (ROWS[start : start + batch_size] for start in starts), 3, **options
    )
    _assert_same(found, _fit(ROWS, 3, **options))


@pytest.mark.parametrize("num_devices", [1, 8])
def test_a_stream_is_traced_once(monkeypatch, num_devices):
    monkeypatch.setattr(rows_module, "_MAX_BLOCK_ROWS", 100)
    accumulate_fn = jax.jit(lambda *given: em.accumulate(*given))
    monkeypatch.setattr(em, "compiled_accumulate", accumulate_fn)
    mesh = parallel.data_mesh(jax.devices()[:num_devices])
    options = {"covariance_type": "spherical", "max_iterations": 3, "tolerance": 0}
    _fit_stream(lambda: np.array_split(ROWS, 9), 3, mesh=mesh, **options)
    assert accumulate_fn._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_compiler_gets_what_a_fit_runs(monkeypatch, covariance_type):
    runs = []

    def record(*arguments):
        runs.append(arguments)
        return em.accumulate(*arguments)

    monkeypatch.setattr(em, "compiled_accumulate", record)
    mesh = parallel.data_mesh(jax.devices()[:2])
    options = {"covariance_type": covariance_type, "max_iterations": 1}
    found = _fit(ROWS, 3, mesh=mesh, **options)
    shapes = model.abstract(covariance_type, 3, ROWS.shape[1])
    size = rows_module.block_size(len(ROWS), 2)
    function, arguments = fitting.abstract_pass(shapes, size, mesh)
    assert function is record
    assert jax.tree.structure(shapes) == jax.tree.structure(found.mixture)
    assert jax.tree.structure(arguments) == jax.tree.structure(runs[0])
    for given, expected in zip(
        *map(jax.tree.leaves, (arguments, runs[0])), strict=True
    ):
        assert (given.shape, given.dtype) == (expected.shape, expected.dtype)
        assert given.sharding.is_equivalent_to(expected.sharding, given.ndim)


def test_the_sample_of_a_stream_is_that_of_an_array(monkeypatch):
    monkeypatch.setattr(rows_module, "_MAX_SAMPLE_ROWS", 50)
    whole = rows_module.survey([ROWS], 0)
    parts = rows_module.survey(np.array_split(ROWS, 7), 0)
    assert len(whole.sample) == 50
    np.testing.assert_array_equal(whole.sample, parts.sample)
    np.testing.assert_allclose(parts.mean, ROWS.mean(0, np.float64), rtol=1e-12)
    np.testing.assert_allclose(parts.variance, ROWS.var(0, np.float64), rtol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_likelihood_never_falls(covariance_type):
    init, last = None, -np.inf
    for _ in range(6):
        found = _fit(
            ROWS, 3, covariance_type=covariance_type, max_iterations=1, init=init
        )
        assert found.log_likelihood > last - 1e-5
        init, last = found.mixture, found.log_likelihood


def test_log_likelihood_is_that_of_the_mixture():
    found = _fit(ROWS, 3, max_iterations=3)
    expected = np.mean(mixture.log_likelihoods(found.mixture, ROWS))
    assert found.log_likelihood == pytest.approx(float(expected), rel=1e-6)
    assert found.bic == pytest.approx(mixture.bic(found.mixture, ROWS), rel=1e-6)


def test_restarts_keep_the_best():
    one = _fit(ROWS, 6, max_iterations=5)
    many = _fit(ROWS, 6, max_iterations=5, num_restarts=4)
    assert many.log_likelihood > one.log_likelihood


def test_centres_are_far_from_each_other():
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(c, 0.01, (50, 2)) for c in (0, 5, 9)])
    centres = rows_module.draw_centres(z, 3, rng)
    assert sorted(centres.mean(1).round().tolist()) == [0, 5, 9]


def test_badly_scaled_rows_that_are_near_singular():
    rng = np.random.default_rng(0)
    units = np.asarray([1e-6, 1e6, 1.0, 1e3, 1e-3])
    rows = rng.normal(size=ROWS.shape)
    rows[:150] += 4
    rows[:, 4] = rows[:, 3] * (1 + 1e-5 * rows[:, 2])
    for covariance_type in TYPES:
        found = _fit(
            rows * units + 100 * units,
            3,
            covariance_type=covariance_type,
            reg_covar=0,
            max_iterations=20,
        )
        assert np.isfinite(found.log_likelihood)
        assert np.isfinite(found.mixture.whitening).all()


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diagonal"])
def test_units_do_not_matter(covariance_type):
    units = np.asarray([1e-6, 1e6, 1.0, 1e3, 1e-3])
    options = {
        "covariance_type": covariance_type,
        "reg_covar": 0,
        "max_iterations": 8,
        "tolerance": 0,
    }
    plain = _fit(ROWS.astype(np.float64), 3, **options)
    found = _fit(ROWS.astype(np.float64) * units, 3, **options)
    expected = plain.log_likelihood - np.log(units).sum()
    assert found.log_likelihood == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(found.mixture.weights, plain.mixture.weights, rtol=1e-3)


def test_fewer_rows_than_features():
    rows = np.random.default_rng(0).normal(size=(40, 64))
    found = _fit(rows, 3, max_iterations=5)
    assert np.isfinite(found.log_likelihood)
    assert found.regularised.all()
    assert "3 of 3 components have a covariance that is singular" in found.warnings[0]


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("reg_covar", [0, 1e-6])
def test_identical_rows_are_regularised_with_a_warning(covariance_type, reg_covar):
    rows = np.full_like(ROWS, 3.7)
    found = _fit(
        rows, 3, covariance_type=covariance_type, reg_covar=reg_covar, max_iterations=3
    )
    assert np.isfinite(found.log_likelihood)
    assert found.warnings[0] == "embeddings: all 301 rows are identical"
    assert found.regularised.any()


def test_a_constant_feature_has_a_warning():
    rows = ROWS.copy()
    rows[:, 2] = 5
    found = _fit(rows, 3, max_iterations=3)
    message = "embeddings: 1 of 5 features are the same in all rows"
    assert found.warnings[0] == message


def test_sound_rows_have_no_warnings():
    assert _fit(ROWS, 3, max_iterations=5).warnings == ()


def test_masked_rows_take_no_part():
    start = mixture.from_parameters(*_start("full"))
    padded = np.concatenate([ROWS, np.full((19, 5), 7, np.float32)])
    masks = [np.ones(301, bool), np.arange(320) < 301]
    results = [
        jax.jit(em.accumulate)(
            em.zero_moments(start), start, (rows, mask), np.float32(0)
        )
        for rows, mask in zip([ROWS, padded], masks, strict=True)
    ]
    for found, expected in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-3)


def test_number_of_components_with_the_least_bic():
    centres = np.asarray([[0, 0], [20, 0], [0, 20]])
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)) + centres[rng.integers(0, 3, 300)]
    chosen = _choose(rows, [4, 1, 3], covariance_type="spherical", num_restarts=2)
    assert chosen.num_components == 3
    assert list(chosen.bics) == [1, 3, 4]
    assert chosen.fitted.bic == min(chosen.bics.values())


def test_a_large_offset_costs_no_digits():
    # A mean of products would leave nothing of variances of 1.
    shifted = ROWS.astype(np.float64) + 4096
    options = {"max_iterations": 6, "tolerance": 0}
    plain = _fit(ROWS, 3, **options)
    found = _fit(shifted, 3, **options)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-3)


def test_fewer_rows_than_components_are_refused():
    with pytest.raises(RequestError, match=r"at least 12 rows, .*, found 5;"):
        _fit(ROWS[:5], 12)


def test_no_rows_are_refused():
    with pytest.raises(RequestError, match="at least one row, found none"):
        _fit(ROWS[:0], 2)


def test_rows_that_are_not_finite_are_named():
    rows = ROWS.copy()
    rows[[3, 7, 9, 20, 40, 130, 200], 2] = [np.nan, np.inf, -np.inf, *[np.nan] * 4]
    message = r"in rows 3, 7, 9, 20, 40 and 2 more \(counted from 0\)"
    with pytest.raises(RequestError, match=message):
        _fit(rows, 2)


def test_rows_of_a_stream_that_are_not_finite_are_named():
    rows = ROWS.copy()
    rows[130, 0] = np.nan
    with pytest.raises(RequestError, match="others in rows 130 "):
        _fit_stream(lambda: iter(np.array_split(rows, 5)), 2)


def test_a_stream_that_changes_is_refused():
    calls = iter([ROWS, ROWS[:100]])
    with pytest.raises(ValueError, match=r"the same 301 rows at each call, found 100"):
        _fit_stream(lambda: [next(calls)], 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_components": 0}, "num_components: .* at least 1, found 0"),
        ({"covariance_type": "diag"}, "expected one of full, .*found 'diag'"),
        ({"reg_covar": -1}, "reg_covar: .* at least 0, found -1"),
        ({"tolerance": np.nan}, "tolerance: .*found nan"),
        ({"max_iterations": 0}, "max_iterations: .* at least 1, found 0"),
        ({"num_restarts": 0}, "num_restarts: .* at least 1, found 0"),
        ({"x": ROWS[0]}, r"expected rows of numbers \[n, d\], found float32 \[5\]"),
        ({"num_components": 2, "init": 3}, "init: .*full, 2, 5, found full, 3, 5"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    if "init" in options:
        options = {**options, "init": mixture.from_parameters(*parameters("full"))}
    with pytest.raises(ValueError, match=message):
        _fit(**{"x": ROWS, "num_components": 3, **options})


def test_batches_of_unequal_width_are_refused():
    with pytest.raises(ValueError, match="5 features in every batch, found 4"):
        _fit_stream(lambda: [ROWS, ROWS[:, :4]], 2)


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match=r"candidates: .*found none"):
        _choose(ROWS, [])

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.training import steps

X = jnp.arange(3.0)


def _mesh_of(platform):
    """What `jit` looks at; tracing needs no device."""
    return types.SimpleNamespace(
        devices=np.array([types.SimpleNamespace(platform=platform)])
    )


@pytest.fixture
def traced():
    return []


@pytest.fixture
def function(traced):
    """Multiplies by a number of the platform, and notes which forms are traced."""

    def form(name, factor, x):
        traced.append(name)
        return factor * x

    return functools.partial(
        platforms.choose,
        cpu=functools.partial(form, "cpu", 2.0),
        cuda=functools.partial(form, "cuda", 3.0),
        default=functools.partial(form, "default", 5.0),
    )


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("cpu", {"cpu"}), ("gpu", {"cuda", "default"}), ("tpu", {"cuda", "default"})],
)
def test_only_forms_for_the_devices_of_the_mesh_are_traced(
    traced, function, platform, expected
):
    platforms.jit(function, _mesh_of(platform)).trace(X)
    assert set(traced) == expected


def test_the_only_other_form_needs_no_choice():
    function = functools.partial(platforms.choose, cpu=jnp.sin, default=jnp.cos)
    jaxpr = str(platforms.jit(function, _mesh_of("tpu")).trace(X).jaxpr)
    assert "cos" in jaxpr and "sin" not in jaxpr and "platform" not in jaxpr


def test_a_platform_without_its_own_form_takes_the_default():
    function = functools.partial(platforms.choose, cuda=jnp.sin, default=jnp.cos)
    found = platforms.jit(function, parallel.data_mesh())(X)
    np.testing.assert_array_equal(found, jnp.cos(X))


def test_every_form_can_be_had_again(traced, function):
    on_cpus = platforms.jit(function, parallel.data_mesh())
    on_cpus.trace(X)
    whole = platforms.for_every_platform(on_cpus)
    assert "platform_index" in str(whole.trace(X).jaxpr)
    assert set(traced) == {"cpu", "cuda", "default"}
    # Of `jax.jit` nothing was left out.
    assert platforms.for_every_platform(whole) is whole


def test_without_a_mesh_every_form_is_kept(traced, function):
    jax.jit(function).trace(X)
    assert set(traced) == {"cpu", "cuda", "default"}
    np.testing.assert_array_equal(function(X), 2 * X)


def test_shapes_need_one_form(traced, function):
    assert platforms.eval_shape(function, X).shape == (3,)
    assert traced == ["cpu"]


def test_a_failed_tracing_leaves_nothing_behind(traced, function):
    def fail(x):
        raise ValueError(function(x))

    with pytest.raises(ValueError, match="float32"):
        platforms.eval_shape(fail, X)
    jax.jit(function).trace(X)
    assert set(traced) == {"cpu", "cuda", "default"}


def test_settings_of_jit_and_the_name_of_the_function_stay():
    def add(x, *, y):
        return x + y

    jitted = platforms.jit(add, parallel.data_mesh(), static_argnames="y")
    np.testing.assert_array_equal(jitted(X, y=1), X + 1)
    assert jitted.__name__ == "add"


def test_programs_for_other_platforms_do_not_depend_on_those_traced_before():
    """Nothing that JAX remembers of a function holds the form of CPUs."""
    detector = systems.create("amtennet")
    model = detector.model(2, "float32")
    variables = detector.abstract_variables(model)
    score = steps.make_log_probability_fn(model, detector.preprocessing)
    pictures = jax.ShapeDtypeStruct((8, *detector.framing.shape), jnp.uint8)

    def lowered(jitted):
        traced = jitted.trace(variables, pictures)
        return traced.lower(lowering_platforms=("tpu",)).as_text()

    before = lowered(jax.jit(score))
    on_cpus = platforms.jit(score, parallel.data_mesh()).trace(variables, pictures)
    assert "reduce_window" in before
    assert "reduce_window" not in str(on_cpus.jaxpr)
    assert lowered(jax.jit(score)) == before
    jax.clear_caches()
    assert lowered(jax.jit(score)) == before

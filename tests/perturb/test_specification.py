# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.specification."""

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import apply, perturbation, suites
from fakedet_jax.perturb.perturbation import OPERATIONS, Mix, Operation, Perturbation
from fakedet_jax.perturb.specification import parse, parse_all
from fakedet_jax.perturb.treatment import Choice, Treatment
from tests import tiny
from tests.perturb import samples


def test_a_strength_is_a_number():
    assert parse("gamma_correction:0.6") == Perturbation("gamma_correction", 0.6)
    assert parse("mean_filter:5") == Perturbation("mean_filter", 5)


def test_nothing_is_done_for_none():
    assert parse("none") is None


@pytest.mark.parametrize("operation", OPERATIONS.names())
def test_every_operation_has_a_mix_of_its_own(operation):
    mix = parse(f"{operation}:mix")
    assert isinstance(mix, Mix)
    assert mix.operations == (operation,)
    assert len(mix.choices) >= 3


def test_the_mix_of_all_has_the_operations_of_the_paper():
    mix = parse("mix")
    assert mix.operations == (
        "mean_filter",
        "median_filter",
        "gaussian_filter",
        "gamma_correction",
        "jpeg",
        "jpeg2000",
        "scale_up",
        "scale_down",
    )


def test_the_mix_of_an_operation_is_of_the_same_strengths_as_in_the_mix_of_all():
    own = [one for one in parse("mix").choices if one.operation == "jpeg"]
    assert parse("jpeg:mix").choices == tuple(own)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected none, OPERATION:STRENGTH, OPERATION:mix or mix, found ''"),
        ("jpeg", "OPERATION:mix or mix, found 'jpeg'"),
        ("webp:60", "with an operation of jpeg, .*; found 'webp:60'"),
        ("jpeg:", "expected a number or mix after jpeg:, found ''"),
        ("jpeg:good", "expected a number or mix after jpeg:, found 'good'"),
        ("jpeg:101", "jpeg: expected a whole quality from 0 to 100, found 101"),
        ("mean_filter:4", "mean_filter: expected a kernel size of 3, 5 or 7, found 4"),
        ("jpeg:nan", "expected a whole quality"),
    ],
)
def test_what_cannot_be_read_is_one_line(text, message):
    with pytest.raises(RequestError, match=f"^`perturb`: .*{message}") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_several_keep_their_order():
    parsed = parse_all(["none", "jpeg:60"])
    assert parsed == (None, Perturbation("jpeg", 60))


@pytest.mark.parametrize("texts", [["none", "none"], ["jpeg:60", "jpeg:60.0"]])
def test_what_is_there_twice_is_refused(texts):
    with pytest.raises(RequestError, match="is given twice"):
        parse_all(texts)


def invert_on_device(images, sizes, strengths, keys):
    del keys
    return strengths[:, None, None, None].astype("uint8") - images, sizes


def invert_on_host(picture, strength):
    return np.uint8(strength) - picture


@pytest.mark.parametrize(
    "where", [{"on_device": invert_on_device}, {"on_host": invert_on_host}]
)
def test_a_perturbation_from_outside_is_applied(where):
    operation = Operation(
        name="invert",
        title="Inversion",
        strength_name="white level",
        expected="a level from 0 to 255",
        accepts=lambda level: 0 <= level <= 255,
        **where,
    )
    picture = samples.random(9, 11)
    with tiny.registration(perturbation, operation):
        parsed = parse("invert:255")
        read = Treatment((parsed,), 0).apply(picture, Choice(parsed, 0))
        np.testing.assert_array_equal(read, 255 - picture)
        (found,) = apply.apply(parsed, [picture], key=jax.random.key(0))
        np.testing.assert_array_equal(found, 255 - picture)
        with pytest.raises(RequestError, match="invert: expected a level from 0 to"):
            parse("invert:256")
        with pytest.raises(RequestError, match="no suite applies 'invert'"):
            parse("invert:mix")
        suite = suites.Suite("inverted", version=1, seed=0, conditions=(parsed,))
        with tiny.registration(suites, suite):
            assert suites.create("inverted") is suite
            assert parse("invert:mix") == Mix((parsed,))
    with pytest.raises(RequestError, match=r"`perturb`: .* found 'invert:255'"):
        parse("invert:255")


def test_an_operation_runs_in_one_place():
    for where in ({}, {"on_device": invert_on_device, "on_host": invert_on_host}):
        with pytest.raises(ValueError, match="invert: expected either on_device or"):
            Operation("invert", "", "", "", lambda level: True, **where)

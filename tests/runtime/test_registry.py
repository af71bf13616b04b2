# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.registry."""

from typing import NamedTuple

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.registry import Registry


class _Named(NamedTuple):
    name: str


def test_a_name_belongs_to_one_value():
    registry = Registry[int]("thing")
    registry.register("one", 1)
    with pytest.raises(ValueError, match="'one' is registered already"):
        registry.register("one", 2)
    assert registry["one"] == 1


@pytest.mark.parametrize("name", ["", "a b", "../a", "1a"])
def test_names_are_plain_words(name):
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        Registry[int]("thing").register(name, 1)


def test_an_unknown_name_is_answered_with_the_known_ones():
    registry = Registry[int]("thing")
    registry.register("one", 1)
    registry.register("two", 2)
    with pytest.raises(RequestError, match="`thing`: expected one, two, found 'three'"):
        registry["three"]
    with pytest.raises(RequestError, match=r"found 'tow'; did you mean two\?$"):
        registry["tow"]


def test_what_is_unregistered_is_gone():
    registry = Registry[int]("thing")
    registry.register("one", 1)
    registry.unregister("one")
    assert "one" not in registry
    assert list(registry) == registry.names() == []


def test_a_value_may_bring_its_name():
    registry = Registry[_Named]("thing")
    value = _Named("one")
    registry.add(value)
    assert registry["one"] is value

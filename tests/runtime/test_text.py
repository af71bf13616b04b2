# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of runtime.text."""

import pytest

from fakedet_jax.runtime import text
from fakedet_jax.runtime.text import PlainNames


def test_long_names_are_cut_and_stay_unique():
    names = PlainNames()
    found = [names.make(text) for text in ("x" * 300, "X" * 300, "x-2", "x", "x")]
    assert len({name.casefold() for name in found}) == 5
    assert max(map(len, found)) < 100


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("pre", "did you mean prepare or predict?"),
        ("trian", "did you mean train?"),
        ("Train", "did you mean train?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_near_words_are_suggested(word, expected):
    assert text.suggest(word, ["train", "predict", "prepare"]) == expected


def test_an_unknown_name_is_answered_with_all_and_the_nearest():
    known = ["train", "predict"]
    message = "`mode`: expected train, predict, found 'trian'; did you mean train?"
    assert text.unknown("mode", "trian", known) == message
    assert text.unknown("mode", "zzz", known).endswith("found 'zzz'")

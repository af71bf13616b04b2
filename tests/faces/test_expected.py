# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.faces.expected."""

import json

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.faces import expected
from fakedet_jax.faces.expected import UNKNOWN

SQUARES = expected.of_pictures([(256, 256)] * 50)
PORTRAITS = expected.of_pictures([(300, 200), (300, 240), (280, 210)] * 10)


@pytest.mark.parametrize(
    ("known", "size", "difference"),
    [
        (SQUARES, (256, 256), ""),
        (SQUARES, (64, 64), ""),
        (SQUARES, (256, 240), ""),
        (SQUARES, (700, 700), ""),
        (SQUARES, (256, 200), "is not square like the training pictures"),
        (SQUARES, (630, 1200), "is not square like the training pictures"),
        (SQUARES, (1991, 2048), "is far larger than the training pictures"),
        (PORTRAITS, (300, 220), ""),
        (PORTRAITS, (300, 300), "is not shaped like the training pictures"),
        (PORTRAITS, (1200, 800), "is far larger than the training pictures"),
        (UNKNOWN, (342, 342), ""),
        (UNKNOWN, (1024, 1024), ""),
        (UNKNOWN, (2048, 1638), "is not square"),
        (UNKNOWN, (1991, 2048), "is far larger than usual face crops"),
    ],
)
def test_shape_and_size_tell_photographs_from_crops(known, size, difference):
    assert known.difference(*size) == difference


def test_a_few_odd_pictures_do_not_count():
    sizes = [(128, 128)] * 299 + [(4000, 1000)]
    known = expected.of_pictures(sizes)
    assert known.longest_side == 128
    assert known.difference(4000, 1000)


def test_the_record_survives_json():
    stored = json.loads(json.dumps(PORTRAITS.record))
    assert expected.from_record(stored) == PORTRAITS
    assert expected.from_record(None) is UNKNOWN


@pytest.mark.parametrize(
    "record",
    [
        {},
        {**SQUARES.record, "longest_side": -1},
        {**SQUARES.record, "lowest_aspect": "wide"},
        {**SQUARES.record, "longest_side": float("inf")},
        [],
        "text",
    ],
    ids=str,
)
def test_a_wrong_record_is_one_line(record):
    with pytest.raises(RequestError, match=r"config\.json: pictures") as caught:
        expected.from_record(record)
    assert "\n" not in str(caught.value)

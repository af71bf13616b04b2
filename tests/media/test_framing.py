# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the regions that networks look at."""

import dataclasses
import json

import pytest

from fakedet_jax.media.framing import Framing

VGGFACE2 = Framing(224, 224, 224 / 256)
MOBILEFACENET = Framing(112, 96)


@pytest.mark.parametrize(
    ("framing", "height", "width", "expected"),
    [
        (Framing.square(128), 200, 300, (50, 0, 250, 200)),
        (Framing.square(128), 201, 128, (0, 36, 128, 164)),
        # Short side to 256, then the central 224 × 224.
        (VGGFACE2, 256, 256, (16, 16, 240, 240)),
        (VGGFACE2, 512, 1024, (288, 32, 736, 480)),
        (MOBILEFACENET, 256, 256, (128 - 768 / 7, 0, 128 + 768 / 7, 256)),
        (MOBILEFACENET, 224, 400, (104, 0, 296, 224)),
    ],
)
def test_region(framing, height, width, expected):
    assert framing.region(height, width) == pytest.approx(expected)


def test_what_has_the_size_of_the_input_is_taken_whole():
    assert VGGFACE2.region(224, 224) == (0, 0, 224, 224)
    assert MOBILEFACENET.region(112, 96) == (0, 0, 96, 112)


def test_a_region_never_leaves_the_picture():
    for framing in (VGGFACE2, MOBILEFACENET, Framing(3, 7, 0.31)):
        for height in (16, 31, 200):
            for width in (16, 33, 500):
                left, top, right, bottom = framing.region(height, width)
                assert 0 <= left < right <= width
                assert 0 <= top < bottom <= height
                assert (right - left) / (bottom - top) == pytest.approx(
                    framing.width / framing.height
                )


def test_json_round_trip():
    both = Framing.beside([VGGFACE2, MOBILEFACENET])
    for framing in (VGGFACE2, both):
        for fields in (framing.record, dataclasses.asdict(framing)):
            assert Framing.from_json(json.loads(json.dumps(fields))) == framing
    assert list(VGGFACE2.record) == ["height", "width", "central_share"]


def test_inputs_of_several_networks_lie_beside_each_other():
    both = Framing.beside([MOBILEFACENET, VGGFACE2])
    assert both.shape == (224, 96 + 224, 3)
    assert both.columns == (0, 96, 320)
    # It is shown as the network that sees most of a picture.
    assert both.largest == MOBILEFACENET
    assert both.region(300, 300) == MOBILEFACENET.region(300, 300)
    assert str(both) == "112 × 96 and 224 × 224"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.faces.colours."""

import itertools

import numpy as np
import pytest
from PIL import ImageColor

from fakedet_jax.faces import colours

# Of linear RGB; Machado, Oliveira and Fernandes 2009, severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Of sRGB to XYZ, relative to its white.
XYZ = np.array(
    [
        [0.433953, 0.376219, 0.189828],
        [0.212673, 0.715152, 0.072175],
        [0.017758, 0.109477, 0.872766],
    ]
)


def _linear(colour):
    value = np.array(ImageColor.getrgb(colour)) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _lab(linear):
    x, y, z = np.cbrt(XYZ @ np.clip(linear, 0, 1))  # None of them is nearly black.
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


@pytest.mark.parametrize("decision", colours.DECISIONS)
def test_white_letters_can_be_read(decision):
    luminance = XYZ[1] @ _linear(colours.DECISIONS[decision])
    assert 1.05 / (luminance + 0.05) >= 4.5


@pytest.mark.parametrize("vision", VISIONS)
def test_every_kind_of_colour_vision_tells_them_apart(vision):
    seen = [
        _lab(np.array(VISIONS[vision]) @ _linear(colour))
        for colour in colours.DECISIONS.values()
    ]
    for one, other in itertools.combinations(seen, 2):
        # Ten times what is just noticeable, 2.3.
        assert np.linalg.norm(one - other) > 23

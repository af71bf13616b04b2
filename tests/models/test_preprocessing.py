# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.preprocessing against NumPy."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.media.framing import Framing
from fakedet_jax.models.preprocessing import Preprocessing

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
MEAN, STD = (10.0, 20.0, 30.0), (2.0, 3.0, 7.0)


def test_by_default_only_the_dtype_changes():
    found = Preprocessing(Framing.square(5))(jnp.asarray(PICTURES))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, PICTURES)


def test_bgr_reverses_the_channels():
    found = Preprocessing(Framing.square(5), bgr=True)(jnp.asarray(PICTURES))
    np.testing.assert_array_equal(found, PICTURES[..., [2, 1, 0]])


@pytest.mark.parametrize("bgr", [False, True])
def test_mean_and_deviation_are_in_the_order_of_the_network(bgr):
    ordered = PICTURES[..., [2, 1, 0]] if bgr else PICTURES
    expected = (ordered.astype(np.float64) - MEAN) / STD
    found = Preprocessing(Framing.square(5), bgr=bgr, mean=MEAN, std=STD)(
        jnp.asarray(PICTURES)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_settings_are_plain_data():
    settings = Preprocessing(Framing.square(5), bgr=True, mean=MEAN)
    fields = json.loads(json.dumps(dataclasses.asdict(settings)))
    framing = Framing.from_json(fields.pop("framing"))
    triples = {name: tuple(fields.pop(name)) for name in ("mean", "std")}
    assert Preprocessing(framing, **fields, **triples) == settings

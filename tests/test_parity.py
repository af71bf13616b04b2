# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Coverage of a published network on real and generated faces, against PyTorch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import backbones
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.weights import store
from tests.golden import make_mobilefacenet_faces_golden as maker
from tests.models import QUICK

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]
BATCH_SIZE = 32


class Results(NamedTuple):
    thresholds: np.ndarray
    counts: np.ndarray
    layer_sizes: list[int]


@pytest.fixture(scope="module")
def golden():
    return maker.golden()


@pytest.fixture(scope="module")
def faces(shared_data):
    return maker.read_faces(shared_data / "faces256" / "test")


@pytest.fixture(scope="module")
def results(shared_data, faces, golden):
    """What this package makes of the faces, in batches of which the last is padded."""
    if maker.fingerprint(faces) != golden["pixels"]:
        pytest.skip("the faces decode to other pixels than those of the golden numbers")
    path = shared_data.parent / "models" / "mobilefacenet_casia.ckpt"
    backbone = backbones.create("mobilefacenet")
    variables, _ = store.load(backbone, path)
    module = backbone.build(jnp.float32, "layer")
    network = coverage.Coverage(module, backbone.preprocessing)
    padding = -len(faces) % BATCH_SIZE
    padded = np.pad(faces, ((0, padding), (0, 0), (0, 0), (0, 0)))
    batches = padded.reshape(-1, BATCH_SIZE, *faces.shape[1:])
    mask = (np.arange(len(padded)) < len(faces)).reshape(-1, BATCH_SIZE)

    means = jax.jit(network.means, compiler_options=QUICK)
    state = coverage.init_thresholds(len(network.layer_sizes))
    for batch, is_face in zip(batches, mask, strict=True):
        state = coverage.update_thresholds(state, means(variables, batch), is_face)
    thresholds = coverage.finish_thresholds(state)

    count = jax.jit(network.counts, compiler_options=QUICK)
    counts = [count(variables, batch, thresholds) for batch in batches]
    return Results(
        thresholds,
        np.concatenate(counts)[: len(faces)],
        list(network.layer_sizes.values()),
    )


def test_thresholds_are_those_of_pytorch(results, golden):
    # In two layers, outputs of the order of one cancel to less than a thousandth, and
    # even PyTorch's float32 misses its float64 by more than this share of it.
    np.testing.assert_allclose(
        results.thresholds, golden["thresholds"], rtol=1e-5, atol=1e-7
    )


def test_counts_differ_by_what_rounding_moves_across_the_threshold(results, golden):
    differences = np.abs(results.counts - np.asarray(golden["counts"]))
    allowed = np.maximum(2, 1e-4 * np.asarray(results.layer_sizes))
    assert (differences <= allowed).all(), differences.max(0)


def test_nearly_all_counts_are_exactly_those_of_pytorch(results, golden):
    assert results.counts.shape == (222, 50)
    assert (results.counts == np.asarray(golden["counts"])).mean() > 0.9

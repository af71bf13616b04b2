# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""PyTorch twins count what our networks count; skipped without PyTorch."""

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.systems.fakespotter import torch_peer
from fakedet_jax.systems.fakespotter.counts import CountSettings
from fakedet_jax.weights import store

# Shares of a layer's neurons within rounding of the threshold.
_TOLERANCE = 2e-4


def test_backbones_without_a_twin_are_refused():
    torch_peer.check("mobilefacenet")
    with pytest.raises(RequestError, match="no PyTorch twin of vggface_vgg16, only of"):
        torch_peer.check("vggface_vgg16")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "neuron", "site", "variant"),
    [
        ("mobilefacenet", "unit", "layer", "eager"),
        ("mobilefacenet", "channel", "activation", "eager"),
        ("mobilefacenet", "unit", "layer", "compiled"),
        ("vggface2_resnet50", "unit", "layer", "eager"),
        ("vggface2_resnet50", "unit", "activation", "eager"),
    ],
)
def test_counts_are_ours(theirs, monkeypatch, name, neuron, site, variant):
    settings = CountSettings(backbones.create(name), neuron, site, "float32")
    network = settings.network
    variables = jax.device_get(store.initial(settings.backbone))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *network.preprocessing.framing.shape), np.uint8)
    thresholds = np.asarray(jax.jit(network.means)(variables, images)).mean(0)
    if variant == "eager":
        monkeypatch.setattr(theirs, "_tried", lambda call: None)
    calls = torch_peer.scoring(theirs, settings, variables, thresholds, images)
    if calls[variant] is None:
        pytest.skip("there is no compiler")
    found = calls[variant]().numpy()
    expected = np.asarray(jax.jit(network.counts)(variables, images, thresholds))
    assert found.shape == expected.shape
    assert found.dtype == np.int32
    sizes = np.array(list(network.layer_sizes.values()))
    # A layer of a hundred channels may have one of them at its threshold.
    allowed = np.maximum(_TOLERANCE * sizes, 1)
    assert (np.abs(found - expected) <= allowed).all(), (found - expected).tolist()
    assert (expected > 0).any(1).all()

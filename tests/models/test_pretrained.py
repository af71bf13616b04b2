# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.pretrained."""

import jax
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import pretrained, resnet
from fakedet_jax.weights import mapping, store
from tests.golden import make_resnet_golden


def _variables(num_classes=1000, depth=18):
    """Abstract variables: their shapes are all that counts."""
    network = resnet.ResNet(depth, num_classes)
    pictures = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    return jax.eval_shape(network.init, jax.random.key(0), pictures)


def test_a_start_keeps_a_fresh_fc_for_other_classes():
    fresh, trained = _variables(2), _variables(1000)
    started = pretrained.start_from(fresh, trained)
    assert started["params"]["fc"] is fresh["params"]["fc"]
    assert started["params"]["conv1"] is trained["params"]["conv1"]
    assert started["batch_stats"] is trained["batch_stats"]


def test_a_start_takes_an_fc_of_as_many_classes():
    trained = _variables(2)
    started = pretrained.start_from(_variables(2), trained)
    assert started["params"]["fc"] is trained["params"]["fc"]


def test_a_start_from_another_depth_is_refused():
    with pytest.raises(RequestError, match=r"`weights`: .*layer.*same network"):
        pretrained.start_from(_variables(2), _variables(1000, depth=34))


@pytest.mark.parametrize(
    ("network", "depth"), [(pretrained.RESNET34, 34), (pretrained.RESNET50, 50)]
)
def test_residual_networks_read_the_files_of_torchvision(network, depth):
    shapes = make_resnet_golden.make_shapes(depth)
    for name in ("fc.weight", "fc.bias"):
        shapes[name] = (1000, *shapes[name][1:])
    found = mapping.expected(network.layers, "torch", store.abstract(network))
    assert found == shapes

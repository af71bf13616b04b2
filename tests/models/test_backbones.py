# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.backbones: every row of the table, by its shapes."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.models.backbone import SITES, Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.fakespotter.counts import CountSettings
from tests import tiny
from tests.golden import backbone_weights
from tests.models import backbone_outputs

# Parameters, running statistics, layers with outputs, features of the embedding.
TABLE = {
    "vggface2_resnet50": (41_192_951, 53_120, 54, 2048),
    "vggface2_senet50": (43_723_943, 53_120, 86, 2048),
    "vggface_vgg16": (145_002_878, 0, 16, 4096),
    "mobilefacenet": (999_552, 19_584, 50, 128),
    "dlib_resnet29": (5_614_592, 0, 30, 128),
    "facenet": (23_482_624, 29_600, 133, 512),
    "arcface_iresnet50": (43_590_848, 38_144, 54, 512),
}


def _count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


# See `encoders/test_registered.py`.
ENCODERS = ("clip_", "openclip_", "dinov2_", "dinov3_", "pe_")


def test_every_backbone_is_in_the_list():
    names = [name for name in backbones.names() if not name.startswith(ENCODERS)]
    assert names == list(TABLE)


def test_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(RequestError, match=r"`backbone`: .*iresnet50, .*found 'vgg'"):
        backbones.create("vgg")


@pytest.mark.few(3)
@pytest.mark.parametrize("name", TABLE)
def test_numbers_of_parameters(name):
    variables = backbone_outputs.output_shapes(name)[0]
    found = _count(variables["params"]), _count(variables.get("batch_stats", {}))
    assert found == TABLE[name][:2]


@pytest.mark.few(4)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", TABLE)
def test_outputs_come_in_the_order_of_the_layers(name, site):
    _, _, out = backbone_outputs.output_shapes(name, site=site)
    layers = backbones.create(name).layers
    named = [layer.name for layer in layers if layer.kind in ("conv", "dense")]
    assert list(out) == named
    assert len(out) == TABLE[name][2]


@pytest.mark.parametrize("name", TABLE)
def test_outputs_come_in_the_order_of_computation(name):
    _, _, out = backbone_outputs.output_shapes(name)
    assert list(out) == list(backbone_outputs.golden()[name]["layers"]["layer"])


def _described(layer):
    """Paths of the arrays that a layer has."""
    names = {
        "conv": ["params/kernel"],
        "dense": ["params/kernel"],
        "norm": ["params/scale", "params/bias", "batch_stats/mean", "batch_stats/var"],
        "affine": ["params/scale", "params/bias"],
        "prelu": ["params/slope"],
    }[layer.kind]
    for path in names + ["params/bias"] * layer.bias:
        collection, array = path.split("/")
        yield collection, layer.name, array


@pytest.mark.parametrize("name", TABLE)
def test_layers_describe_all_variables(name):
    variables = backbone_outputs.output_shapes(name)[0]
    layers = backbones.create(name).layers
    described = {path for layer in layers for path in _described(layer)}
    assert described == set(traverse_util.flatten_dict(variables))


@pytest.mark.parametrize("name", TABLE)
def test_layers_name_all_keys_of_a_published_file(name):
    prefixes = {layer.torch for layer in backbones.create(name).layers}
    keys = backbone_weights.torch_shapes(name)
    assert prefixes == {key.rpartition(".")[0] for key in keys}


@pytest.mark.parametrize("name", TABLE)
def test_names_are_unique(name):
    layers = backbones.create(name).layers
    for field in ("name", "torch", "caffe", "keras"):
        found = [getattr(layer, field) for layer in layers]
        found = [one for one in found if one is not None]
        assert len(found) == len(set(found)), field


@pytest.mark.few(2)
@pytest.mark.parametrize("name", TABLE)
def test_embedding_is_float32_and_has_its_width(name):
    _, embedding, _ = backbone_outputs.output_shapes(name, dtype=jnp.bfloat16)
    assert embedding.dtype == jnp.float32
    assert embedding.shape == (2, TABLE[name][3])


@pytest.mark.parametrize("name", TABLE)
def test_bfloat16_keeps_variables_in_float32(name):
    variables, _, out = backbone_outputs.output_shapes(name, dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert out["conv2" if name == "mobilefacenet" else next(iter(out))].dtype == (
        jnp.bfloat16
    )


# VGG-16 looks at one place whatever the site.
@pytest.mark.parametrize("name", sorted(TABLE.keys() - {"vggface_vgg16"}))
def test_unknown_site_is_an_error(name):
    model = backbones.create(name).build(jnp.float32, "activations")
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    with pytest.raises(KeyError, match="activations"):
        jax.eval_shape(model.init, jax.random.key(0), images)


class MeanColour(nn.Module):
    """A dense layer over the mean colour of a picture."""

    @nn.compact
    def __call__(self, images, *, train=False):
        embedding = nn.Dense(3, name="fc")(images.mean((1, 2)))
        return embedding, {"fc": embedding}


def test_a_backbone_from_outside_counts_the_neurons_of_a_picture():
    backbone = Backbone(
        name="mean_colour",
        build=lambda dtype, site: MeanColour(),
        preprocessing=Preprocessing(Framing.square(8), mean=(0, 0, 0), std=(1, 1, 1)),
        layers=(Layer("fc", "dense", torch="fc", bias=True),),
        embedding="three numbers",
    )
    weights = {"kernel": np.eye(3, dtype=np.float32), "bias": np.float32([0, 0, -60])}
    picture = np.broadcast_to(np.uint8([10, 60, 120]), (1, 8, 8, 3))
    with tiny.registration(backbones, backbone):
        assert backbones.names()[-1] == "mean_colour"
        network = CountSettings(backbones.create("mean_colour")).network
        for threshold, expected in ((9, 3), (50, 2), (61, 0)):
            thresholds = np.float32([threshold])
            counts = network.counts({"params": {"fc": weights}}, picture, thresholds)
            assert counts.tolist() == [[expected]]
    assert "mean_colour" not in backbones.names()

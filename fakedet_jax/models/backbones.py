# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The recognition networks, by the name that the setting `backbone` takes.

A new one is a file beside this one and a row here.
"""

from fakedet_jax.errors import RequestError
from fakedet_jax.models import mobilefacenet, resnet_caffe, vgg16
from fakedet_jax.models.backbone import Backbone

_BACKBONES: tuple[Backbone, ...] = (
    Backbone(
        name="vggface2_resnet50",
        build=lambda dtype, site: resnet_caffe.ResNet50(dtype=dtype, site=site),
        preprocessing=resnet_caffe.PREPROCESSING,
        layers=resnet_caffe.RESNET50_LAYERS,
        embedding="the pooled output of the last block, 2048 features, not normalised",
    ),
    Backbone(
        name="vggface2_senet50",
        build=lambda dtype, site: resnet_caffe.ResNet50(
            squeeze_excite=True, dtype=dtype, site=site
        ),
        preprocessing=resnet_caffe.PREPROCESSING,
        layers=resnet_caffe.SENET50_LAYERS,
        embedding="the pooled output of the last block, 2048 features, not normalised",
    ),
    Backbone(
        name="vggface_vgg16",
        build=lambda dtype, site: vgg16.Vgg16(dtype=dtype, site=site),
        preprocessing=vgg16.PREPROCESSING,
        layers=vgg16.LAYERS,
        embedding="fc7 after its ReLU, 4096 features, not normalised",
    ),
    Backbone(
        name="mobilefacenet",
        build=lambda dtype, site: mobilefacenet.MobileFaceNet(dtype=dtype, site=site),
        preprocessing=mobilefacenet.PREPROCESSING,
        layers=mobilefacenet.LAYERS,
        embedding="linear1 after its normalisation, 128 features, not of unit length",
    ),
)


def names() -> list[str]:
    """The valid names of backbones."""
    return [backbone.name for backbone in _BACKBONES]


def create(name: str) -> Backbone:
    """Looks a backbone up.

    Raises:
        RequestError: There is none of that name.
    """
    for backbone in _BACKBONES:
        if backbone.name == name:
            return backbone
    raise RequestError(f"`backbone`: expected {', '.join(names())}, found {name!r}")

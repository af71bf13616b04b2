# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks with published weights from which the training of a detector may start."""

from fakedet_jax.framing import Framing
from fakedet_jax.models import resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing

# Mean and standard deviation of ImageNet, as torchvision's networks were trained.
_IMAGENET = Preprocessing(
    Framing(224, 224, 224 / 256),
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)

RESNET34 = Backbone(
    name="resnet34",
    build=lambda dtype, site: resnet.ResNet(34, dtype=dtype),
    preprocessing=_IMAGENET,
    layers=resnet.layers(34),
    embedding="1000 logits of ImageNet's classes",
)

NETWORKS = (RESNET34,)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CNNDetection: a ResNet-50 with one output, evidence of a picture that a CNN made.

Preprocessing is that of the authors' training and of the paper's tests: pictures are
resized to 256 pixels and cropped to 224. Their demo also scores whole pictures without
resizing, which batches of one size cannot. Training starts from ImageNet's weights with
`weights`; the authors' blur and JPEG are left to `perturb`. They divide the rate by ten
when validation stalls; here it is constant, and the number of epochs is a choice.

References:
    Wang, Wang, Zhang, Owens, Efros: "CNN-generated images are surprisingly easy to
    spot… for now", CVPR 2020 (arXiv 1912.11035).
"""

from typing import Any

import jax

from fakedet_jax.models import evidence, pretrained, resnet
from fakedet_jax.models.parameters import Published
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe


class CnnDetection(resnet.ResNet):
    """ResNet-50 whose outputs are turned into logits: 23,510,081 parameters."""

    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, resnet.Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, height, width, 3]`, standardised.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, classes]`, and the outputs of all layers with a
            kernel by name.
        """
        outputs, out = super().__call__(images, train=train)
        return evidence.to_logits(outputs), out


def _build(num_classes: int, dtype: Any) -> CnnDetection:
    return CnnDetection(50, evidence.num_outputs(num_classes), dtype)


DETECTOR = NetworkDetector(
    name="cnndetection",
    build=_build,
    preprocessing=pretrained.RESNET50.preprocessing,
    recipe=Recipe(optimizer="adam", learning_rate=1e-4, batch_size=64, num_epochs=20),
    pretrained=pretrained.RESNET50,
    start_from=pretrained.start_from,
    published=Published(resnet.layers(50)),
)

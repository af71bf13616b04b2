# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The detectors that are one network: how each is built, trained and published.

The recipes are the authors', see third_party/README.md; what they leave open is named.
"""

import dataclasses
import functools

from fakedet_jax.errors import RequestError
from fakedet_jax.models import pretrained
from fakedet_jax.models.parameters import Published
from fakedet_jax.systems.networks import (
    amtennet,
    hand_crafted,
    mesonet,
    mislnet,
    residuals,
    spectrum,
    xception,
)
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training import optim

# Networks with published weights from which a detector can start.
PRETRAINED = (*pretrained.NETWORKS, xception.PRETRAINED)

# The solver of AMTENnet's authors.
_CAFFE = optim.Recipe(
    optimizer="caffe_sgd",
    learning_rate=1e-3,
    schedule="step",
    decay_steps=1000,
    decay_factor=0.5,
    momentum=0.95,
    weight_decay=0.005,
    batch_size=64,
    num_epochs=10,
)

# Batch size and epochs are those of the comparison with AMTENnet.
_MESONET = optim.Recipe(
    optimizer="adam", learning_rate=1e-3, batch_size=64, num_epochs=10
)


def create_amtennet(
    amten_variant: str | None = None, residual: str | None = None
) -> NetworkDetector:
    """AMTENnet, one of its ablations, or another residual layer before its CNN.

    Args:
        amten_variant: One of `amtennet.VARIANTS`; None for the published network.
        residual: One of `residuals.KINDS` in AMTEN's place; None for AMTEN.

    Returns:
        The detector.

    Raises:
        RequestError: There is none of that name, or both are given.
    """
    options = {"amten_variant": amten_variant, "residual": residual}
    if residual is not None:
        if amten_variant is not None:
            raise RequestError(
                f"`residual`: {residual} takes AMTEN's place, so that there is no "
                f"variant {amten_variant} of it; leave one of the two out"
            )
        if residual not in residuals.KINDS:
            raise RequestError(
                f"`residual`: expected {', '.join(residuals.KINDS)}, found {residual!r}"
            )
        return NetworkDetector(
            name="amtennet",
            build=functools.partial(residuals.ResidualNet, residual),
            preprocessing=residuals.PREPROCESSING,
            recipe=_CAFFE,
            project=residuals.project if residual == "constrained" else None,
            options=options,
        )
    name = "amten" if amten_variant is None else amten_variant
    if name not in amtennet.VARIANTS:
        raise RequestError(
            f"`amten_variant`: expected {', '.join(amtennet.VARIANTS)}, found {name!r}"
        )
    variant = amtennet.VARIANTS[name]
    return NetworkDetector(
        name="amtennet",
        build=functools.partial(amtennet.AmtenNet, variant=variant),
        preprocessing=amtennet.PREPROCESSING,
        recipe=_CAFFE,
        frozen=amtennet.frozen(variant),
        published=Published(amtennet.published_layers(variant)),
        options=options,
    )


NETWORKS: tuple[NetworkDetector, ...] = (
    create_amtennet(),
    NetworkDetector(
        name="meso4",
        build=mesonet.MesoNet,
        preprocessing=mesonet.PREPROCESSING,
        recipe=_MESONET,
        loss="mean_squared_error",
        published=Published(mesonet.LAYERS, mesonet.from_published),
    ),
    NetworkDetector(
        name="mesoinception4",
        build=functools.partial(mesonet.MesoNet, inception=True),
        preprocessing=mesonet.PREPROCESSING,
        recipe=_MESONET,
        loss="mean_squared_error",
        published=Published(mesonet.INCEPTION_LAYERS, mesonet.from_published),
    ),
    NetworkDetector(
        name="mislnet",
        build=mislnet.MislNet,
        preprocessing=mislnet.PREPROCESSING,
        # As the comparison with AMTENnet sets it.
        recipe=dataclasses.replace(_CAFFE, weight_decay=0.0005),
        project=mislnet.project,
    ),
    NetworkDetector(
        name="hand_crafted_res",
        build=hand_crafted.HandCraftedNet,
        preprocessing=hand_crafted.PREPROCESSING,
        # A choice. It has no normalisation, and AMTENnet's recipe diverges.
        recipe=optim.Recipe(
            optimizer="adam", learning_rate=1e-4, batch_size=64, num_epochs=10
        ),
    ),
    NetworkDetector(
        name="xception",
        build=xception.Xception,
        preprocessing=xception.PREPROCESSING,
        recipe=optim.Recipe(
            optimizer="adam", learning_rate=2e-4, batch_size=32, num_epochs=10
        ),
        pretrained=xception.PRETRAINED,
        start_from=pretrained.start_from,
    ),
    NetworkDetector(
        name="autogan",
        build=spectrum.AutoGanNet,
        preprocessing=spectrum.PREPROCESSING,
        recipe=optim.Recipe(
            optimizer="torch_sgd",
            learning_rate=0.01,
            momentum=0.9,
            dampening=0.9,
            weight_decay=1e-4,
            batch_size=16,
            num_epochs=20,
        ),
        pretrained=pretrained.RESNET34,
        start_from=spectrum.start_from,
    ),
)

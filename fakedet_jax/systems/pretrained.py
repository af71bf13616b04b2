# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks with published weights from which the training of a detector may start."""

from collections.abc import Mapping
from typing import Any

import jax

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing

Variables = Mapping[str, Any]

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

RESNET50 = Backbone(
    name="resnet50",
    build=lambda dtype, site: resnet.ResNet(50, dtype=dtype),
    preprocessing=_IMAGENET,
    layers=resnet.layers(50),
    embedding="1000 logits of ImageNet's classes",
)


def start_from(fresh: Variables, trained: Variables) -> dict[str, Any]:
    """Initial values for a training that starts from a trained network.

    Args:
        fresh: Of a network whose last layer is called `fc`, as initialised.
        trained: Of the same network, perhaps for other classes.

    Returns:
        The trained variables; with the fresh `fc` where the number of classes
        differs.

    Raises:
        RequestError: The networks differ in anything else.
    """
    params = dict(trained["params"])
    if _shapes(params.get("fc")) != _shapes(fresh["params"]["fc"]):
        params["fc"] = fresh["params"]["fc"]
    result = {**trained, "params": params}
    found, expected = _shapes(result), _shapes(fresh)
    wrong = sorted(
        name for name in {*found, *expected} if found.get(name) != expected.get(name)
    )
    if wrong:
        name = wrong[0]
        raise RequestError(
            f"`weights`: expected {name} of shape {expected.get(name)}, found "
            f"{found.get(name)} (and {len(wrong) - 1} more differences); give the "
            "weights of the same network"
        )
    return result


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shape of each leaf, by its path."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }

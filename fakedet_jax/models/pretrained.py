# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks with published ImageNet weights from which a training can start."""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing

Variables = Mapping[str, Any]

EMBEDDING = "1000 logits of ImageNet's classes"

# ImageNet's mean and standard deviation, with which torchvision trained its networks.
_IMAGENET = Preprocessing(
    Framing(224, 224, 224 / 256),
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)


def _resnet(depth: int) -> Backbone:
    return Backbone(
        name=f"resnet{depth}",
        build=lambda dtype, site: resnet.ResNet(depth, dtype=dtype),
        preprocessing=_IMAGENET,
        layers=resnet.layers(depth),
        embedding=EMBEDDING,
    )


RESNET34, RESNET50 = _resnet(34), _resnet(50)


def start_from(
    fresh: Variables, trained: Variables, inside: str | None = None
) -> dict[str, Any]:
    """Initial variables for a training that starts from a trained network.

    Args:
        fresh: Initialised variables of a network whose last layer is called `fc`.
        trained: Variables of the same network, possibly for other classes.
        inside: Name of the module in `fresh` that is this network; None for all of it.

    Returns:
        The trained variables, with the fresh `fc` where the number of classes differs,
        and all that is fresh outside of this network.

    Raises:
        RequestError: The networks differ in anything else.
    """
    if inside is not None:
        inner = {name: collection[inside] for name, collection in fresh.items()}
        started = start_from(inner, trained)
        return {name: {**fresh[name], inside: started[name]} for name in fresh}
    params = dict(trained["params"])
    if _shapes(params.get("fc", {})) != _shapes(fresh["params"]["fc"]):
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
            f"{found.get(name)} (and {len(wrong) - 1} more differences); give weights "
            "of the same network"
        )
    return result


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shape of each array, by its path."""
    flat = traverse_util.flatten_dict(tree, sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""AMTENnet in PyTorch, for comparisons of speed. See `amtennet` for the network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import peer
from fakedet_jax.training.recipe import Recipe

# What is compared, by name, with its label.
WORKS: Mapping[str, str] = {"train": "Training step", "evaluation": "Evaluation"}

# Features, inputs, side and padding of the convolutions, by our names.
_CONVOLUTIONS = {
    "amten/conv1": (3, 3, 3, 1),
    "amten/conv2": (3, 3, 3, 1),
    "amten/conv3": (3, 3, 3, 1),
    "amten/conv4": (6, 6, 3, 1),
    "amten/conv5": (6, 6, 3, 1),
    "base/conv6": (24, 12, 3, 1),
    "base/conv7": (48, 24, 3, 0),
    "base/conv8": (64, 48, 3, 0),
    "base/conv9": (128, 64, 1, 0),
}
_NORMS = {"base/bn6": 24, "base/bn7": 48, "base/bn8": 64}
_HIDDEN, _FLAT = 300, 128 * 7 * 7


def check(name: str) -> None:
    """Refuses networks that have no twin.

    Raises:
        RequestError: This one has none.
    """
    if name != "amtennet":
        raise RequestError(
            f"`compare`: there is no PyTorch twin of {name}, only of amtennet; leave "
            "`compare` out"
        )


def build(torch: Any, num_classes: int, variables: Any) -> Any:
    """AMTENnet as a module of PyTorch.

    Args:
        torch: The module `torch`.
        num_classes: Number of logits.
        variables: Of our AMTENnet, on the host; they are copied.

    Returns:
        A module from float32 `[batch, 3, 128, 128]`, BGR, 0–255, to logits
        `[batch, num_classes]`. `layers` maps our names to its layers.
    """
    functional = torch.nn.functional

    class AmtenNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = {
                name: torch.nn.Conv2d(inputs, features, side, padding=padding)
                for name, (features, inputs, side, padding) in _CONVOLUTIONS.items()
            }
            self.layers |= {
                # The share of a new batch; it has no effect on speed.
                name: torch.nn.BatchNorm2d(features, eps=1e-5, momentum=0.001)
                for name, features in _NORMS.items()
            }
            widths = (_FLAT, _HIDDEN, _HIDDEN, num_classes)
            self.layers |= {
                f"base/fc{number}": torch.nn.Linear(*widths[number - 1 : number + 1])
                for number in (1, 2, 3)
            }
            for name, layer in self.layers.items():
                self.add_module(name.replace("/", "_"), layer)
                peer.copy_layer(layer, variables, name)

        def forward(self, planes: Any) -> Any:
            def apply(name: str, values: Any) -> Any:
                return getattr(self, name)(values)

            def pool(values: Any) -> Any:
                pooled = functional.max_pool2d(values, 3, 2, ceil_mode=True)
                return functional.relu(pooled)

            trace = apply("amten_conv1", planes) - planes
            higher = apply("amten_conv3", apply("amten_conv2", trace))
            both = torch.cat([higher, trace], 1)
            higher = apply("amten_conv5", apply("amten_conv4", both))
            hidden = torch.cat([higher, both], 1)
            for number in (6, 7, 8):
                pooled = pool(apply(f"base_conv{number}", hidden))
                hidden = apply(f"base_bn{number}", pooled)
            hidden = pool(apply("base_conv9", hidden)).flatten(1)
            for number in (1, 2, 3):
                hidden = apply(f"base_fc{number}", hidden)
            return hidden

    return AmtenNet()


def scoring(
    torch_peer: peer.Peer,
    preprocessing: Preprocessing,
    variables: Any,
    pictures: np.ndarray,
    num_classes: int,
) -> dict[str, Callable[[], Any] | None]:
    """Calls from pictures to class probabilities.

    Args:
        torch_peer: PyTorch, ready.
        preprocessing: Of the network.
        variables: Of our network, on the host.
        pictures: uint8 `[batch, 128, 128, 3]`.
        num_classes: Number of classes.

    Returns:
        For each of `peer.VARIANTS`, a call or None.
    """
    torch: Any = torch_peer.torch
    network = build(torch, num_classes, variables)

    class Probabilities(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Any) -> Any:
            with torch_peer.autocast():
                logits = self.network(peer.preprocess(images, preprocessing))
            return torch.softmax(logits.float(), -1)

    module = torch_peer.place(Probabilities().eval())
    return torch_peer.scoring(module, torch_peer.put(pictures))


def training(
    torch_peer: peer.Peer,
    preprocessing: Preprocessing,
    recipe: Recipe,
    variables: Any,
    batch: Mapping[str, np.ndarray],
    num_classes: int,
) -> dict[str, Callable[[], Any] | None]:
    """Calls of one training step: loss, gradients and Caffe's update.

    Args:
        torch_peer: PyTorch, ready.
        preprocessing: Of the network.
        recipe: The optimisation; its rate is that of the first step.
        variables: Of our network, on the host; every call changes a copy.
        batch: `image` uint8 `[batch, 128, 128, 3]` and `label` int32 `[batch]`.
        num_classes: Number of classes.

    Returns:
        For each of `peer.VARIANTS`, a call that gives the loss, or None.
    """
    arguments = (preprocessing, recipe, variables, batch, num_classes)
    return torch_peer.training(lambda wrap: Step(torch_peer, wrap, *arguments))


class Step:
    """A training step with a state of its own; each call gives the loss.

    Attributes:
        network: The module that it trains.
    """

    def __init__(
        self,
        torch_peer: peer.Peer,
        wrap: Callable[[Any], Any],
        preprocessing: Preprocessing,
        recipe: Recipe,
        variables: Any,
        batch: Mapping[str, np.ndarray],
        num_classes: int,
    ) -> None:
        """Builds the network.

        Args:
            torch_peer: PyTorch, ready.
            wrap: What is made of the loss function, such as `torch.compile`.
            preprocessing: See `training`, as for all others.
            recipe: The optimisation.
            variables: Of our network.
            batch: What every step learns from.
            num_classes: Number of classes.
        """
        torch = torch_peer.torch
        network = torch_peer.place(build(torch, num_classes, variables).train())

        def loss_of(images: Any, labels: Any) -> Any:
            with torch_peer.autocast():
                logits = network(peer.preprocess(images, preprocessing))
            return torch.nn.functional.cross_entropy(logits.float(), labels)

        self.network = network
        self._loss_of = wrap(loss_of)
        self._optimizer = _optimizer(torch, network, recipe)
        self._batch = (
            torch_peer.put(batch["image"]),
            torch_peer.put(batch["label"].astype(np.int64)),
        )

    def __call__(self) -> Any:
        """Makes the step."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss_of(*self._batch)
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def _optimizer(torch: Any, network: Any, recipe: Recipe) -> Any:
    """Caffe's rule while its rate does not change: PyTorch's, with its multipliers."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    kernels, biases = [], []
    for name, layer in network.layers.items():
        if name == "amten/conv1":
            layer.bias.requires_grad_(False)
        elif not isinstance(layer, torch.nn.BatchNorm2d):
            biases.append(layer.bias)
        else:
            kernels.append(layer.bias)
        kernels.append(layer.weight)
    return torch.optim.SGD(
        [
            {"params": kernels, "lr": rate, "weight_decay": decay},
            {"params": biases, "lr": 2 * rate, "weight_decay": 0.0},
        ],
        momentum=recipe.momentum,
        fused=True,
    )

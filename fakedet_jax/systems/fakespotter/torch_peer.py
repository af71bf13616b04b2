# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Neuron counts in PyTorch, for comparisons of speed.

The networks are those of `models.resnet_caffe` and `models.mobilefacenet`. A layer is
counted as soon as it is there: eagerly as a forward hook would, and within the graph
where everything is compiled.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.models.parameters import Layer
from fakedet_jax.runtime import peer
from fakedet_jax.systems.fakespotter.counts import CountSettings

# What is compared, by name, with its label.
WORKS: Mapping[str, str] = {"counts": "Counting all layers"}

# Takes a layer's name, its output, and that after normalisation and activation.
_Keep = Callable[[str, Any, Any], None]

# Blocks of each stage.
_RESNET_STAGES = (3, 4, 6, 3)
# Features of the input and of the output, and the stride, of each block.
_MOBILE_BLOCKS = (
    (64, 64, 2),
    *((64, 64, 1),) * 4,
    (64, 128, 2),
    *((128, 128, 1),) * 6,
    (128, 128, 2),
    *((128, 128, 1),) * 2,
)


def check(backbone: str) -> None:
    """Refuses backbones that have no twin.

    Raises:
        RequestError: This one has none.
    """
    if backbone not in _NETWORKS:
        raise RequestError(
            f"`compare`: there is no PyTorch twin of {backbone}, only of "
            f"{', '.join(_NETWORKS)}; leave `compare` out"
        )


def scoring(
    torch_peer: peer.Peer,
    settings: CountSettings,
    variables: Any,
    thresholds: np.ndarray,
    pictures: np.ndarray,
) -> dict[str, Callable[[], Any] | None]:
    """Calls from pictures to counts.

    Args:
        torch_peer: PyTorch, ready.
        settings: What is counted.
        variables: Of the backbone, on the host.
        thresholds: float32 `[layers]`.
        pictures: uint8 `[batch, height, width, 3]`.

    Returns:
        For each of `peer.VARIANTS`, a call that gives int32 `[batch, layers]`, or None.
    """
    torch: Any = torch_peer.torch
    layers = _layers(torch, settings.backbone.layers, variables)
    network = _NETWORKS[settings.backbone.name]
    preprocessing = settings.backbone.preprocessing
    is_output, is_channel = settings.site == "layer", settings.neuron == "channel"

    def count(values: Any, threshold: Any) -> Any:
        if values.dtype != torch.float32:
            values = values.float()
        if is_channel and values.ndim == 4:
            values = values.mean((2, 3))
        # int32: sums of truth values take three times as long in int64.
        axes = tuple(range(1, values.ndim))
        return (values > threshold).sum(axes, dtype=torch.int32)

    class Counts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleDict(layers)
            self.register_buffer("thresholds", torch.from_numpy(np.array(thresholds)))

        def forward(self, images: Any) -> Any:
            counts: list[Any] = []

            def keep(name: str, output: Any, activation: Any) -> None:
                values = output if is_output else activation
                # By the number of the layer: layers come in network order.
                counts.append(count(values, self.thresholds[len(counts)]))

            with torch_peer.autocast():
                planes = peer.preprocess(images, preprocessing)
                network(torch, self.layers, planes, keep)
            return torch.stack(counts, 1)

    module = torch_peer.place(Counts().eval())
    return torch_peer.scoring(module, torch_peer.put(pictures))


def _layers(torch: Any, known: tuple[Layer, ...], variables: Any) -> dict[str, Any]:
    """Layers of PyTorch with our names and numbers."""
    made: dict[str, Any] = {}
    for layer in known:
        params = variables["params"][layer.name]
        if layer.kind == "conv":
            height, width, inputs, features = params["kernel"].shape
            is_depthwise = inputs == 1
            made[layer.name] = torch.nn.Conv2d(
                features if is_depthwise else inputs,
                features,
                (height, width),
                groups=features if is_depthwise else 1,
                bias=layer.bias,
            )
        elif layer.kind == "dense":
            made[layer.name] = torch.nn.Linear(*params["kernel"].shape)
        elif layer.kind == "norm":
            made[layer.name] = torch.nn.BatchNorm2d(params["scale"].shape[0], eps=1e-5)
        else:
            made[layer.name] = torch.nn.PReLU(params["slope"].shape[0])
        peer.copy_layer(made[layer.name], variables, layer.name)
    return made


def _conv(torch: Any, layer: Any, planes: Any, stride: int, padding: int) -> Any:
    return torch.nn.functional.conv2d(
        planes,
        layer.weight,
        layer.bias,
        stride=stride,
        padding=padding,
        groups=layer.groups,
    )


def _resnet50(torch: Any, layers: Any, planes: Any, keep: _Keep) -> None:
    """VGGFace2's ResNet-50: strides in the first 1×1 convolutions of the stages."""
    functional = torch.nn.functional

    def conv_norm(
        planes: Any, name: str, stride: int = 1, padding: int = 0, relu: bool = True
    ) -> tuple[Any, Any]:
        convolved = _conv(torch, layers[name], planes, stride, padding)
        normalised = layers[f"{name}_bn"](convolved)
        return convolved, functional.relu(normalised) if relu else normalised

    def kept(planes: Any, name: str, *how: Any, **more: Any) -> Any:
        convolved, activation = conv_norm(planes, name, *how, **more)
        keep(name, convolved, activation)
        return activation

    planes = kept(planes, "conv1", 2, 3)
    planes = functional.max_pool2d(planes, 3, 2, ceil_mode=True)
    for stage, num_blocks in enumerate(_RESNET_STAGES, start=2):
        for number in range(num_blocks):
            name = f"conv{stage}_{number + 1}"
            stride = 2 if stage > 2 and number == 0 else 1
            hidden = kept(planes, f"{name}_1x1_reduce", stride)
            hidden = kept(hidden, f"{name}_3x3", 1, 1)
            convolved, hidden = conv_norm(hidden, f"{name}_1x1_increase", relu=False)
            shortcut, projected = planes, None
            if number == 0:
                projected, shortcut = conv_norm(
                    planes, f"{name}_1x1_proj", stride, relu=False
                )
            planes = functional.relu(hidden + shortcut)
            keep(f"{name}_1x1_increase", convolved, planes)
            if projected is not None:
                keep(f"{name}_1x1_proj", projected, shortcut)
    embedding = planes.float().mean((2, 3))
    logits = layers["classifier"](embedding)
    keep("classifier", logits, logits)


def _mobilefacenet(torch: Any, layers: Any, planes: Any, keep: _Keep) -> None:
    """MobileFaceNet."""

    def conv_norm(planes: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
        convolved = _conv(torch, layers[name], planes, stride, padding)
        activation = layers[f"{name}_bn"](convolved)
        if f"{name}_prelu" in layers:
            activation = layers[f"{name}_prelu"](activation)
        keep(name, convolved, activation)
        return activation

    planes = conv_norm(planes, "conv1", 2, 1)
    planes = conv_norm(planes, "dw_conv1", 1, 1)
    for number, (inputs, features, stride) in enumerate(_MOBILE_BLOCKS, start=1):
        hidden = conv_norm(planes, f"block{number}_expand")
        hidden = conv_norm(hidden, f"block{number}_depthwise", stride, 1)
        hidden = conv_norm(hidden, f"block{number}_project")
        planes = planes + hidden if stride == 1 and inputs == features else hidden
    for name in ("conv2", "linear7", "linear1"):
        planes = conv_norm(planes, name)


_NETWORKS: Mapping[str, Callable[[Any, Any, Any, _Keep], None]] = {
    "vggface2_resnet50": _resnet50,
    "mobilefacenet": _mobilefacenet,
}

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `backbones.json` with PyTorch, from weights that `backbone_weights` draws.

Run with PyTorch 2.13 from the root of the repository:

    python -m tests.golden.make_backbone_golden [NAME…]

With names, only these networks are computed again.

The networks are written down here as their papers describe them, on planes with the
features first, in float64. Layers go by the names of the Caffe definitions; where there
is none, by those of this package.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.backbone_weights import (
    DLIB_BLOCKS,
    FACENET_BLOCKS,
    FACENET_STEM,
    IRESNET_STAGES,
    MOBILE_BLOCKS,
    RESNET_STAGES,
    SIZES,
    VGG_WIDTHS,
    make_pictures,
    summarise,
    torch_tensors,
)

GOLDEN = Path(__file__).with_name("backbones.json")
# Entries of each embedding that are stored, evenly spaced.
NUM_ENTRIES = 8

Tensors = dict[str, Any]
# What a network gives: the embedding, and each layer at both sites.
Result = tuple[Any, dict[str, tuple[Any, Any]]]


class Recorder:
    """Applies layers to planes and keeps what comes out at both sites."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.layers: dict[str, tuple[Any, Any]] = {}

    def conv(self, planes: Any, key: str, **how: Any) -> Any:
        import torch.nn.functional as F

        tensors = self.tensors
        bias = tensors.get(f"{key}.bias")
        return F.conv2d(planes, tensors[f"{key}.weight"], bias, **how)

    def norm(self, planes: Any, key: str, eps: float = 1e-5) -> Any:
        import torch.nn.functional as F

        names = ("running_mean", "running_var", "weight", "bias")
        statistics = [self.tensors[f"{key}.{name}"] for name in names]
        return F.batch_norm(planes, *statistics, eps=eps)

    def layer(
        self,
        planes: Any,
        name: str,
        conv: str,
        norm: str,
        activation: Callable[[Any], Any] | str | None = None,
        **how: Any,
    ) -> Any:
        """Convolution, normalisation and activation: a function, or a PReLU's key."""
        import torch.nn.functional as F

        convolved = self.conv(planes, conv, **how)
        planes = self.norm(convolved, norm)
        if isinstance(activation, str):
            planes = F.prelu(planes, self.tensors[f"{activation}.weight"])
        elif activation is not None:
            planes = activation(planes)
        self.layers[name] = convolved, planes
        return planes

    def linear(self, inputs: Any, key: str) -> Any:
        import torch.nn.functional as F

        weight, bias = (self.tensors[f"{key}.{part}"] for part in ("weight", "bias"))
        return F.linear(inputs, weight, bias)


def _bgr(pictures: Any, mean: tuple[float, float, float]) -> Any:
    planes = pictures.flip(-1).permute(0, 3, 1, 2)
    return planes - planes.new_tensor(mean)[:, None, None]


def resnet50(tensors: Tensors, pictures: Any) -> Result:
    """VGGFace2's ResNet-50 and SE-ResNet-50."""
    import torch.nn.functional as F

    record = Recorder(tensors)
    planes = _bgr(pictures, (91.4953, 103.8827, 131.0912))
    planes = record.layer(planes, "conv1", "conv1", "bn1", F.relu, stride=2, padding=3)
    planes = F.max_pool2d(planes, 3, 2, ceil_mode=True)
    for stage, (num_blocks, _) in enumerate(RESNET_STAGES, 1):
        for number in range(num_blocks):
            key, name = f"layer{stage}.{number}", f"conv{stage + 1}_{number + 1}"
            stride = 2 if stage > 1 and number == 0 else 1
            hidden = record.layer(
                planes,
                f"{name}_1x1_reduce",
                f"{key}.conv1",
                f"{key}.bn1",
                F.relu,
                stride=stride,
            )
            hidden = record.layer(
                hidden, f"{name}_3x3", f"{key}.conv2", f"{key}.bn2", F.relu, padding=1
            )
            increase = f"{name}_1x1_increase"
            hidden = record.layer(hidden, increase, f"{key}.conv3", f"{key}.bn3")
            if f"{key}.conv4.weight" in tensors:
                down = record.conv(F.adaptive_avg_pool2d(hidden, 1), f"{key}.conv4")
                up = record.conv(F.relu(down), f"{key}.conv5")
                record.layers[f"{name}_1x1_down"] = down, F.relu(down)
                record.layers[f"{name}_1x1_up"] = up, up.sigmoid()
                hidden = hidden * up.sigmoid()
            if number == 0:
                planes = record.layer(
                    planes,
                    f"{name}_1x1_proj",
                    f"{key}.downsample.0",
                    f"{key}.downsample.1",
                    stride=stride,
                )
            planes = F.relu(hidden + planes)
            record.layers[increase] = record.layers[increase][0], planes
    embedding = F.adaptive_avg_pool2d(planes, 1).flatten(1)
    logits = record.linear(embedding, "fc")
    record.layers["classifier"] = logits, logits
    return embedding, record.layers


def vgg16(tensors: Tensors, pictures: Any) -> Result:
    """VGG-Face."""
    import torch.nn.functional as F

    record = Recorder(tensors)
    planes = _bgr(pictures, (93.5940, 104.7624, 129.1863))
    for stage, widths in enumerate(VGG_WIDTHS, 1):
        for number in range(1, len(widths) + 1):
            name = f"conv{stage}_{number}"
            planes = F.relu(record.conv(planes, name, padding=1))
            record.layers[name] = planes, planes
        planes = F.max_pool2d(planes, 2, 2)
    hidden = planes.flatten(1)
    for name in ("fc6", "fc7"):
        hidden = F.relu(record.linear(hidden, name))
        record.layers[name] = hidden, hidden
    logits = record.linear(hidden, "fc8")
    record.layers["fc8"] = logits, logits
    return hidden, record.layers


def mobilefacenet(tensors: Tensors, pictures: Any) -> Result:
    """MobileFaceNet."""
    record = Recorder(tensors)

    def single(planes: Any, key: str, *, linear: bool = False, **how: Any) -> Any:
        prelu = None if linear else f"{key}.prelu"
        return record.layer(planes, key, f"{key}.conv", f"{key}.bn", prelu, **how)

    planes = (pictures.permute(0, 3, 1, 2) - 127.5) / 128
    planes = single(planes, "conv1", stride=2, padding=1)
    planes = single(planes, "dw_conv1", padding=1, groups=64)
    for number, (features, inner, width, stride) in enumerate(MOBILE_BLOCKS):
        name, key = f"block{number + 1}", f"blocks.{number}.conv"
        hidden = record.layer(
            planes, f"{name}_expand", f"{key}.0", f"{key}.1", f"{key}.2"
        )
        hidden = record.layer(
            hidden,
            f"{name}_depthwise",
            f"{key}.3",
            f"{key}.4",
            f"{key}.5",
            stride=stride,
            padding=1,
            groups=inner,
        )
        hidden = record.layer(hidden, f"{name}_project", f"{key}.6", f"{key}.7")
        planes = planes + hidden if stride == 1 and features == width else hidden
    planes = single(planes, "conv2")
    planes = single(planes, "linear7", linear=True, groups=512)
    planes = single(planes, "linear1", linear=True)
    return planes.flatten(1), record.layers


def dlib_resnet29(tensors: Tensors, pictures: Any) -> Result:
    """dlib's network; where the sizes of a sum differ, the rest is zero."""
    import torch.nn.functional as F

    record = Recorder(tensors)

    def affine(planes: Any, number: int) -> Any:
        scale, shift = (
            tensors[f"affine{number}.{part}"][:, None, None]
            for part in ("weight", "bias")
        )
        return planes * scale + shift

    def fill(planes: Any, like: Any) -> Any:
        missing = [max(b - a, 0) for a, b in zip(planes.shape, like.shape, strict=True)]
        return F.pad(planes, (0, missing[3], 0, missing[2], 0, missing[1]))

    mean = pictures.new_tensor((122.782, 117.001, 104.298))
    planes = ((pictures - mean) / 256).permute(0, 3, 1, 2)
    convolved = record.conv(planes, "con1", stride=2)
    planes = F.relu(affine(convolved, 1))
    record.layers["con1"] = convolved, planes
    planes = F.max_pool2d(planes, 3, 2)
    number = 1
    for features in DLIB_BLOCKS:
        how = {"stride": 2} if features < 0 else {"padding": 1}
        convolved = record.conv(planes, f"con{number + 1}", **how)
        hidden = F.relu(affine(convolved, number + 1))
        record.layers[f"con{number + 1}"] = convolved, hidden
        convolved = record.conv(hidden, f"con{number + 2}", padding=1)
        hidden = affine(convolved, number + 2)
        skip = F.avg_pool2d(planes, 2) if features < 0 else planes
        planes = F.relu(fill(hidden, skip) + fill(skip, hidden))
        record.layers[f"con{number + 2}"] = convolved, planes
        number += 2
    embedding = F.linear(planes.mean((2, 3)), tensors["fc.weight"])
    record.layers["fc"] = embedding, embedding
    return embedding, record.layers


def facenet(tensors: Tensors, pictures: Any) -> Result:
    """Inception-ResNet v1; a kernel that keeps its size is padded by half of it."""
    import torch
    import torch.nn.functional as F

    record = Recorder(tensors)

    def conv_norm(planes: Any, key: str, **how: Any) -> Any:
        convolved = record.conv(planes, f"{key}.conv", **how)
        planes = F.relu(record.norm(convolved, f"{key}.bn", eps=1e-3))
        record.layers[key.replace(".", "_")] = convolved, planes
        return planes

    planes = ((pictures - 127.5) / 128).permute(0, 3, 1, 2)
    for key in FACENET_STEM:
        how = {"conv2d_1a": {"stride": 2}, "conv2d_4b": {"stride": 2}}.get(key, {})
        how = {"padding": 1} if key == "conv2d_2b" else how
        planes = conv_norm(planes, key, **how)
        if key == "conv2d_2b":
            planes = F.max_pool2d(planes, 3, 2)
    for block, convs in FACENET_BLOCKS.items():
        branches: dict[str, Any] = {}
        for part, (_, _, height, width) in convs.items():
            if part == "conv2d":
                continue
            branch = part.split(".")[0]
            last = [other for other in convs if other.startswith(branch)][-1]
            halves = block.startswith("mixed") and part == last
            how = {"stride": 2} if halves else {"padding": (height // 2, width // 2)}
            branches[branch] = conv_norm(
                branches.get(branch, planes), f"{block}.{part}", **how
            )
        if block.startswith("mixed"):
            joined = [*branches.values(), F.max_pool2d(planes, 3, 2)]
            planes = torch.cat(joined, 1)
            continue
        scales = {"repeat_1": 0.17, "repeat_2": 0.1, "repeat_3": 0.2, "block8": 1.0}
        convolved = record.conv(torch.cat([*branches.values()], 1), f"{block}.conv2d")
        planes = planes + scales[block.split(".")[0]] * convolved
        planes = planes if block == "block8" else F.relu(planes)
        record.layers[f"{block}.conv2d".replace(".", "_")] = convolved, planes
    linear = F.linear(planes.mean((2, 3)), tensors["last_linear.weight"])
    normalised = record.norm(linear, "last_bn", eps=1e-3)
    record.layers["last_linear"] = linear, normalised
    return F.normalize(normalised, dim=1), record.layers


def arcface_iresnet50(tensors: Tensors, pictures: Any) -> Result:
    """IResNet-50, whose blocks normalise their input."""
    import torch.nn.functional as F

    record = Recorder(tensors)
    planes = ((pictures - 127.5) / 127.5).permute(0, 3, 1, 2)
    planes = record.layer(planes, "conv1", "conv1", "bn1", "prelu", padding=1)
    for stage, (num_blocks, _) in enumerate(IRESNET_STAGES, 1):
        for block in range(num_blocks):
            key, name = f"layer{stage}.{block}", f"layer{stage}_{block}"
            stride = 2 if block == 0 else 1
            hidden = record.norm(planes, f"{key}.bn1")
            hidden = record.layer(
                hidden,
                f"{name}_conv1",
                f"{key}.conv1",
                f"{key}.bn2",
                f"{key}.prelu",
                padding=1,
            )
            hidden = record.layer(
                hidden,
                f"{name}_conv2",
                f"{key}.conv2",
                f"{key}.bn3",
                stride=stride,
                padding=1,
            )
            if block == 0:
                shortcut = f"{key}.downsample"
                planes = record.layer(
                    planes,
                    f"{name}_downsample",
                    f"{shortcut}.0",
                    f"{shortcut}.1",
                    stride=stride,
                )
            planes = planes + hidden
            convolved, _ = record.layers[f"{name}_conv2"]
            record.layers[f"{name}_conv2"] = convolved, planes
    planes = record.norm(planes, "bn2")
    linear = F.linear(planes.flatten(1), tensors["fc.weight"], tensors["fc.bias"])
    embedding = record.norm(linear, "features")
    record.layers["fc"] = linear, embedding
    return embedding, record.layers


NETWORKS = {
    "vggface2_resnet50": resnet50,
    "vggface2_senet50": resnet50,
    "vggface_vgg16": vgg16,
    "mobilefacenet": mobilefacenet,
    "dlib_resnet29": dlib_resnet29,
    "facenet": facenet,
    "arcface_iresnet50": arcface_iresnet50,
}


def pick_entries(embedding: np.ndarray) -> list[list[float]]:
    """The stored entries of embeddings `[batch, features]`."""
    chosen = np.linspace(0, embedding.shape[1] - 1, NUM_ENTRIES).astype(int)
    return np.asarray(embedding, np.float64)[:, chosen].tolist()


def _rounded(value: Any) -> Any:
    """Seven significant digits: more than any comparison in float32 can use."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.7g}")


def _golden(name: str) -> dict[str, Any]:
    import torch

    tensors = {
        key: torch.tensor(value, dtype=torch.float64)
        for key, value in torch_tensors(name).items()
    }
    pictures = torch.tensor(make_pictures(name), dtype=torch.float64)
    embedding, layers = NETWORKS[name](tensors, pictures)
    sites: dict[str, dict[str, list[float]]] = {"layer": {}, "activation": {}}
    for layer, outputs in layers.items():
        for site, output in zip(sites, outputs, strict=True):
            # Features last.
            values = output.permute(0, 2, 3, 1) if output.ndim == 4 else output
            sites[site][layer] = summarise(values.numpy())
    return {"embedding": pick_entries(embedding.numpy()), "layers": sites}


def main() -> None:
    """Writes the golden file."""
    import torch

    names = sys.argv[1:] or list(SIZES)
    golden = json.loads(GOLDEN.read_text()) if sys.argv[1:] else {}
    with torch.no_grad():
        golden.update({name: _rounded(_golden(name)) for name in names})
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

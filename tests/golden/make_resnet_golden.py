# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `resnet.json` with PyTorch in float64: torchvision's ResNet-34 and -50.

Run from the root of the repository, with PyTorch 2.13 installed:

    python -m tests.golden.make_resnet_golden

The networks are written here a second time, from torchvision's state dictionary: its
keys and shapes. Weights and pictures come from `make_weights` and `make_images`, so
that only results are stored. PyTorch is imported only where it computes.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.make_amtennet_golden import pick_entries

GOLDEN = Path(__file__).with_name("resnet.json")
DEPTHS = (34, 50)
NUM_CLASSES = 3
LABELS = (0, 2, 1, 2)
# One step of torch.optim.SGD for one of them, AutoGAN's constants but for the rate.
STEP_DEPTH = 34
STEP = {"lr": 0.1, "momentum": 0.9, "dampening": 0.9, "weight_decay": 1e-4}

# Added to the biases of batch normalisation for that step. Few values then lie near the
# edge of a ReLU, where a rounding error switches a gradient on or off.
SHIFT = 2.0

_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))


def make_shapes(depth: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the state dictionary, without the counters of batches."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(conv: str, norm: str, *shape: int) -> None:
        shapes[f"{conv}.weight"] = shape
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{name}"] = shape[:1]

    add("conv1", "bn1", 64, 3, 7, 7)
    inputs = 64
    for stage, (num_blocks, width) in enumerate(_STAGES, 1):
        for block in range(num_blocks):
            path = f"layer{stage}.{block}"
            if depth == 34:
                outputs = width
                sizes = [(width, inputs, 3, 3), (width, width, 3, 3)]
            else:
                outputs = 4 * width
                sizes = [
                    (width, inputs, 1, 1),
                    (width, width, 3, 3),
                    (outputs, width, 1, 1),
                ]
            for place, size in enumerate(sizes, 1):
                add(f"{path}.conv{place}", f"{path}.bn{place}", *size)
            if block == 0 and (stage > 1 or outputs != inputs):
                names = f"{path}.downsample.0", f"{path}.downsample.1"
                add(*names, outputs, inputs, 1, 1)
            inputs = outputs
    shapes["fc.weight"] = (NUM_CLASSES, inputs)
    shapes["fc.bias"] = (NUM_CLASSES,)
    return shapes


def make_weights(depth: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Parameters and running statistics, float32, by torchvision's keys.

    Kernels keep the variance of what they are given, so that all layers matter.
    `shift` is added to the biases of batch normalisation.
    """
    weights = {}
    for key, shape in make_shapes(depth).items():
        rng = np.random.default_rng([depth, zlib.crc32(key.encode())])
        if len(shape) > 1:
            value = rng.standard_normal(shape, np.float32)
            value *= math.sqrt(2 / math.prod(shape[1:]))
        elif key.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif key.endswith(".weight"):
            value = rng.uniform(0.3, 0.9, shape)
        else:
            value = rng.uniform(-0.2, 0.2, shape)
        if key.endswith(".bias") and key != "fc.bias":
            value += shift
        weights[key] = value.astype(np.float32)
    return weights


def make_images() -> np.ndarray:
    """Inputs float32 `[4, 64, 64, 3]`: smooth waves under noise, about ±1."""
    rng = np.random.default_rng(340)
    row, column = np.mgrid[:64, :64] / 64
    tilt = rng.uniform(-8, 8, (2, len(LABELS), 1, 1, 3))
    waves = np.sin(tilt[0] * row[..., None] + tilt[1] * column[..., None])
    noise = rng.normal(size=waves.shape)
    return (0.7 * waves + 0.3 * noise).astype(np.float32)


def _forward(weights: dict[str, Any], planes: Any, *, train: bool) -> dict[str, Any]:
    """Outputs of all convolutions and of `fc`; trained statistics change in place."""
    import torch.nn.functional as F

    def conv_norm(planes: Any, conv: str, norm: str, stride: int = 1) -> Any:
        kernel = weights[f"{conv}.weight"]
        padding = kernel.shape[-1] // 2
        out[conv] = F.conv2d(planes, kernel, stride=stride, padding=padding)
        names = ("running_mean", "running_var", "weight", "bias")
        arguments = [weights[f"{norm}.{name}"] for name in names]
        return F.batch_norm(out[conv], *arguments, training=train)

    out: dict[str, Any] = {}
    planes = F.relu(conv_norm(planes, "conv1", "bn1", 2))
    planes = F.max_pool2d(planes, 3, 2, 1)
    for stage, (num_blocks, _) in enumerate(_STAGES, 1):
        for block in range(num_blocks):
            path = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            if f"{path}.conv3.weight" in weights:
                inner = F.relu(conv_norm(planes, f"{path}.conv1", f"{path}.bn1"))
                inner = conv_norm(inner, f"{path}.conv2", f"{path}.bn2", stride)
                inner = conv_norm(F.relu(inner), f"{path}.conv3", f"{path}.bn3")
            else:
                inner = conv_norm(planes, f"{path}.conv1", f"{path}.bn1", stride)
                inner = conv_norm(F.relu(inner), f"{path}.conv2", f"{path}.bn2")
            if f"{path}.downsample.0.weight" in weights:
                names = f"{path}.downsample.0", f"{path}.downsample.1"
                planes = conv_norm(planes, *names, stride)
            planes = F.relu(planes + inner)
    planes = F.adaptive_avg_pool2d(planes, 1).flatten(1)
    out["fc"] = F.linear(planes, weights["fc.weight"], weights["fc.bias"])
    return out


def _to_tensors(weights: dict[str, np.ndarray]) -> dict[str, Any]:
    import torch

    return {
        key: torch.tensor(value, dtype=torch.float64) for key, value in weights.items()
    }


def _compute(depth: int) -> dict[str, Any]:
    import torch

    planes = torch.tensor(make_images(), dtype=torch.float64).permute(0, 3, 1, 2)
    with torch.no_grad():
        out = _forward(_to_tensors(make_weights(depth)), planes, train=False)
    golden: dict[str, Any] = {
        "eval_logits": out["fc"].tolist(),
        "eval_layers": {
            name: [value.mean().item(), value.std(correction=0).item()]
            for name, value in out.items()
        },
    }
    if depth != STEP_DEPTH:
        return golden
    weights = _to_tensors(make_weights(depth, SHIFT))
    learned = {key: value for key, value in weights.items() if "running" not in key}
    for value in learned.values():
        value.requires_grad_()
    optimizer = torch.optim.SGD(learned.values(), **STEP)
    logits = _forward(weights, planes, train=True)["fc"]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS))
    loss.backward()
    optimizer.step()
    golden["train_loss"] = loss.item()
    golden["gradient_norms"] = {
        key: value.grad.norm().item() for key, value in learned.items()
    }
    golden["after_step"] = {
        key: pick_entries(value.detach().numpy()).tolist()
        for key, value in weights.items()
        if key.startswith(("bn1.", "layer2.0.", "layer4.2.", "fc."))
    }
    return golden


def main() -> None:
    """Writes the golden file."""
    golden = {str(depth): _compute(depth) for depth in DEPTHS}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

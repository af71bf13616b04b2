# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `amtennet.json` with PyTorch in float64, after Caffe's definition.

Run from the root of the repository, with PyTorch 2.13 installed:

    python -m tests.golden.make_amtennet_golden

Weights and pictures come from `make_weights` and `make_images`, so that only results
are stored. The test imports both; PyTorch is imported only where it computes.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).with_name("amtennet.json")
NUM_CLASSES = 8
LABELS = (0, 3, 7, 3)
# Number of entries of each gradient that are stored, evenly spaced.
NUM_ENTRIES = 8

# Output features, input features, side of the kernel, in Caffe's order.
_CONVOLUTIONS = {
    "amten/conv1": (3, 3, 3),
    "amten/conv2": (3, 3, 3),
    "amten/conv3": (3, 3, 3),
    "amten/conv4": (6, 6, 3),
    "amten/conv5": (6, 6, 3),
    "base/conv6": (24, 12, 3),
    "base/conv7": (48, 24, 3),
    "base/conv8": (64, 48, 3),
    "base/conv9": (128, 64, 1),
}
# Features, typical size of the values.
_NORMS = {"base/bn6": (24, 200.0), "base/bn7": (48, 1.0), "base/bn8": (64, 1.0)}
_DENSE = {
    "base/fc1": (300, 7 * 7 * 128),
    "base/fc2": (300, 300),
    "base/fc3": (NUM_CLASSES, 300),
}


def make_weights() -> dict[str, np.ndarray]:
    """Parameters and running statistics, float32, in Caffe's layout.

    `NAME/kernel` is `[out, in, side, side]` or `[out, in]`, uniform on ±√(3 / fan_in).
    """
    rng = np.random.default_rng(20210)
    weights = {}
    for name, (features, inputs, side) in _CONVOLUTIONS.items():
        shape = (features, inputs, side, side)
        weights[f"{name}/kernel"] = rng.uniform(-1, 1, shape) * math.sqrt(
            3 / (inputs * side * side)
        )
        weights[f"{name}/bias"] = rng.uniform(-0.5, 0.5, features)
    for name, (features, size) in _NORMS.items():
        weights[f"{name}/scale"] = rng.uniform(0.5, 1.5, features)
        weights[f"{name}/bias"] = rng.uniform(-0.5, 0.5, features)
        # Sums of moving averages with a weight of 2.5, as after a few steps.
        weights[f"{name}/mean_sum"] = 2.5 * size * rng.uniform(0, 1, features)
        weights[f"{name}/var_sum"] = 2.5 * size**2 * rng.uniform(0.5, 1.5, features)
        weights[f"{name}/weight"] = np.asarray(2.5)
    for name, (features, inputs) in _DENSE.items():
        bound = math.sqrt(3 / inputs)
        weights[f"{name}/kernel"] = rng.uniform(-bound, bound, (features, inputs))
        weights[f"{name}/bias"] = rng.uniform(-0.5, 0.5, features)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def make_images() -> np.ndarray:
    """Pictures uint8 RGB `[4, 128, 128, 3]`: slopes of different tilt under noise."""
    rng = np.random.default_rng(20211)
    row, column = np.mgrid[:128, :128] / 128
    tilt = rng.uniform(0, 1, (len(LABELS), 1, 1, 3))
    slope = tilt * row[..., None] + (1 - tilt) * column[..., None]
    noise = rng.uniform(0, 1, slope.shape)
    return np.floor(255 * (0.6 * slope + 0.4 * noise)).astype(np.uint8)


def pick_entries(gradient: np.ndarray) -> np.ndarray:
    """The stored entries of a gradient in Caffe's layout."""
    flat = np.ravel(gradient)
    return flat[np.linspace(0, flat.size - 1, NUM_ENTRIES).astype(int)]


def _forward(weights: dict[str, Any], images: Any, *, train: bool) -> dict[str, Any]:
    """All layers' outputs; `NAME/new_mean_sum` and so on too in training."""
    import torch
    import torch.nn.functional as F

    def conv(name: str, planes: Any, padding: int = 0) -> Any:
        out[name] = F.conv2d(
            planes, weights[f"{name}/kernel"], weights[f"{name}/bias"], padding=padding
        )
        return out[name]

    def pool_relu(planes: Any) -> Any:
        return F.relu(F.max_pool2d(planes, 3, 2, ceil_mode=True))

    def norm(name: str, planes: Any) -> Any:
        scale, bias = weights[f"{name}/scale"], weights[f"{name}/bias"]
        if not train:
            weight = weights[f"{name}/weight"]
            mean = weights[f"{name}/mean_sum"] / weight
            variance = weights[f"{name}/var_sum"] / weight
            return F.batch_norm(planes, mean, variance, scale, bias, eps=1e-5)
        with torch.no_grad():
            unbiased = planes.transpose(0, 1).flatten(1).var(1)
            for key, new in (
                ("mean_sum", planes.mean((0, 2, 3))),
                ("var_sum", unbiased),
                ("weight", 1.0),
            ):
                old = weights[f"{name}/{key}"]
                out[f"{name}/new_{key}"] = 0.999 * old + new
        return F.batch_norm(planes, None, None, scale, bias, training=True, eps=1e-5)

    out: dict[str, Any] = {}
    # [batch, height, width, RGB] → [batch, BGR, height, width]
    planes = images.flip(3).permute(0, 3, 1, 2)
    trace = conv("amten/conv1", planes, 1) - planes
    out["amten/trace"] = trace
    higher = conv("amten/conv3", conv("amten/conv2", trace, 1), 1)
    both = torch.cat([higher, trace], 1)
    higher = conv("amten/conv5", conv("amten/conv4", both, 1), 1)
    hidden = torch.cat([higher, both], 1)
    out["amten/reused_trace"] = hidden
    for name, number, padding in (("conv6", 6, 1), ("conv7", 7, 0), ("conv8", 8, 0)):
        hidden = pool_relu(conv(f"base/{name}", hidden, padding))
        hidden = norm(f"base/bn{number}", hidden)
    hidden = pool_relu(conv("base/conv9", hidden)).flatten(1)
    for name in _DENSE:
        hidden = F.linear(hidden, weights[f"{name}/kernel"], weights[f"{name}/bias"])
        out[name] = hidden
    return out


def main() -> None:
    """Writes the golden file."""
    import torch

    weights = {
        name: torch.tensor(value, dtype=torch.float64)
        for name, value in make_weights().items()
    }
    images = torch.tensor(make_images(), dtype=torch.float64)
    with torch.no_grad():
        out = _forward(weights, images, train=False)
    golden: dict[str, Any] = {
        "eval_logits": out["base/fc3"].tolist(),
        "eval_layers": {
            name.split("/")[1]: [value.mean().item(), value.std(correction=0).item()]
            for name, value in out.items()
        },
    }
    for value in weights.values():
        value.requires_grad_()
    out = _forward(weights, images, train=True)
    loss = torch.nn.functional.cross_entropy(out["base/fc3"], torch.tensor(LABELS))
    loss.backward()
    golden["train_logits"] = out["base/fc3"].tolist()
    golden["train_loss"] = loss.item()
    golden["batch_stats"] = {
        name.replace("new_", ""): value.detach().flatten().tolist()
        for name, value in out.items()
        if "/new_" in name
    }
    golden["gradients"] = {
        name: {
            "norm": value.grad.norm().item(),
            "entries": pick_entries(value.grad.numpy()).tolist(),
        }
        for name, value in weights.items()
        if value.grad is not None
    }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

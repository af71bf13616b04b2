# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `rivals.json` with PyTorch in float64: what AMTENnet is compared with.

Run from the root of the repository, with PyTorch 2.13 installed:

    python -m tests.golden.make_rivals_golden

The networks are written here a second time: MesoNet by the names of Keras' layers,
Xception by the keys of its PyTorch port, the others by names of their own. Weights and
pictures come from `make_weight` and `make_images`, so that only results are stored.
PyTorch is imported only where it computes.
"""

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).with_name("rivals.json")
NUM_CLASSES = 2
BATCH = 2
# Sides of the pictures: small ones at which windows hang over the border.
SIDES = {
    "meso4": 101,
    "meso_inception4": 101,
    "mislnet": 70,
    "hand_crafted_net": 48,
    "hand_crafted": 64,
    "srm": 64,
    "constrained": 64,
    "xception": 96,
}
# For which training is computed too: Caffe's batch normalisation, and no dropout.
TRAINED = "mislnet"

# From a key and a shape in PyTorch's layout to a tensor.
Weights = Callable[..., Any]


def make_weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter or statistic, float32, in PyTorch's layout.

    Kernels keep the variance of what they are given, so that all layers matter. Keys
    that end in `var` and `scale` are about one, all others about zero.
    """
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if len(shape) > 1:
        value = rng.standard_normal(shape, np.float32)
        # Nothing is rectified behind a depthwise one.
        gain = 1 if shape[1] == 1 else 2
        value *= math.sqrt(gain / math.prod(shape[1:]))
    elif key.endswith(("var", "scale")):
        value = rng.uniform(0.4, 1.2, shape)
    else:
        value = rng.uniform(-0.2, 0.2, shape)
    return value.astype(np.float32)


def make_images(name: str) -> np.ndarray:
    """Inputs float32 `[2, side, side, 3]`: smooth waves under noise, about ±1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    row, column = np.mgrid[: SIDES[name], : SIDES[name]] / SIDES[name]
    tilt = rng.uniform(-8, 8, (2, BATCH, 1, 1, 3))
    waves = np.sin(tilt[0] * row[..., None] + tilt[1] * column[..., None])
    noise = rng.normal(size=waves.shape)
    return (0.7 * waves + 0.3 * noise).astype(np.float32)


def _weights(key: str, *shape: int) -> Any:
    import torch

    return torch.tensor(make_weight(key, shape), dtype=torch.float64)


def _norm(planes: Any, key: str, epsilon: float, *, train: bool = False) -> Any:
    import torch.nn.functional as F

    names = ("mean", "var", "scale", "bias")
    arrays = [_weights(f"{key}.{name}", planes.shape[1]) for name in names]
    return F.batch_norm(planes, *arrays, training=train, eps=epsilon)


def _conv(planes: Any, key: str, width: int, size: int, **options: Any) -> Any:
    import torch.nn.functional as F

    kernel = _weights(f"{key}.kernel", width, planes.shape[1], size, size)
    return F.conv2d(planes, kernel, _weights(f"{key}.bias", width), **options)


def _dense(values: Any, key: str, width: int) -> Any:
    import torch.nn.functional as F

    kernel = _weights(f"{key}.kernel", width, values.shape[1])
    return F.linear(values, kernel, _weights(f"{key}.bias", width))


def _mesonet(planes: Any, out: dict[str, Any], *, inception: bool) -> Any:
    """Keras counts on from layer to layer: the numbers say the order."""
    import torch
    import torch.nn.functional as F

    counts = {"conv2d": 0, "batch_normalization": 0, "dense": 0}
    if not inception:
        counts = {"conv2d": 4, "batch_normalization": 4, "dense": 2}

    def following(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_{counts[kind]}"

    def conv(planes: Any, width: int, size: int, dilation: int = 1) -> Any:
        key = following("conv2d")
        padding = dilation * (size - 1) // 2
        out[key] = _conv(planes, key, width, size, padding=padding, dilation=dilation)
        return F.relu(out[key])

    def block(planes: Any, one: int, two: int, three: int, four: int) -> Any:
        first = conv(planes, one, 1)
        second = conv(conv(planes, two, 1), two, 3)
        third = conv(conv(planes, three, 1), three, 3, 2)
        fourth = conv(conv(planes, four, 1), four, 3, 3)
        return torch.cat([first, second, third, fourth], 1)

    def end(planes: Any, window: int) -> Any:
        planes = _norm(planes, following("batch_normalization"), 1e-3)
        missing = math.ceil(planes.shape[2] / window) * window - planes.shape[2]
        before, after = missing // 2, missing - missing // 2
        planes = F.pad(planes, (before, after, before, after), value=-math.inf)
        return F.max_pool2d(planes, window)

    if inception:
        planes = end(block(planes, 1, 4, 4, 2), 2)
        planes = end(block(planes, 2, 4, 4, 2), 2)
    else:
        planes = end(conv(planes, 8, 3), 2)
        planes = end(conv(planes, 8, 5), 2)
    planes = end(conv(planes, 16, 5), 2)
    planes = end(conv(planes, 16, 5), 4)
    flat = planes.permute(0, 2, 3, 1).flatten(1)
    hidden = F.leaky_relu(_dense(flat, following("dense"), 16), 0.1)
    evidence = _dense(hidden, following("dense"), 1)
    return torch.cat([torch.zeros_like(evidence), evidence], 1)


def _mislnet(planes: Any, out: dict[str, Any], *, train: bool = False) -> Any:
    import torch
    import torch.nn.functional as F

    planes = out["constrained"] = _conv(planes, "constrained", 3, 5)
    layers = ((96, 7, 2, 3), (64, 5, 1, 2), (64, 5, 1, 2), (128, 1, 1, 0))
    for number, (width, size, stride, padding) in enumerate(layers, 2):
        key = f"conv{number}"
        out[key] = _conv(planes, key, width, size, stride=stride, padding=padding)
        planes = torch.tanh(_norm(out[key], f"bn{number}", 1e-5, train=train))
        pool = F.avg_pool2d if number == 5 else F.max_pool2d
        planes = pool(planes, 3, 2, ceil_mode=True)
    hidden = planes.flatten(1)
    for key in ("fc1", "fc2"):
        out[key] = _dense(hidden, key, 200)
        hidden = torch.tanh(out[key])
    return _dense(hidden, "fc3", NUM_CLASSES)


def _hand_crafted(planes: Any) -> Any:
    """By differences of shifted pictures; zeros around them."""
    import torch
    import torch.nn.functional as F

    wide = F.pad(planes, (1, 1, 1, 1))
    here, left, right = planes, wide[:, :, 1:-1, :-2], wide[:, :, 1:-1, 2:]
    up, down = wide[:, :, :-2, 1:-1], wide[:, :, 2:, 1:-1]
    kinds = [right - here, down - here, left + right + up + down - 4 * here]
    colours = range(planes.shape[1])
    return torch.stack([kind[:, c] for c in colours for kind in kinds], 1)


def _srm(planes: Any) -> Any:
    import torch
    import torch.nn.functional as F

    first = [
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ]
    line = torch.tensor([0, 1, -2, 1, 0], dtype=torch.float64)
    third = torch.zeros(5, 5, dtype=torch.float64)
    third[2] = line
    # The second is minus the product of the line with itself.
    second = -torch.outer(line, line)
    filters = [torch.tensor(first).double() / 12, second / 4, third / 2]
    kernel = torch.stack(filters)[:, None]
    return F.conv2d(planes, kernel.expand(3, planes.shape[1], 5, 5), padding=2)


def _model_base(planes: Any, out: dict[str, Any], residual: str) -> Any:
    import torch.nn.functional as F

    if residual == "constrained":
        planes = _conv(planes, "constrained", 3, 5, padding=2)
    else:
        planes = {"hand_crafted": _hand_crafted, "srm": _srm}[residual](planes)
    out["residual"] = planes
    for number, (width, padding) in enumerate(((24, 1), (48, 0), (64, 0)), 6):
        key = f"conv{number}"
        out[key] = _conv(planes, f"base.{key}", width, 3, padding=padding)
        planes = F.relu(F.max_pool2d(out[key], 3, 2, ceil_mode=True))
        planes = _norm(planes, f"base.bn{number}", 1e-5)
    out["conv9"] = _conv(planes, "base.conv9", 128, 1)
    planes = F.relu(F.max_pool2d(out["conv9"], 3, 2, ceil_mode=True))
    hidden = planes.flatten(1)
    for key, width in (("fc1", 300), ("fc2", 300), ("fc3", NUM_CLASSES)):
        hidden = _dense(hidden, f"base.{key}", width)
    return hidden


def _hand_crafted_net(planes: Any, out: dict[str, Any]) -> Any:
    import torch.nn.functional as F

    planes = out["residual"] = _hand_crafted(planes)
    for number, width in enumerate((32, 64, 128), 1):
        key = f"conv{number}"
        out[key] = _conv(planes, key, width, 3, padding=1)
        planes = F.max_pool2d(F.relu(out[key]), 2)
    out["fc1"] = _dense(planes.flatten(1), "fc1", 256)
    return _dense(F.relu(out["fc1"]), "fc2", NUM_CLASSES)


def _xception(planes: Any, out: dict[str, Any]) -> Any:
    """From the port's lists of modules: what has no numbers is counted too."""
    import torch.nn.functional as F

    def conv(planes: Any, key: str, width: int, size: int, **options: Any) -> Any:
        inputs = planes.shape[1] // options.get("groups", 1)
        kernel = _weights(f"{key}.kernel", width, inputs, size, size)
        out[key] = F.conv2d(planes, kernel, **options)
        return out[key]

    def separable(planes: Any, key: str, width: int) -> Any:
        inputs = planes.shape[1]
        planes = conv(planes, f"{key}.conv1", inputs, 3, padding=1, groups=inputs)
        return conv(planes, f"{key}.pointwise", width, 1)

    def block(
        planes: Any,
        key: str,
        width: int,
        repetitions: int,
        stride: int,
        *,
        relu_first: bool = True,
        grow_first: bool = True,
    ) -> Any:
        inputs = planes.shape[1]
        widths = [width] * repetitions
        if not grow_first:
            widths[:-1] = [inputs] * (repetitions - 1)
        members: list[int | str] = []
        for features in widths:
            members += ["relu", features, "norm"]
        members = members if relu_first else members[1:]
        hidden = planes
        for number, member in enumerate(members):
            path = f"{key}.rep.{number}"
            if member == "relu":
                hidden = F.relu(hidden)
            elif member == "norm":
                hidden = _norm(hidden, path, 1e-5)
            else:
                hidden = separable(hidden, path, int(member))
        if stride > 1:
            hidden = F.max_pool2d(hidden, 3, stride, 1)
        if stride > 1 or inputs != width:
            planes = conv(planes, f"{key}.skip", width, 1, stride=stride)
            planes = _norm(planes, f"{key}.skipbn", 1e-5)
        return hidden + planes

    planes = F.relu(_norm(conv(planes, "conv1", 32, 3, stride=2), "bn1", 1e-5))
    planes = F.relu(_norm(conv(planes, "conv2", 64, 3), "bn2", 1e-5))
    planes = block(planes, "block1", 128, 2, 2, relu_first=False)
    planes = block(planes, "block2", 256, 2, 2)
    planes = block(planes, "block3", 728, 2, 2)
    for number in range(4, 12):
        planes = block(planes, f"block{number}", 728, 3, 1)
    planes = block(planes, "block12", 1024, 2, 2, grow_first=False)
    planes = F.relu(_norm(separable(planes, "conv3", 1536), "bn3", 1e-5))
    planes = F.relu(_norm(separable(planes, "conv4", 2048), "bn4", 1e-5))
    return _dense(planes.mean((2, 3)), "last_linear", NUM_CLASSES)


def _forward(name: str, planes: Any, out: dict[str, Any]) -> Any:
    if name in ("meso4", "meso_inception4"):
        return _mesonet(planes, out, inception=name != "meso4")
    networks = {
        "mislnet": _mislnet,
        "hand_crafted_net": _hand_crafted_net,
        "xception": _xception,
    }
    if name in networks:
        return networks[name](planes, out)
    return _model_base(planes, out, name)


def _compute(name: str) -> dict[str, Any]:
    import torch

    images = torch.tensor(make_images(name), dtype=torch.float64)
    planes = images.permute(0, 3, 1, 2)
    out: dict[str, Any] = {}
    with torch.no_grad():
        logits = _forward(name, planes, out)
        golden = {
            "logits": logits.tolist(),
            # Mean and deviation.
            "layers": {
                key: [value.mean().item(), value.std(correction=0).item()]
                for key, value in out.items()
            },
        }
        if name == TRAINED:
            golden["train_logits"] = _mislnet(planes, {}, train=True).tolist()
    return golden


def main() -> None:
    """Writes the golden file."""
    golden = {name: _compute(name) for name in SIDES}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

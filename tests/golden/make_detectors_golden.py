# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `detectors.json`: detectors on vision transformers, with PyTorch.

Run with PyTorch 2.13, transformers 5.24 and timm 1.0 from the root of the repository:

    python -m tests.golden.make_detectors_golden

The networks are narrow, in float64, and have the weights of `encoder_weights`. The
losses are written with PyTorch's own distances of pairs.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.models.encoders.size import EncoderSize
from tests.golden import encoder_weights
from tests.golden.make_encoders_golden import CLIP_MEAN, CLIP_STD, IMAGENET

GOLDEN = Path(__file__).with_name("detectors.json")
# Two blocks and few features.
COMMUNITY = EncoderSize("narrow Community Forensics", 32, 2, 2, 16, 48)
LABELS = (0, 1, 1, 0, 1, 0)


def make_rows() -> np.ndarray:
    """Embeddings float32 `[6, 5]`, not of unit length."""
    return np.random.default_rng(11).normal(size=(6, 5)).astype(np.float32)


def _standardised(size: EncoderSize, mean: Any, std: Any) -> Any:
    """The pictures of the narrow encoders, `[2, 3, side, side]`."""
    import torch

    numbers = torch.from_numpy(encoder_weights.make_pictures(size.side)).double() / 255
    return ((numbers - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)


def _gend() -> dict[str, Any]:
    """CLIP's token before its projection, of unit length, and a linear layer."""
    import torch
    from torch.nn import functional
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    size = encoder_weights.NARROW["clip"]
    config = CLIPVisionConfig(
        hidden_size=size.width,
        intermediate_size=size.mlp_width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.num_heads,
        image_size=size.side,
        patch_size=size.patch,
        projection_dim=size.features,
    )
    model = CLIPVisionModelWithProjection(config).eval().double()
    pictures = _standardised(size, CLIP_MEAN, CLIP_STD)
    # The authors keep the vision model and its projection, as transformers names them.
    published = {
        f"feature_extractor.{key}": list(value.shape)
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }
    published |= {"model.linear.weight": [2, size.width], "model.linear.bias": [2]}
    drawn = encoder_weights.tensors(published)
    # The encoder's arrays are drawn by the names that they have in this file.
    state = {
        key.removeprefix("feature_extractor."): torch.from_numpy(array).double()
        for key, array in drawn.items()
        if key.startswith("feature_extractor.")
    }
    model.load_state_dict(model.state_dict() | state)
    with torch.no_grad():
        token = model.vision_model(pictures).pooler_output
        rows = functional.normalize(token, p=2, dim=1)
        weight, bias = (
            torch.from_numpy(drawn[f"model.linear.{name}"]).double()
            for name in ("weight", "bias")
        )
        logits = functional.linear(rows, weight, bias)
    return {
        "shapes": published,
        "embedding": rows.tolist(),
        "logits": logits.tolist(),
    }


def _community() -> dict[str, Any]:
    """A vision transformer of timm with one output."""
    import timm
    import torch

    size = COMMUNITY
    model = timm.create_model(
        "vit_small_patch16_224",
        img_size=size.side,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.num_heads,
        num_classes=1,
    )
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    published = {f"vit.{key}": shape for key, shape in shapes.items()}
    drawn = encoder_weights.tensors(published)
    model.load_state_dict(
        {key: torch.from_numpy(drawn[f"vit.{key}"]).double() for key in shapes}
    )
    model.eval().double()
    pictures = _standardised(size, *IMAGENET)
    with torch.no_grad():
        outputs = model(pictures)
    return {"shapes": published, "evidence": outputs[:, 0].tolist()}


def _losses() -> dict[str, Any]:
    """Alignment and uniformity of `make_rows`, and their gradients."""
    import torch
    from torch.nn import functional

    labels = torch.tensor(LABELS)
    found: dict[str, Any] = {}
    for name in ("alignment", "uniformity"):
        rows = torch.from_numpy(make_rows()).double().requires_grad_()
        unit = functional.normalize(rows, p=2, dim=1)
        if name == "uniformity":
            loss = torch.pdist(unit).pow(2).mul(-2).exp().mean().log()
        else:
            first, second = torch.combinations(torch.arange(len(labels))).T
            same = labels[first] == labels[second]
            loss = (unit[first] - unit[second]).norm(dim=1)[same].pow(2).mean()
        loss.backward()
        found[name] = {"value": loss.item(), "gradient": rows.grad.tolist()}
    return found


def main() -> None:
    """Writes the golden file."""
    golden = {"gend": _gend(), "community": _community(), "losses": _losses()}
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

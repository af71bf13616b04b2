# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `encoders.json` with the encoders of transformers, OpenCLIP and timm.

Run with PyTorch 2.13, transformers 5.24, open_clip_torch 3.3 and timm 1.0 from the root
of the repository:

    python -m tests.golden.make_encoders_golden

The networks are narrow, in float64, and have the weights of `encoder_weights`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.models.encoders.size import EncoderSize
from tests.golden import backbone_weights, encoder_weights

GOLDEN = Path(__file__).with_name("encoders.json")

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# Our name of a layer to the modules of PyTorch whose outputs it joins.
Modules = Mapping[str, list[str]]
# What a case gives: shapes by key, the embedding, and outputs by our names.
Case = Callable[[], tuple[dict[str, list[int]], Any, dict[str, Any]]]


def _pictures(side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    import torch

    pictures = torch.tensor(encoder_weights.make_pictures(side), dtype=torch.float64)
    values = (pictures / 255 - torch.tensor(mean)) / torch.tensor(std)
    return values.permute(0, 3, 1, 2)


def _fill(model: Any, prefix: str = "") -> dict[str, list[int]]:
    """Draws the weights of a model; returns their shapes by key."""
    import torch

    state = model.state_dict()
    shapes = {
        prefix + key: list(value.shape)
        for key, value in state.items()
        if value.is_floating_point()
    }
    drawn = {
        key.removeprefix(prefix): torch.from_numpy(array)
        for key, array in encoder_weights.tensors(shapes).items()
    }
    model.load_state_dict(state | drawn)
    model.eval().double()
    return shapes


def _run(
    model: Any, call: Callable[[], Any], modules: Modules
) -> tuple[Any, dict[str, Any]]:
    """Calls a model, and joins the outputs of its modules by our names."""
    import torch

    found: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: Any, __: Any, output: Any) -> None:
            found[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for names in modules.values():
        for name in names:
            model.get_submodule(name).register_forward_hook(keep(name))
    with torch.no_grad():
        embedding = call()
    joined = {
        ours: torch.cat([found[name] for name in names], -1)
        for ours, names in modules.items()
    }
    return embedding, joined


def _clip_openai(activation: str) -> Case:
    def case() -> tuple[dict[str, list[int]], Any, dict[str, Any]]:
        import torch
        from open_clip import transformer

        size = encoder_weights.NARROW["clip"]
        acts = {"quick_gelu": transformer.QuickGELU, "gelu": torch.nn.GELU}
        model = transformer.VisionTransformer(
            image_size=size.side,
            patch_size=size.patch,
            width=size.width,
            layers=size.depth,
            heads=size.num_heads,
            mlp_ratio=size.mlp_ratio,
            output_dim=size.features,
            act_layer=acts[activation],
        )
        shapes = _fill(model, "visual.")
        pictures = _pictures(size.side, CLIP_MEAN, CLIP_STD)
        modules: dict[str, list[str]] = {}
        for number in range(size.depth):
            ours, theirs = f"block{number}", f"transformer.resblocks.{number}"
            modules |= {
                f"{ours}/fc1": [f"{theirs}.mlp.c_fc"],
                f"{ours}/fc2": [f"{theirs}.mlp.c_proj"],
                ours: [theirs],
            }
        return shapes, *_run(model, lambda: model(pictures), modules)

    return case


def _hugging_face_modules(
    size: EncoderSize, block: str, attention: tuple[str, str], mlp: tuple[str, str]
) -> Modules:
    modules: dict[str, list[str]] = {}
    for number in range(size.depth):
        ours, theirs = f"block{number}", f"{block}.{number}"
        qkv, out = (f"{theirs}.{name}" for name in attention)
        modules |= {
            f"{ours}/qkv": [f"{qkv}.{part}" for part in ("query", "key", "value")]
            if qkv.endswith("attention")
            else [f"{qkv}.{part}_proj" for part in "qkv"],
            f"{ours}/attention": [out],
            f"{ours}/fc1": [f"{theirs}.{mlp[0]}"],
            f"{ours}/fc2": [f"{theirs}.{mlp[1]}"],
            ours: [theirs],
        }
    return modules


def _clip_hugging_face() -> tuple[dict[str, list[int]], Any, dict[str, Any]]:
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
    model = CLIPVisionModelWithProjection(config)
    shapes = _fill(model)
    pictures = _pictures(size.side, CLIP_MEAN, CLIP_STD)
    modules = _hugging_face_modules(
        size,
        "vision_model.encoder.layers",
        ("self_attn", "self_attn.out_proj"),
        ("mlp.fc1", "mlp.fc2"),
    )
    return shapes, *_run(model, lambda: model(pictures).image_embeds, modules)


CASES: dict[str, Case] = {
    "clip_openai": _clip_openai("quick_gelu"),
    "clip_hugging_face": _clip_hugging_face,
    "openclip": _clip_openai("gelu"),
}


def _rounded(values: Any) -> list[float]:
    return [float(f"{value:.7g}") for value in np.ravel(values)]


def _golden(case: Case) -> dict[str, Any]:
    shapes, embedding, outputs = case()
    # Blocks in full, layers by what is known of them.
    stored = {
        name: _rounded(
            backbone_weights.summarise(values.numpy()) if "/" in name else values
        )
        for name, values in outputs.items()
    }
    return {"shapes": shapes, "embedding": _rounded(embedding), "outputs": stored}


def main() -> None:
    """Writes the golden file."""
    golden = {name: _golden(case) for name, case in CASES.items()}
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `encoders.json` with the encoders of transformers, OpenCLIP and timm.

Run with PyTorch 2.13, transformers 5.24, open_clip_torch 3.3 and timm 1.0 from the root
of the repository:

    python -m tests.golden.make_encoders_golden

The networks are narrow, in float64, and have the weights of `encoder_weights`.
"""

import functools
import importlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.models.encoders.size import EncoderSize
from tests.golden import backbone_weights, encoder_weights

GOLDEN = Path(__file__).with_name("encoders.json")

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET = IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Our name of a layer to the modules of PyTorch whose outputs it joins.
Modules = Mapping[str, list[str]]
Shapes = dict[str, list[int]]
# What a case gives: shapes by key, the embedding, and outputs by our names.
Found = tuple[Shapes, Any, dict[str, Any]]
Case = Callable[[], Found]


def _pictures(side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    import torch

    pictures = torch.tensor(encoder_weights.make_pictures(side), dtype=torch.float64)
    values = (pictures / 255 - torch.tensor(mean)) / torch.tensor(std)
    return values.permute(0, 3, 1, 2)


def _fill(model: Any, prefix: str = "") -> Shapes:
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


def _fill_published(model: Any) -> tuple[Any, dict[str, list[int]]]:
    """Draws the weights of a model of transformers, by the keys of its files.

    Returns:
        The model that is loaded from such a file, and the shapes by key.
    """
    from safetensors import numpy as safetensors

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        path = Path(folder, "model.safetensors")
        shapes = {
            key: list(array.shape)
            for key, array in safetensors.load(path.read_bytes()).items()
        }
        drawn = encoder_weights.tensors(shapes)
        path.write_bytes(safetensors.save(drawn, metadata={"format": "pt"}))
        model = type(model).from_pretrained(folder, dtype="float32")
    return model.eval().double(), shapes


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
    def case() -> Found:
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


def _modules(size: EncoderSize, block: str, **names: str | list[str]) -> Modules:
    """The modules of all blocks, by our names of those of one."""
    modules: dict[str, list[str]] = {}
    for number in range(size.depth):
        for ours, theirs in names.items():
            parts = [theirs] if isinstance(theirs, str) else theirs
            modules[f"block{number}/{ours}"] = [f"{block}.{number}.{p}" for p in parts]
        modules[f"block{number}"] = [f"{block}.{number}"]
    return modules


def _clip_hugging_face() -> Found:
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
    model, shapes = _fill_published(CLIPVisionModelWithProjection(config))
    pictures = _pictures(size.side, CLIP_MEAN, CLIP_STD)
    modules = _modules(
        size,
        "vision_model.encoder.layers",
        qkv=[f"self_attn.{part}_proj" for part in "qkv"],
        attention="self_attn.out_proj",
        fc1="mlp.fc1",
        fc2="mlp.fc2",
    )
    return shapes, *_run(model, lambda: model(pictures).image_embeds, modules)


def _dino_hugging_face(name: str, size_name: str, num_registers: int) -> Case:
    def case() -> Found:
        import transformers

        size = encoder_weights.NARROW[size_name]
        registers = {"num_register_tokens": num_registers} if num_registers else {}
        widths = (
            {"intermediate_size": size.mlp_width}
            if size_name == "dinov3"
            else {"mlp_ratio": 4}
        )
        config = getattr(transformers, f"{name}Config")(
            hidden_size=size.width,
            num_hidden_layers=size.depth,
            num_attention_heads=size.num_heads,
            image_size=size.side,
            patch_size=size.patch,
            **registers,
            **widths,
        )
        model, shapes = _fill_published(getattr(transformers, f"{name}Model")(config))
        pictures = _pictures(size.input_side, IMAGENET_MEAN, IMAGENET_STD)
        v3 = size_name == "dinov3"
        modules = _modules(
            size,
            "model.layer" if v3 else "encoder.layer",
            qkv=[f"attention.{part}_proj" for part in "qkv"],
            attention="attention.o_proj",
            fc1="mlp.up_proj" if v3 else "mlp.fc1",
            fc2="mlp.down_proj" if v3 else "mlp.fc2",
        )
        # Keys of DINOv3 have no bias.
        return shapes, *_run(model, lambda: model(pictures).pooler_output, modules)

    return case


def _facebook_shapes(size: EncoderSize, tokens: Mapping[str, list[int]]) -> Shapes:
    """What a file of DINOv2 or DINOv3 holds, as their authors define it."""
    width, hidden = size.width, size.mlp_width
    shapes: Shapes = {
        "cls_token": [1, 1, width],
        **tokens,
        "mask_token": [1, width],
        "patch_embed.proj.weight": [width, 3, size.patch, size.patch],
        "patch_embed.proj.bias": [width],
        "norm.weight": [width],
        "norm.bias": [width],
    }
    for number in range(size.depth):
        inner = {
            "norm1.weight": [width],
            "norm1.bias": [width],
            "attn.qkv.weight": [3 * width, width],
            "attn.qkv.bias": [3 * width],
            "attn.proj.weight": [width, width],
            "attn.proj.bias": [width],
            "ls1.gamma": [width],
            "norm2.weight": [width],
            "norm2.bias": [width],
            "mlp.fc1.weight": [hidden, width],
            "mlp.fc1.bias": [hidden],
            "mlp.fc2.weight": [width, hidden],
            "mlp.fc2.bias": [width],
            "ls2.gamma": [width],
        }
        shapes |= {f"blocks.{number}.{key}": shape for key, shape in inner.items()}
    return shapes


def _tensors(shapes: Shapes) -> dict[str, Any]:
    import torch

    drawn = encoder_weights.tensors(shapes)
    return {key: torch.from_numpy(array).double() for key, array in drawn.items()}


def _timm(
    name: str,
    size: EncoderSize,
    state: Mapping[str, Any],
    norms: tuple[tuple[float, ...], tuple[float, ...]],
    **how: Any,
) -> Any:
    """A model of timm with published arrays, and its pictures."""
    import timm

    model = timm.create_model(
        name,
        img_size=size.input_side,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.num_heads,
        **how,
    )
    # The module of the model knows how to rename published arrays.
    module = importlib.import_module(type(model).__module__)
    model.load_state_dict(module.checkpoint_filter_fn(dict(state), model))
    return model.eval().double(), _pictures(size.input_side, *norms)


# Layers of a block of timm.
_TIMM = {"fc1": "mlp.fc1", "fc2": "mlp.fc2", "attention": "attn.proj"}
_IN_TIMM = {"qkv": "attn.qkv", **_TIMM}


def _dinov2_facebook(num_registers: int) -> Case:
    def case() -> Found:
        import torch

        size = encoder_weights.NARROW["dinov2"]
        positions: Shapes = {"pos_embed": [1, 1 + size.grid**2, size.width]}
        registers: Shapes = (
            {"register_tokens": [1, num_registers, size.width]} if num_registers else {}
        )
        shapes = _facebook_shapes(size, positions | registers)
        state = _tensors(shapes)
        if not num_registers:
            # As the authors do it: the scale is off by a tenth of a patch.
            learned = state["pos_embed"]
            plane = learned[:, 1:].reshape(1, size.grid, size.grid, -1)
            scale = (size.input_grid + 0.1) / size.grid
            found = torch.nn.functional.interpolate(
                plane.permute(0, 3, 1, 2), scale_factor=(scale, scale), mode="bicubic"
            )
            places = found.permute(0, 2, 3, 1).reshape(1, -1, size.width)
            state["pos_embed"] = torch.cat([learned[:, :1], places], 1)
        name = f"vit_small_patch14_{'reg4_' if num_registers else ''}dinov2"
        model, pictures = _timm(name, size, state, IMAGENET)
        modules = _modules(size, "blocks", **_IN_TIMM)
        call = functools.partial(model.forward_features, pictures)
        return shapes, *_run(model, lambda: call()[:, 0], modules)

    return case


def _dinov3_facebook() -> Found:
    import torch

    size = encoder_weights.NARROW["dinov3"]
    shapes = _facebook_shapes(size, {"storage_tokens": [1, 4, size.width]})
    # A mask keeps the keys without a bias.
    name = "vit_small_patch16_dinov3_qkvb"
    model, pictures = _timm(name, size, _tensors(shapes), IMAGENET)
    modules = _modules(size, "blocks", **_TIMM)
    call = functools.partial(model.forward_features, pictures)
    with torch.no_grad():
        return shapes, *_run(model, lambda: call()[:, 0], modules)


def _perception() -> Found:
    """PE-Core, whose names are those of CLIP but for the pooling."""
    size = encoder_weights.NARROW["perception"]
    width, hidden = size.width, size.mlp_width
    mlp = {
        "mlp.c_fc.weight": [hidden, width],
        "mlp.c_fc.bias": [hidden],
        "mlp.c_proj.weight": [width, hidden],
        "mlp.c_proj.bias": [width],
    }
    attention = {
        "attn.in_proj_weight": [3 * width, width],
        "attn.in_proj_bias": [3 * width],
        "attn.out_proj.weight": [width, width],
        "attn.out_proj.bias": [width],
    }

    def norm(key: str) -> Shapes:
        return {f"{key}.weight": [width], f"{key}.bias": [width]}

    block = norm("ln_1") | attention | norm("ln_2") | mlp
    pool = {"probe": [1, 1, width]} | attention | norm("layernorm") | mlp
    inner: Shapes = {
        "class_embedding": [width],
        "positional_embedding": [1 + size.grid**2, width],
        "proj": [width, size.features],
        "conv1.weight": [width, 3, size.patch, size.patch],
        **norm("ln_pre"),
        **norm("ln_post"),
        **{f"attn_pool.{key}": shape for key, shape in pool.items()},
    }
    for number in range(size.depth):
        key = f"transformer.resblocks.{number}"
        inner |= {f"{key}.{name}": shape for name, shape in block.items()}
    shapes = {f"visual.{key}": shape for key, shape in inner.items()}
    how = {"num_classes": size.features, "ref_feat_shape": (size.grid, size.grid)}
    half = (0.5, 0.5, 0.5)
    name = "vit_pe_core_large_patch14_336"
    model, pictures = _timm(name, size, _tensors(shapes), (half, half), **how)
    modules = {
        **_modules(size, "blocks", **_IN_TIMM),
        "pool/attention": ["attn_pool.proj"],
        "pool/fc1": ["attn_pool.mlp.fc1"],
        "pool/fc2": ["attn_pool.mlp.fc2"],
    }
    return shapes, *_run(model, lambda: model(pictures), modules)


CASES: dict[str, Case] = {
    "clip_openai": _clip_openai("quick_gelu"),
    "clip_hugging_face": _clip_hugging_face,
    "openclip": _clip_openai("gelu"),
    "dinov2_facebook": _dinov2_facebook(0),
    "dinov2_hugging_face": _dino_hugging_face("Dinov2", "dinov2", 0),
    "dinov2_registers_facebook": _dinov2_facebook(4),
    "dinov2_registers_hugging_face": _dino_hugging_face(
        "Dinov2WithRegisters", "dinov2", 4
    ),
    "dinov3_facebook": _dinov3_facebook,
    "perception": _perception,
    "dinov3_hugging_face": _dino_hugging_face("DINOv3ViT", "dinov3", 4),
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

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes `torch_files.json`: small files of PyTorch, and the numbers that they hold.

Run with PyTorch 2.14 from the root of the repository:

    python -m tests.golden.make_torch_files_golden

Each entry has the file (base64 of its bytes, compressed by zlib), and the values that
PyTorch itself finds in it under each name, as nested lists.
"""

import argparse
import base64
import collections
import datetime
import io
import json
import pathlib
import warnings
import zlib
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("torch_files.json")


def _network() -> Any:
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        collections.OrderedDict(
            conv=torch.nn.Conv2d(1, 2, 2),
            norm=torch.nn.BatchNorm2d(2),
            pool=torch.nn.AdaptiveAvgPool2d(1),
            flat=torch.nn.Flatten(),
            fc=torch.nn.Linear(2, 2),
        )
    )
    return network.eval()


def _training() -> dict[str, Any]:
    """What a usual script of distributed training saves."""
    import numpy as np
    import torch

    network = torch.nn.DataParallel(_network())
    optimizer = torch.optim.AdamW(network.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    network(torch.ones(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 1,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "best_acc": torch.tensor(0.75),
        "rng_state": torch.get_rng_state()[:8].clone(),
        "args": argparse.Namespace(
            data=pathlib.PurePosixPath("/data"),
            device=torch.device("cuda", 0),
            dtype=torch.float16,
            tags={"a", "b"},
            seen=collections.defaultdict(list, a=[1]),
        ),
        "when": datetime.datetime(2026, 1, 2),
        "host": np.str_("node"),
        "numpy": np.random.get_state(),  # noqa: NPY002 - as scripts do
    }


def _values() -> dict[str, Any]:
    """What is saved, by the names of the entries."""
    import torch

    x = torch.arange(6.0).reshape(2, 3) - 2
    with_attribute = torch.nn.Parameter(x.clone())
    with_attribute.is_shared = True
    tensor_with_attribute = x.clone()
    tensor_with_attribute.source = "here"
    imaginary = torch.complex(x, 2 * x).conj().imag
    return {
        "negative bit": {"a": torch._neg_view(x)},
        "imaginary part of a conjugate": {"a": imaginary},
        "conjugate bit": {"a": torch.complex(x, 2 * x).conj()},
        "expanded": {"a": torch.arange(3.0).expand(2, 3)},
        "transposed": {"a": x.T},
        "parameter with attributes": {"a": with_attribute},
        "tensor with attributes": {"a": tensor_with_attribute},
        "float8_e4m3fn": {"a": x.to(torch.float8_e4m3fn)},
        "float8_e5m2": {"a": x.to(torch.float8_e5m2)},
        "bfloat16": {"a": x.bfloat16()},
        "training": _training(),
        "module": _network(),
        "module in a checkpoint": {"epoch": 3, "model": _network()},
    }


def _expected(name: str, value: Any) -> dict[str, Any]:
    import torch

    if name == "training":
        names = {k.removeprefix("module."): v for k, v in value["model"].items()}
    elif name == "module":
        names = value.state_dict()
    elif name == "module in a checkpoint":
        names = value["model"].state_dict()
    else:
        names = value
    return {
        key: (torch.view_as_real(v.resolve_conj()) if v.is_complex() else v.float())
        .detach()
        .tolist()
        for key, v in names.items()
    }


def _entry(content: bytes, expected: dict[str, Any]) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(content, 9)).decode()
    return {"file": packed, "arrays": expected}


def main() -> None:
    """Writes the golden file."""
    import torch

    entries = {}
    for name, value in _values().items():
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(value, file, _use_new_zipfile_serialization=zipped)
            title = f"{name}, {'zip' if zipped else 'stream'}"
            entries[title] = _entry(file.getvalue(), _expected(name, value))
    network = _network()
    expected = _expected("module", network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripts = {
            "scripted": torch.jit.script(network),
            "traced": torch.jit.trace(network, torch.ones(1, 1, 4, 4)),
        }
        scripts["frozen"] = torch.jit.freeze(scripts["scripted"])
    for name, script in scripts.items():
        file = io.BytesIO()
        torch.jit.save(script, file)
        entries[f"TorchScript, {name}"] = _entry(file.getvalue(), expected)
    GOLDEN.write_text(json.dumps(entries) + "\n")


if __name__ == "__main__":
    main()

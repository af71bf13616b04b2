# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes `onnx_files.json`: small files of the package onnx, and their numbers.

Run with onnx 1.23 from the root of the repository:

    python -m tests.golden.make_onnx_files_golden

Each entry has the files of a folder (base64), the first of which is the network, and
the values of the initialisers as nested lists.
"""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

GOLDEN = Path(__file__).with_name("onnx_files.json")


def _arrays() -> dict[str, np.ndarray]:
    numbers = np.arange(6).reshape(2, 3) - 2
    types = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int64, np.int8)
    return {f"{np.dtype(t)}.weight": numbers.astype(t) for t in types}


def _model(*, raw: bool) -> Any:
    import onnx
    from onnx import helper, numpy_helper

    initialisers = []
    for name, array in _arrays().items():
        if raw:
            initialisers.append(numpy_helper.from_array(array, name))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            values = array.ravel().tolist()
            initialisers.append(helper.make_tensor(name, kind, array.shape, values))
    graph = helper.make_graph([], "network", [], [], initialisers)
    return helper.make_model(graph, producer_name="pytorch"), onnx


def _entry(folder: Path) -> dict[str, Any]:
    files = {
        path.name: base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".onnx")
    }
    arrays = {n: a.astype(np.float64).tolist() for n, a in _arrays().items()}
    return {"files": files, "arrays": arrays}


def main() -> None:
    """Writes the golden file."""
    entries = {}
    for title, raw, external in (
        ("raw", True, False),
        ("typed fields", False, False),
        ("external", True, True),
    ):
        model, onnx = _model(raw=raw)
        with tempfile.TemporaryDirectory() as folder:
            options = {"location": "weights.data", "size_threshold": 0}
            onnx.save_model(
                model,
                str(Path(folder) / "network.onnx"),
                save_as_external_data=external,
                **(options if external else {}),
            )
            entries[title] = _entry(Path(folder))
    GOLDEN.write_text(json.dumps(entries) + "\n")


if __name__ == "__main__":
    main()

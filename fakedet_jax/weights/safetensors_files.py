# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads safetensors files, with names and axes as in PyTorch.

The package `safetensors` parses them; its NumPy loader has no bfloat16, so the bytes
become arrays here.
"""

from pathlib import Path

import ml_dtypes
import numpy as np

from fakedet_jax.weights.tensors import (
    BFLOAT16,
    Contents,
    UnreadableError,
    torch_contents,
    view,
)

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": BFLOAT16,
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "C64": np.dtype(np.complex64),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


def read(path: Path) -> Contents:
    """Reads all arrays.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or truncated, or holds no numbers.
    """
    import safetensors

    try:
        # The package checks that the arrays fill the file without overlap.
        found = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise UnreadableError(
            f"is a damaged or truncated safetensors file ({str(error)[:120]})"
        ) from error
    tensors = {}
    for name, entry in found:
        if entry["dtype"] not in _DTYPES:
            raise UnreadableError(
                f"holds {entry['dtype']} in {name[:80]!r}, expected one of "
                f"{', '.join(_DTYPES)}"
            )
        tensors[name] = view(entry["data"], _DTYPES[entry["dtype"]], entry["shape"])
    if not tensors:
        raise UnreadableError("holds no arrays")
    return torch_contents(tensors)

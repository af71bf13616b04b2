# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import json

import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as writer

from fakedet_jax.errors import RequestError


def test_arrays_come_back(arrays, read_bytes):
    tensor_file = read_bytes(writer.save(arrays))
    assert (tensor_file.layout, tensor_file.format) == ("torch", "safetensors")
    assert set(tensor_file.tensors) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensor_file.tensors[name], array)


def _file(dtype, raw, shape):
    header = {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(raw)]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + raw


def test_bfloat16(read_bytes):
    numbers = np.arange(6).astype(ml_dtypes.bfloat16)
    tensors = read_bytes(_file("BF16", numbers.tobytes(), [2, 3])).tensors
    np.testing.assert_array_equal(tensors["a"], numbers.reshape(2, 3))


@pytest.mark.parametrize(
    "dtype, raw, values",
    [
        ("F8_E4M3", b"\x38\xc0", [1, -2]),
        ("F8_E5M2", b"\x3c\xc0", [1, -2]),
        ("F8_E8M0", b"\x7f\x80", [1, 2]),
    ],
)
def test_floats_of_eight_bits(dtype, raw, values, read_bytes):
    found = read_bytes(_file(dtype, raw, [2])).tensors["a"]
    np.testing.assert_array_equal(found.astype(np.float32), np.float32(values))


@pytest.mark.parametrize(
    "content, reason",
    [
        (_file("F32", bytes(8), [3]), "damaged"),
        (_file("F32", bytes(8), [2**60]), "damaged"),
        (_file("F4", bytes(1), [2]), "damaged|F4"),
        (_file("F32", bytes(8), [2])[:-1], "truncated"),
        (_file("F32", bytes(8), [2])[:20], "truncated"),
        ((2).to_bytes(8, "little") + b"{}", "no arrays"),
    ],
)
def test_bad_files(content, reason, read_bytes):
    with pytest.raises(RequestError, match=reason):
        read_bytes(content)

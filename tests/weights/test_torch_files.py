# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Both formats of PyTorch, without PyTorch."""

import base64
import io
import json
import pickle
import zipfile
import zlib
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats
from tests.weights import writers

WRITERS = {"zip archive": writers.torch_zip, "stream": writers.torch_stream}
both = pytest.mark.parametrize("kind", list(WRITERS))


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@both
def test_arrays_come_back(kind, arrays, read_bytes):
    tensor_file = read_bytes(WRITERS[kind](arrays))
    assert tensor_file.layout == "torch"
    assert tensor_file.format == f"PyTorch {kind}"
    assert_same(tensor_file.tensors, arrays)


@both
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float64, np.int64, ml_dtypes.bfloat16]
)
def test_dtypes(kind, dtype, read_bytes):
    arrays = {"a": np.arange(6).reshape(2, 3).astype(dtype)}
    tensors = read_bytes(WRITERS[kind](arrays)).tensors
    assert tensors["a"].dtype == dtype
    assert_same(tensors, arrays)


@both
def test_containers_are_not_part_of_the_names(kind, arrays, read_bytes):
    tensor_file = read_bytes(WRITERS[kind](arrays, wrap="net_state_dict"))
    assert_same(tensor_file.tensors, arrays)
    assert tensor_file.notes == ("arrays taken from 'net_state_dict'",)


@both
def test_data_parallel_is_not_part_of_the_names(kind, arrays, read_bytes):
    renamed = {f"module.{name}": array for name, array in arrays.items()}
    tensor_file = read_bytes(WRITERS[kind](renamed))
    assert_same(tensor_file.tensors, arrays)
    assert tensor_file.notes == ("'module.' removed from all names",)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
def test_big_endian_archives(dtype, read_bytes):
    arrays = {"a": np.arange(6).reshape(2, 3).astype(dtype)}
    content = writers.torch_zip(arrays, byteorder="big")
    assert_same(read_bytes(content).tensors, arrays)


def test_archives_that_were_compressed_again(arrays, read_bytes):
    content = writers.torch_zip(arrays, compression=zipfile.ZIP_DEFLATED)
    assert_same(read_bytes(content).tensors, arrays)


def _archive(entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def test_views_share_a_storage(read_bytes):
    numbers = np.arange(12, dtype=np.float32)
    described = (
        b"\x80\x02}("
        + writers.value("transposed")
        + writers.tensor("0", (3, 4), size=12, strides=(1, 3))
        + writers.value("part")
        + writers.tensor("0", (2, 2), size=12, strides=(4, 1), offset=5)
        + b"u."
    )
    content = _archive([("a/data.pkl", described), ("a/data/0", numbers.tobytes())])
    tensors = read_bytes(content).tensors
    np.testing.assert_array_equal(tensors["transposed"], numbers.reshape(4, 3).T)
    np.testing.assert_array_equal(tensors["part"], numbers[[[5, 6], [9, 10]]])


def test_layers_as_containers_make_names(read_bytes):
    a = np.ones(3, np.float32)
    value = {"net": {"conv": {"weight": a, "bias": a}, "list": [a]}}
    names = list(read_bytes(pickle.dumps(value, 4)).tensors)
    assert names == ["conv.weight", "conv.bias", "list.0"]


@pytest.mark.parametrize(
    "value, reason",
    [
        ({"epoch": 3}, "no arrays"),
        ({"a": {"b": np.ones(1)}, "a.b": np.ones(1)}, "two arrays named 'a.b'"),
    ],
)
def test_what_cannot_be_named(value, reason, read_bytes):
    with pytest.raises(RequestError, match=reason):
        read_bytes(pickle.dumps(value, 2))


def test_containers_within_themselves(read_bytes):
    value = {"a": np.ones(1)}
    value["again"] = value
    with pytest.raises(RequestError, match="too deeply nested"):
        read_bytes(pickle.dumps(value, 2))


def test_code_in_an_archive(read_bytes):
    content = _archive([("a/data.pkl", b"\x80\x02cos\nsystem\n(S'true'\ntR.")])
    with pytest.raises(RequestError, match=r"holds code \(os\.system\)"):
        read_bytes(content)


def test_code_in_a_stream(arrays, read_bytes):
    content = writers.torch_stream(arrays)
    described = b"ccollections\nOrderedDict\n)R("
    content = content.replace(described, b"cos\nsystem\n)R(", 1)
    with pytest.raises(RequestError, match=r"holds code \(os\.system\)"):
        read_bytes(content)


def test_archives_of_something_else(read_bytes):
    with pytest.raises(RequestError, match=r"without data\.pkl"):
        read_bytes(_archive([("picture.png", b"")]))


def test_two_entries_of_one_name(read_bytes):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = _archive([("a/data.pkl", b"N."), ("a/data.pkl", b"N.")])
    with pytest.raises(RequestError, match="two entries"):
        read_bytes(content)


def test_an_archive_that_lacks_a_storage(read_bytes):
    described = b"\x80\x02" + writers.tensor("../../etc", (3,), size=3) + b"."
    with pytest.raises(RequestError, match=r"without data/\.\./\.\./etc"):
        read_bytes(_archive([("a/data.pkl", described)]))


def test_a_storage_of_another_size(read_bytes):
    described = b"\x80\x02" + writers.tensor("0", (3,), size=3) + b"."
    with pytest.raises(RequestError, match="claims an array of 12 bytes and holds 8"):
        read_bytes(_archive([("a/data.pkl", described), ("a/data/0", bytes(8))]))


def test_zip_bombs(read_bytes):
    arrays = {"a": np.zeros(32 * 2**20 // 4, np.float32)}
    content = writers.torch_zip(arrays, compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 100_000
    with pytest.raises(RequestError, match="which weights never need"):
        read_bytes(content)


def test_an_archive_whose_sizes_lie(read_bytes, arrays):
    content = writers.torch_zip(arrays)
    # The uncompressed size of the last entry in the directory of the archive.
    start = content.rindex(b"PK\x01\x02") + 24
    lying = content[:start] + b"\xff\xff\xff\x7e" + content[start + 4 :]
    with pytest.raises(RequestError, match=r"never need|damaged"):
        read_bytes(lying)


@both
def test_truncated_files(kind, arrays, read_bytes):
    content = WRITERS[kind](arrays)
    for size in (20, len(content) // 2, len(content) - 1):
        with pytest.raises(RequestError, match="truncated"):
            read_bytes(content[:size])


GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "torch_files.json").read_text()
)


@pytest.mark.parametrize("name", [name for name in GOLDEN if "frozen" not in name])
def test_files_that_pytorch_wrote(name, read_bytes):
    tensors = read_bytes(_golden_file(name)).tensors
    expected = GOLDEN[name]["arrays"]
    assert set(tensors) == set(expected)
    for key, values in expected.items():
        found = tensors[key]
        if found.dtype.kind == "c":
            found = np.stack([found.real, found.imag], -1)
        np.testing.assert_array_equal(found.astype(np.float32), np.float32(values))


def test_a_frozen_file_that_pytorch_wrote(read_bytes):
    with pytest.raises(RequestError, match=r"frozen TorchScript .* its 4 tensors"):
        read_bytes(_golden_file("TorchScript, frozen"))


def test_a_checkpoint_that_pytorch_wrote_says_what_was_passed_over(read_bytes):
    tensor_file = read_bytes(_golden_file("training, zip"))
    assert "18 arrays of 'optimizer'" in tensor_file.notes[0]
    assert "argparse.Namespace" in tensor_file.notes[0]


def _golden_file(name):
    return zlib.decompress(base64.b64decode(GOLDEN[name]["file"]))


@pytest.mark.shared_data
def test_a_published_file(shared_data):
    path = shared_data.parent / "models" / "mobilefacenet_casia.ckpt"
    tensors = formats.read(path).tensors
    assert len(tensors) == 333
    assert tensors["linear7.conv.weight"].shape == (512, 1, 7, 6)

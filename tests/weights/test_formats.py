# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files are recognised by their content, and damage ends as one line."""

import hashlib
import zipfile

import numpy as np
import pytest
from safetensors import numpy as safetensors_writer

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats
from fakedet_jax.weights.tensors import TensorFile
from tests.weights import writers


def _keras(arrays, tmp_path):
    path = tmp_path / "keras.h5"
    writers.keras(path, {"conv": {"kernel": arrays["conv1.weight"]}})
    return path.read_bytes()


def _caffe(arrays):
    blobs = list(arrays.values())
    return writers.caffe(
        [
            ("conv1", "Convolution", (), ("a",), blobs[:2]),
            ("bn", "BatchNorm", ("a",), ("a",), 2 * [blobs[1]] + [np.ones(1)]),
            ("scale", "Scale", ("a",), ("a",), 2 * [blobs[1]]),
            ("fc", "InnerProduct", ("a",), (), blobs[2:]),
        ]
    )


WRITERS = {
    "pickle": lambda arrays, tmp_path: writers.python2_pickle(arrays),
    "text pickle": lambda arrays, tmp_path: writers.text_pickle(arrays),
    "zip": lambda arrays, tmp_path: writers.torch_zip(arrays),
    "deflated zip": lambda arrays, tmp_path: writers.torch_zip(
        arrays, compression=zipfile.ZIP_DEFLATED
    ),
    "stream": lambda arrays, tmp_path: writers.torch_stream(arrays, wrap="net"),
    "keras": _keras,
    "caffe": lambda arrays, tmp_path: _caffe(arrays),
    "safetensors": lambda arrays, tmp_path: safetensors_writer.save(arrays),
}


def test_a_file_is_identified(arrays, tmp_path):
    content = writers.torch_zip(arrays)
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    tensor_file = formats.read(path)
    assert tensor_file.path == path
    assert tensor_file.sha256 == hashlib.sha256(content).hexdigest()
    assert tensor_file.num_bytes == len(content)
    assert tensor_file.format == "PyTorch zip archive"


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"\x89PNG\r\n\x1a\n",
        b"name: 'net'\nlayer {}\n",
        b'{"a": 1}',
        b"classes: 3\n",
        bytes(100),
    ],
)
def test_other_files_are_refused(content, read_bytes):
    with pytest.raises(RequestError, match="has an unknown format") as caught:
        read_bytes(content)
    for name in formats.known():
        assert name in str(caught.value)


def test_missing_and_unusual_paths(tmp_path, read_bytes):
    with pytest.raises(RequestError, match=r"`weights`: .*does not exist"):
        formats.read(tmp_path / "missing")
    with pytest.raises(RequestError, match=r"card\.json' is missing"):
        formats.read(tmp_path)
    with pytest.raises(RequestError, match="is not a file"):
        formats.read(tmp_path.__class__("/dev/zero"))
    with pytest.raises(RequestError, match="is empty"):
        read_bytes(b"")


def test_large_files_are_refused(tmp_path):
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(RequestError, match=r"has 5\.0 GiB, .* 4 GiB"):
        formats.read(path)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_damaged_files_are_read_or_refused(kind, arrays, tmp_path):
    content = WRITERS[kind](arrays, tmp_path)
    rng = np.random.default_rng(1)
    path = tmp_path / "weights"
    for case in range(60):
        damaged = bytearray(content)
        if case % 3 == 0:
            del damaged[rng.integers(1, len(content)) :]
        elif case % 3 == 1:
            # Where names, shapes and sizes are.
            damaged[rng.integers(min(400, len(content)))] ^= 1 << rng.integers(8)
        else:
            for position in rng.integers(len(content), size=rng.integers(1, 20)):
                damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            tensor_file = formats.read(path)
        except RequestError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(tensor_file, TensorFile)

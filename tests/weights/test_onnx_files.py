# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Initialisers of ONNX networks, in the file and beside it."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats, onnx_files

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "onnx_files.json").read_text()
)


def place(name, folder):
    """Writes the files of a golden entry, and returns the path of the network."""
    for file, content in GOLDEN[name]["files"].items():
        (folder / file).write_bytes(base64.b64decode(content))
    return folder / "network.onnx"


@pytest.mark.parametrize("name", GOLDEN)
def test_files_that_the_package_onnx_wrote(name, tmp_path):
    tensor_file = formats.read(place(name, tmp_path))
    assert (tensor_file.layout, tensor_file.format) == ("torch", "ONNX")
    assert list(tensor_file.tensors) == list(GOLDEN[name]["arrays"])
    for key, values in GOLDEN[name]["arrays"].items():
        found = tensor_file.tensors[key]
        assert str(found.dtype) == key.removesuffix(".weight")
        np.testing.assert_array_equal(found.astype(np.float64), values)


def network(*, location=None, offset=b"0", dims=(3,), raw=None, kind=1):
    """A network with one initialiser `a`."""
    model = onnx_files._messages()["ModelProto"]()
    tensor = model.graph.initializer.add(name="a", data_type=kind, dims=dims)
    if location is None:
        tensor.raw_data = bytes(12) if raw is None else raw
    else:
        tensor.data_location = 1
        pairs = {"location": location, "offset": offset, "length": "12"}
        for key, value in pairs.items():
            tensor.external_data.add(key=key, value=value)
    # The version of the format, and the program.
    return b"\x08\x0a\x12\x07pytorch" + model.SerializeToString()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "data").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "secret").write_bytes(bytes(100))
    return folder


def test_numbers_beside_the_network(folder):
    path = folder / "network.onnx"
    path.write_bytes(network(location="data", offset="4"))
    np.testing.assert_array_equal(formats.read(path).tensors["a"], [1, 2, 3])


@pytest.mark.parametrize(
    "how, reason",
    [
        ({"location": "../secret"}, "outside of its folder"),
        ({"location": "/etc/passwd"}, "outside of its folder"),
        ({"location": "link"}, "outside of its folder"),
        ({"location": ""}, "outside of its folder"),
        ({"location": "gone"}, "which is missing; put this file beside it"),
        ({"location": "data", "offset": "8"}, "which is truncated"),
        ({"location": "data", "offset": "-4"}, "it is damaged"),
        ({"location": "data", "offset": "x"}, "at no number"),
        ({"location": "data", "dims": (2,)}, "it is damaged"),
        ({"dims": (2,)}, "damaged or truncated"),
        ({"dims": (2**40, 2**40)}, "impossible shape"),
        ({"dims": (-3,)}, "impossible shape"),
        ({"kind": 8}, "of the type 8 in a"),
        ({"raw": bytes(4)}, "damaged or truncated"),
    ],
)
def test_what_is_refused(how, reason, folder):
    (folder / "link").symlink_to(folder.parent / "secret")
    path = folder / "network.onnx"
    path.write_bytes(network(**how))
    with pytest.raises(RequestError, match=reason):
        formats.read(path)


def test_files_without_initialisers(read_bytes):
    with pytest.raises(RequestError, match="ONNX file without initialisers"):
        read_bytes(b"\x08\x06\x12\x07pytorch\x1a\x031.7")


def test_truncated_files(folder):
    content = network()
    path = folder / "network.onnx"
    for size in (11, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RequestError, match=r"truncated ONNX|without initialisers"):
            formats.read(path)

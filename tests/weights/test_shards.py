# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks in several files: by their index, by their folder, by their numbers."""

import json

import numpy as np
import pytest
from safetensors import numpy as writer

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats
from tests.weights import writers

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path, arrays):
    """A folder with an index and two files."""
    names = list(arrays)
    halves = {FIRST: names[:1], SECOND: names[1:]}
    for file, part in halves.items():
        (tmp_path / file).write_bytes(writer.save({n: arrays[n] for n in part}))
    where = {name: file for file, part in halves.items() for name in part}
    write_index(tmp_path, where)
    return tmp_path


def write_index(folder, where, name="model.safetensors.index.json"):
    content = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / name).write_text(json.dumps(content, indent=2))


def assert_read(path, arrays):
    tensor_file = formats.read(path)
    assert set(tensor_file.tensors) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensor_file.tensors[name], array)
    return tensor_file


def test_an_index_and_its_folder_are_one_network(folder, arrays):
    index = folder / "model.safetensors.index.json"
    by_index, by_folder = (assert_read(path, arrays) for path in (index, folder))
    assert by_index.sha256 == by_folder.sha256
    assert by_index.format == "safetensors"
    assert by_index.notes == ("joined 2 files",)
    size = sum((folder / name).stat().st_size for name in (FIRST, SECOND))
    assert by_index.num_bytes == size


def test_numbered_files_need_no_index(folder, arrays):
    (folder / "model.safetensors.index.json").unlink()
    assert_read(folder, arrays)
    (folder / FIRST).unlink()
    with pytest.raises(RequestError, match="lacks the parts 1 of 2"):
        formats.read(folder)


def test_a_folder_with_one_file_is_that_file(tmp_path, arrays):
    (tmp_path / "model.safetensors").write_bytes(writer.save(arrays))
    (tmp_path / "config.json").write_text("{}")
    assert_read(tmp_path, arrays)


def test_archives_of_pytorch_have_an_index_too(tmp_path, arrays):
    names = list(arrays)
    for number, part in enumerate((names[:2], names[2:])):
        content = writers.torch_zip({name: arrays[name] for name in part})
        (tmp_path / f"part{number}.bin").write_bytes(content)
    where = {name: f"part{int(i > 1)}.bin" for i, name in enumerate(names)}
    write_index(tmp_path, where, "pytorch_model.bin.index.json")
    assert_read(tmp_path, arrays)


def test_several_networks_in_a_folder_are_named(tmp_path, arrays):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(writer.save(arrays))
    with pytest.raises(RequestError, match=r"several .*a\.safetensors, b\.safetensors"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    "file", ["../other", "/etc/passwd", "a/b", "..", ".", "", 3, None]
)
def test_files_elsewhere_are_not_read(file, folder, arrays):
    write_index(folder, dict.fromkeys(arrays, file))
    with pytest.raises(RequestError, match=r"index that names|is not a file"):
        formats.read(folder)


def test_missing_and_damaged_parts_are_named(folder):
    (folder / SECOND).write_bytes((folder / SECOND).read_bytes()[:-1])
    with pytest.raises(RequestError, match=f"the part {SECOND}, which .*truncated"):
        formats.read(folder)
    (folder / SECOND).unlink()
    with pytest.raises(RequestError, match=f"lacks the part {SECOND}"):
        formats.read(folder)


def test_arrays_that_a_part_lacks_are_named(folder, arrays):
    write_index(folder, {**dict.fromkeys(arrays, FIRST), "other": SECOND})
    with pytest.raises(RequestError, match=f"{FIRST} lacks: conv1.bias, fc.weight"):
        formats.read(folder)


@pytest.mark.parametrize(
    "content, reason",
    [
        ('{"weight_map": {', "damaged or truncated index"),
        ('{"weight_map": {}}', "without a weight_map"),
        ('{"metadata": {}}', "without a weight_map"),
        ('{"weight_map": ["a"]}', "without a weight_map"),
    ],
)
def test_damaged_indices(content, reason, folder):
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(RequestError, match=reason):
        formats.read(folder)


def test_an_index_that_names_itself(folder, arrays):
    write_index(folder, dict.fromkeys(arrays, "model.safetensors.index.json"))
    with pytest.raises(RequestError, match="which is an index itself"):
        formats.read(folder)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.bulk.inputs."""

import dataclasses
import datetime
import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from fakedet_jax.bulk import inputs
from fakedet_jax.data import prepared
from fakedet_jax.data.prepared import examples
from fakedet_jax.errors import RequestError


def _list(path, column="path", reserved=("score",)):
    return inputs.from_list(path, column, reserved)


def _text(tmp_path, content, name="list.txt"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_text_list_has_a_path_per_line(tmp_path):
    path = _text(tmp_path, b"\xef\xbb\xbfa.jpg\r\nb c,d.png\n\n  \nsub/e.mp4\nlast.jpg")
    found = _list(path)
    assert [one.path for one in found] == [
        "a.jpg",
        "b c,d.png",
        "sub/e.mp4",
        "last.jpg",
    ]
    assert {one.carried for one in found} == {()}


def test_names_that_are_not_utf8_are_those_of_the_file_system(tmp_path):
    name = b"caf\xe9.jpg"
    (only,) = _list(_text(tmp_path, name + b"\n"))
    assert os.fsencode(only.path) == name


def test_a_path_that_stands_twice_is_two_inputs(tmp_path):
    found = _list(_text(tmp_path, b"a.jpg\na.jpg\n"))
    assert [one.path for one in found] == ["a.jpg", "a.jpg"]
    assert found.summarise().count == 2


def test_a_line_without_end_is_refused(tmp_path):
    content = b"a.jpg\n" + b"x" * (inputs.MAX_LINE_BYTES + 1)
    with pytest.raises(RequestError, match="line 2: expected a path"):
        _list(_text(tmp_path, content)).summarise()


def test_columns_of_a_csv_list_are_carried(tmp_path):
    path = _text(
        tmp_path,
        b'\xef\xbb\xbfsource,path\r\n"a ""b""",x.jpg\r\n\r\n,y.jpg\r\n',
        "l.csv",
    )
    found = _list(path)
    assert found.carried == {"source": pyarrow.string()}
    assert [(one.path, one.carried) for one in found] == [
        ("x.jpg", ('a "b"',)),
        ("y.jpg", ("",)),
    ]


def test_columns_of_a_parquet_list_keep_their_types(tmp_path):
    path = tmp_path / "l.parquet"
    table = pyarrow.table(
        {
            "when": [datetime.date(2026, 1, 2), None],
            "file": ["x.jpg", "y.jpg"],
            "label": pyarrow.array([1, None], pyarrow.int16()),
            "site": pyarrow.array(["a", "b"]).dictionary_encode(),
        }
    )
    parquet.write_table(table, path)
    found = _list(path, "file")
    assert found.carried == {
        "when": pyarrow.date32(),
        "label": pyarrow.int16(),
        "site": pyarrow.string(),
    }
    assert [one.carried for one in found] == [
        (datetime.date(2026, 1, 2), 1, "a"),
        (None, None, "b"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.csv", b"file,label\na.jpg,1\n", "columns file, label; expected one named"),
        ("l.csv", b"path,score\na.jpg,1\n", "column 'score', which the result has"),
        ("l.csv", b"path,path\na.jpg,1\n", "column 'path' twice"),
        ("l.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_a_table_without_its_column_is_refused_at_once(
    tmp_path, name, content, message
):
    with pytest.raises(RequestError, match=message):
        _list(_text(tmp_path, content, name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\na.jpg\n", "line 2: expected 2 cells, found 1"),
        (b"path,label\na.jpg,1\n,2\n", "line 3: expected a path, found ''"),
        (b'path,label\n"a.jpg,1\n', "cannot be read"),
    ],
)
def test_a_wrong_row_is_found_before_anything_is_computed(tmp_path, content, message):
    found = _list(_text(tmp_path, content, "l.csv"))
    with pytest.raises(RequestError, match=message):
        found.summarise()


def test_nested_columns_are_refused(tmp_path):
    path = tmp_path / "l.parquet"
    parquet.write_table(pyarrow.table({"path": ["a"], "boxes": [[1, 2]]}), path)
    with pytest.raises(RequestError, match="column 'boxes' of the type list"):
        _list(path)


def test_a_list_that_is_missing_a_folder_or_empty_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"no\.txt' does not exist; check the path"):
        _list(tmp_path / "no.txt")
    with pytest.raises(RequestError, match="is a folder"):
        _list(tmp_path)
    with pytest.raises(RequestError, match="names no file"):
        _list(_text(tmp_path, b"\n\n")).summarise()


def test_files_of_folders_come_in_their_order(tmp_path):
    for name in ("b.jpg", "a.png", "notes.txt", "c.mp4"):
        (tmp_path / name).touch()
    found = inputs.from_paths([str(tmp_path), "no.jpg"])
    names = [Path(one.path).name for one in found]
    assert names == ["a.png", "b.jpg", "c.mp4", "no.jpg"]
    assert found.summarise().has_videos


def test_the_digest_tells_lists_apart(tmp_path):
    contents = [b"a\nb\n", b"b\na\n", b"ab\n", b"a\nb\nc\n"]
    digests = {
        _list(_text(tmp_path, content)).summarise().digest for content in contents
    }
    table = _text(tmp_path, b"path,x\na,\nb,\n", "l.csv")
    digests.add(_list(table).summarise().digest)
    assert len(digests) == 5


def test_crops_of_a_prepared_dataset_are_inputs(prepared_dir):
    found = inputs.from_prepared(prepared_dir, "all")
    dataset = prepared.load(prepared_dir, prepared.read_info(prepared_dir).name, "all")
    assert [one.path for one in found] == dataset.names
    assert [one.carried[0] for one in found] == [
        dataset.classes[label] for label in dataset.labels
    ]
    assert [examples.read(one.example) for one in found] == [
        record.encoded for record in dataset.source
    ]
    assert not found.summarise().has_videos
    test = inputs.from_prepared(prepared_dir, "test")
    assert {one.carried[2] for one in test} == {"test"}
    assert test.summarise().digest != found.summarise().digest


def test_another_dataset_of_the_same_names_is_another_list(prepared_dir):
    found = inputs.from_prepared(prepared_dir, "all")
    other = dataclasses.replace(found, digest="0" * 64)
    assert found.summarise().digest != other.summarise().digest

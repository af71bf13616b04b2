# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.feature_cache: what is read is what was written."""

import io
import logging
import shutil
import zipfile

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.systems import feature_cache
from fakedet_jax.systems.feature_cache import open_table

_KEY = {"what": "counts", "pictures": "abc"}
_EMPTY = {"counts": np.zeros((0, 3), np.int32), "valid": np.zeros(0, np.bool_)}


def _rows(start, stop):
    counts = np.arange(3 * start, 3 * stop, dtype=np.int32).reshape(-1, 3)
    return {"counts": counts, "valid": np.arange(start, stop) % 2 == 0}


def _table(folder, **changes):
    return open_table(folder, {**_KEY, **changes}, _EMPTY)


@pytest.fixture
def table(tmp_path):
    """Three parts: rows 0 to 3, 4 to 7, and 8 and 9."""
    table = _table(tmp_path / "cache")
    table.prepare()
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        table.append(start, _rows(start, stop))
    return table


@pytest.fixture
def warnings(caplog):
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        yield lambda: [record.getMessage() for record in caplog.records]


def _part(table, start):
    return table.folder / f"rows_{start:010d}.npz"


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _assert_rows(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_rows_come_back_in_order(table, warnings):
    _assert_rows(table.read(), _rows(0, 10))
    assert warnings() == []


def test_a_new_table_has_no_rows(tmp_path, warnings):
    _assert_rows(_table(tmp_path / "new").read(), _rows(0, 0))
    assert not (tmp_path / "new").exists()
    assert warnings() == []


def test_every_key_has_a_table_of_its_own(table):
    other = _table(table.folder.parent, pictures="abd")
    assert other.folder != table.folder
    assert not len(other.read()["valid"])


def test_the_order_of_a_key_does_not_matter(table):
    key = dict(reversed(_KEY.items()))
    again = open_table(table.folder.parent, key, _EMPTY)
    _assert_rows(again.read(), _rows(0, 10))


def test_tuples_in_a_key_are_lists_on_the_disk(tmp_path):
    for _ in range(2):
        table = _table(tmp_path, mean=(1.5, 2.5))
        table.prepare()
    table.append(0, _rows(0, 2))
    _assert_rows(_table(tmp_path, mean=(1.5, 2.5)).read(), _rows(0, 2))


def test_another_version_of_the_format_is_not_read(table, monkeypatch):
    folder = table.folder.parent
    monkeypatch.setattr(feature_cache, "FORMAT", feature_cache.FORMAT + 1)
    assert not len(_table(folder).read()["valid"])
    # Not even where it lies in the folder of this one.
    shutil.copytree(table.folder, _table(folder).folder)
    assert not len(_table(folder).read()["valid"])


_DAMAGES = {
    "empty": lambda good: b"",
    "cut short": lambda good: good[: len(good) // 2],
    "without its end": lambda good: good[:-1],
    "garbage": lambda good: b"garbage" * 99,
    "a changed number": lambda good: good.replace(
        _rows(4, 8)["counts"].tobytes(), _rows(5, 9)["counts"].tobytes()
    ),
    "a lone array": lambda good: _npy(np.zeros((4, 3), np.int32)),
    "pickled": lambda good: _npz(
        counts=np.array([[{}] * 3] * 4), valid=_rows(4, 8)["valid"]
    ),
    "a column less": lambda good: _npz(counts=_rows(4, 8)["counts"]),
    "another dtype": lambda good: _npz(
        counts=_rows(4, 8)["counts"].astype(np.int64), valid=_rows(4, 8)["valid"]
    ),
    "another shape": lambda good: _npz(
        counts=_rows(4, 8)["counts"][:, :2], valid=_rows(4, 8)["valid"]
    ),
    "uneven columns": lambda good: _npz(
        counts=_rows(4, 8)["counts"], valid=_rows(4, 7)["valid"]
    ),
    "no rows": lambda good: _npz(**_rows(4, 4)),
    "a number for a column": lambda good: _npz(
        counts=_rows(4, 8)["counts"], valid=np.bool_(True)
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES)
def test_a_damaged_part_ends_what_is_read_with_one_warning(table, warnings, damage):
    path = _part(table, 4)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert path.read_bytes() != good
    _assert_rows(table.read(), _rows(0, 4))
    assert len(warnings()) == 1
    assert str(path) in warnings()[0]
    assert "\n" not in warnings()[0]
    # Written again, it joins the part that follows.
    table.prepare()
    table.append(4, _rows(4, 8))
    _assert_rows(table.read(), _rows(0, 10))
    assert len(warnings()) == 1


def test_an_unknown_compression_is_damage(table, warnings):
    path = _part(table, 0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("counts.npy", b"x" * 99)
    content = bytearray(path.read_bytes())
    # The method, in the local header and in the directory.
    directory = content.index(b"PK\x01\x02")
    content[8:10] = content[directory + 10 : directory + 12] = b"\x63\x00"
    path.write_bytes(content)
    assert not len(table.read()["valid"])
    assert len(warnings()) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"format": 1, "key": {}}', b"[" * 100_000],
    ids=["empty", "cut", "list", "no text", "of another", "deep"],
)
def test_parts_beside_a_foreign_key_are_not_read(table, warnings, content):
    (table.folder / "key.json").write_bytes(content)
    assert not len(table.read()["valid"])
    table.prepare()
    assert not list(table.folder.glob("rows_*.npz"))
    table.append(0, _rows(0, 2))
    _assert_rows(table.read(), _rows(0, 2))
    assert len(warnings()) == 1
    assert "holds something else" in warnings()[0]


def test_an_unfinished_part_is_not_there(table, monkeypatch):
    def fail(file, **unused):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    before = sorted(table.folder.iterdir())
    with pytest.raises(OSError, match="disk full"):
        table.append(10, _rows(10, 12))
    assert sorted(table.folder.iterdir()) == before


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        table = _table(folder)
        assert not len(table.read()["valid"])
        with pytest.raises(RequestError, match=r"`cache_dir`: .* cannot be written \("):
            table.prepare()


def test_a_read_only_cache_is_read_and_refuses_more(table, monkeypatch):
    monkeypatch.setattr(feature_cache.os, "access", lambda path, mode: False)
    _assert_rows(table.read(), _rows(0, 10))
    with pytest.raises(RequestError, match=r"`cache_dir`: .*\(it is read-only\)"):
        table.prepare()

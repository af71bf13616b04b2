# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from fakedet_jax.data.prepared.left_out import LeftOut, read
from fakedet_jax.errors import RequestError
from fakedet_jax.prepare.manifest import COLUMNS

_ROWS = (
    ("a.jpg", "written", "", "test", "real"),
    ("b.jpg", "left out", "shows no face", "test", "real"),
    ("c.mp4", "left out", "shows no face", "test", "swap"),
    ("c.mp4", "written", "", "test", "swap"),
    ("d.mp4", "left out", "shows no face", "test", "swap"),
    ("d.mp4", "left out", "is damaged", "test", "swap"),
    ("e.jpg", "left out", "is empty (0 bytes)", "train", "real"),
    ("f.jpg", "missing", "is listed by the dataset, but does not exist", "", ""),
)


def _write(path, rows=_ROWS):
    lines = [",".join(COLUMNS)]
    for name, status, reason, split, class_name in rows:
        known = {"path": name, "status": status, "reason": f'"{reason}"'}
        known |= {"split": split, "class": class_name}
        lines.append(",".join(known.get(column, "") for column in COLUMNS))
    (path / "manifest.csv").write_text("\n".join(lines))


def test_files_without_a_written_row_are_named_once(tmp_path):
    _write(tmp_path)
    assert read(tmp_path, "test") == [
        LeftOut("b.jpg", "shows no face", "real"),
        LeftOut("d.mp4", "shows no face", "swap"),
    ]
    assert [entry.path for entry in read(tmp_path, "train")] == ["e.jpg"]
    assert [entry.path for entry in read(tmp_path, "all")] == [
        *("b.jpg", "d.mp4", "e.jpg", "f.jpg"),
    ]


def test_without_a_manifest_nothing_is_known(tmp_path):
    assert read(tmp_path, "test") == []


def test_another_table_of_that_name_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RequestError, match="expected the manifest that"):
        read(tmp_path, "test")

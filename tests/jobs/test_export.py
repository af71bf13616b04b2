# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.export."""

import pytest

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import export
from tests.data import pictures


@pytest.fixture
def data(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"real": 3, "fake": 2})
    return config.DataConfig(dataset="folder", data_dir=root)


def _export(data, output, **settings):
    return export.export(
        config.ExportConfig(output=output, data=data, split="all", **settings)
    )


@pytest.mark.parametrize(("limit", "number"), [(2, 4), (0, 5)])
def test_files_are_written_as_they_are_stored(data, tmp_path, limit, number):
    output = tmp_path / "out"
    count = _export(data, output, num_per_class=limit)
    written = sorted(path for path in output.rglob("*") if path.is_file())
    assert count == len(written) == number
    for path in written:
        original = data.data_dir / path.relative_to(output)
        assert path.read_bytes() == original.read_bytes()


def test_no_pictures_at_all_are_refused(data, tmp_path):
    with pytest.raises(RequestError, match="`num_per_class`"):
        _export(data, tmp_path / "out", num_per_class=-1)
    assert not (tmp_path / "out").exists()


def test_no_picture_replaces_another(data, tmp_path):
    root = data.data_dir / "real"
    (root / "more").mkdir()
    (root / "000.png").rename(root / "more" / "001.png")
    with pytest.raises(RequestError, match=r"found several .*001\.png'; rename them"):
        _export(data, tmp_path / "out")


def test_an_output_that_is_a_file_is_refused(data, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(RequestError, match=r"`output`: .*name another folder"):
        _export(data, tmp_path / "out")


def test_crops_are_files_of_their_kind_with_names_of_their_own(prepared_dir, tmp_path):
    data = config.DataConfig("folder", prepared_dir)
    count = _export(data, tmp_path, num_per_class=0)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert count == len(written) > 10
    assert {path.suffix for path in written} == {".png"}
    assert "fake_v.mp4_frame_0.png" in {path.name for path in written}

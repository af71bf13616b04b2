# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import export
from tests.data import pictures


@pytest.fixture
def data(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"real": 3, "fake": 2})
    return config.DataConfig(dataset="folder", data_dir=root)


def test_files_are_written_as_they_are_stored(data, tmp_path):
    output = tmp_path / "out"
    count = export.export(
        config.ExportConfig(output=output, data=data, split="all", num_per_class=2)
    )
    written = sorted(path for path in output.rglob("*") if path.is_file())
    assert count == len(written) == 4
    for path in written:
        original = data.data_dir / path.relative_to(output)
        assert path.read_bytes() == original.read_bytes()


def test_no_pictures_at_all_are_refused(data, tmp_path):
    with pytest.raises(RequestError, match="--num_per_class"):
        export.export(
            config.ExportConfig(
                output=tmp_path / "out", data=data, split="all", num_per_class=0
            )
        )
    assert not (tmp_path / "out").exists()

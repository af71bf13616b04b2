# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.suite_export."""

import csv
import json
import shutil

import numpy as np
import pytest

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import export
from fakedet_jax.media.decode import decode
from fakedet_jax.perturb import apply
from fakedet_jax.runtime import storage
from tests.data import pictures
from tests.perturb import samples

SUITE = samples.SMALL_SUITE
COUNTS = {"real": 3, "glow": 2, "stylegan": 1}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return pictures.write_folder(tmp_path_factory.mktemp("export") / "data", COUNTS, 33)


@pytest.fixture(scope="module")
def exported(data_dir, tmp_path_factory):
    """An export that no test changes."""
    output = tmp_path_factory.mktemp("export") / "new" / "output"
    assert _export(data_dir, output) == 6 * 8
    return output


def _export(data_dir, output, suite=SUITE.name, **settings):
    data = config.DataConfig(dataset="folder", data_dir=data_dir)
    request = config.ExportConfig(
        **{"split": "all", **settings},
        output=output,
        data=data,
        suite=suite,
    )
    with samples.small_suite():
        return export.export(request)


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_file_is_named_once(exported):
    rows = _rows(exported / "pictures.csv")
    names = [row["path"] for row in rows]
    assert set(names) == set(_contents(exported)) - {
        "pictures.csv",
        "skipped.csv",
        "suite.json",
    }
    assert len(names) == len({name.casefold() for name in names}) == 48
    assert names[0] == "0_none/glow/000.png"
    assert names[-1] == "7_mix/stylegan/000.png"
    assert names[6] == "1_jpeg_90/glow/000.png"


def test_rows_tell_label_and_condition(exported):
    rows = _rows(exported / "pictures.csv")
    assert {(row["path"].split("/")[1], row["label"]) for row in rows} == {
        ("real", "real"),
        ("glow", "fake"),
        ("stylegan", "fake"),
    }
    found = list(dict.fromkeys((row["operation"], row["strength"]) for row in rows))
    expected = [(one.operation, str(one.strength)) for one in SUITE.conditions]
    assert found == [("none", ""), *expected]


def test_the_suite_is_described(exported):
    assert json.loads((exported / "suite.json").read_text()) == {
        "suite": "small",
        "version": 3,
        "seed": 7,
        "dataset": "folder",
        "split": "all",
        "num_examples": 6,
        "num_real": 3,
        "num_fake": 3,
        "num_skipped": 0,
        "num_conditions": 7,
        "num_pictures": 48,
    }


def test_the_pixels_are_those_of_the_conditions(exported, data_dir):
    rows = iter(_rows(exported / "pictures.csv"))
    originals = [decode(path.read_bytes()) for path in sorted(data_dir.glob("*/*"))]
    keys = map(SUITE.key, range(len(SUITE.conditions)))
    perturbed = [
        apply.apply(condition, originals, key=key)
        for condition, key in zip(SUITE.conditions, keys, strict=True)
    ]
    for expected in [originals, *perturbed]:
        for picture in expected:
            written = (exported / next(rows)["path"]).read_bytes()
            np.testing.assert_array_equal(decode(written), picture)


def test_a_repetition_gives_the_same_bytes(exported, data_dir, tmp_path):
    output = shutil.copytree(exported, tmp_path / "output")
    _export(data_dir, output)
    assert _contents(output) == _contents(exported)


def test_an_export_that_breaks_off_does_not_look_complete(
    exported, data_dir, tmp_path, monkeypatch
):
    output = shutil.copytree(exported, tmp_path / "output")
    write = storage.write_bytes

    def write_some(path, content):
        if path.parent.parent.name == "5_gaussian_noise_0.05":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(storage, "write_bytes", write_some)
    with pytest.raises(RequestError, match=r"cannot be written \(No space left"):
        _export(data_dir, output)
    assert not (output / "suite.json").exists()


@pytest.mark.parametrize("name", ["more.png", "0_none/real/999.png", "1_x/a.txt"])
def test_other_files_in_the_folder_are_refused(data_dir, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with pytest.raises(RequestError, match=f"`output`: .* found '{name}'"):
        _export(data_dir, tmp_path)


def test_unreadable_pictures_are_listed_and_not_written(data_dir, tmp_path):
    root = shutil.copytree(data_dir, tmp_path / "data")
    bad = root / "real" / "001.png"
    bad.write_bytes(b"")
    output = tmp_path / "output"
    assert _export(root, output) == 5 * 8
    assert _rows(output / "skipped.csv") == [
        {"path": str(bad), "reason": "is empty (0 bytes)"}
    ]
    assert not list(output.glob("*/real/001.png"))
    assert json.loads((output / "suite.json").read_text())["num_skipped"] == 1


def test_a_few_of_each_class_can_be_chosen(data_dir, tmp_path):
    assert _export(data_dir, tmp_path / "output", num_per_class=1) == 3 * 8


def test_a_single_class_is_refused(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 2}, 16)
    with pytest.raises(RequestError, match="found only fake ones"):
        _export(root, tmp_path / "output")


def test_nothing_readable_is_refused(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 1, "real": 1}, 16)
    for path in root.glob("*/*"):
        path.write_bytes(b"")
    with pytest.raises(RequestError, match="none of the 2 pictures can be read"):
        _export(root, tmp_path / "output")


def test_an_unknown_suite_is_refused(data_dir, tmp_path):
    with pytest.raises(RequestError, match="`suite`: expected amten, fakespotter"):
        _export(data_dir, tmp_path / "output", suite="x")
    assert not (tmp_path / "output").exists()


def test_odd_names_become_portable(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"Real: ü": 1, "fake": 1}, 16)
    picture = next(root.glob("fake/*"))
    for name in ("A b.png", "a_b.png", "CON.png", "-x.png", "\udcff.png", "照片.png"):
        shutil.copy(picture, picture.with_name(name))
    output = tmp_path / "output"
    _export(root, output)
    names = [row["path"] for row in _rows(output / "pictures.csv")]
    assert "0_none/Real_/000.png" in names
    found = {name.split("/")[2] for name in names if name.startswith("0_none/fake/")}
    assert found == {
        *("000.png", "A_b.png", "a_b-2.png", "_CON.png", "x.png", "_.png", "_-2.png")
    }

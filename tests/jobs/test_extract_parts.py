# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.extract_parts."""

import numpy as np
import pytest
from pyarrow import parquet

from fakedet_jax.bulk import ledger
from fakedet_jax.faces.extraction import WRITTEN, Row
from fakedet_jax.jobs.extract_parts import NOT_FINITE, _FileFeatures
from tests import tiny
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video

NUM_PICTURES = 10


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Weights, pictures, a video and a broken file. Not to be changed."""
    root = tmp_path_factory.mktemp("features")
    tiny.write_weights(root / "weights")
    (root / "files").mkdir()
    for number in range(NUM_PICTURES):
        picture = encode(colourful(18, 16, number))
        (root / "files" / f"{number}.png").write_bytes(picture)
    (root / "files" / "4_broken.jpg").write_bytes(b"\xff\xd8 no picture")
    write_video(root / "files" / "5.mp4", 4)
    return root


@pytest.fixture(scope="module")
def thresholds(root):
    """The features of the files in one file, with the thresholds fitted to them."""
    assert _extract(root, root / "single", "coverage") == 0
    return root / "single" / "features.npz"


def _extract(root, output, features, *arguments):
    return tiny.run_cli(
        "--mode=extract",
        "--backbone=tiny_faces",
        f"--weights={root / 'weights'}",
        f"--features={features}",
        f"--output={output}",
        "--batch_size=8",
        *map(str, arguments),
        str(root / "files"),
    )


def _merged(folder, path):
    assert tiny.run_cli("--mode=merge", f"--output={path}", str(folder)) == 0
    return parquet.read_table(path)


@pytest.mark.slow
@pytest.mark.parametrize("features", ["coverage", "embedding"])
def test_parts_hold_what_one_file_holds(root, thresholds, tmp_path, features):
    more = [f"--thresholds={thresholds}"] if features == "coverage" else []
    assert _extract(root, tmp_path / "one", features, *more) == 0
    assert _extract(root, tmp_path / "run", features, "--unit_size=3", *more) == 0
    table = _merged(tmp_path / "run", tmp_path / "t.parquet")
    with np.load(tmp_path / "one" / "features.npz", allow_pickle=False) as archive:
        expected = dict(archive)
    rows = [row for row in table.to_pylist() if row["error"] is None]
    assert [row["path"] for row in rows] == expected["paths"].tolist()
    assert [row["face"] for row in rows] == expected["faces"].tolist()
    frames = [-1 if row["frame"] is None else row["frame"] for row in rows]
    assert frames == expected["frames"].tolist()
    found = np.array([row["features"] for row in rows])
    if features == "coverage":
        np.testing.assert_array_equal(found, expected["features"])
    else:
        np.testing.assert_allclose(found, expected["features"], rtol=1e-5, atol=1e-6)
    column = table["features"]
    assert column.type.list_size == expected["features"].shape[1]
    assert column.type.value_type.to_pandas_dtype() == expected["features"].dtype
    assert len(set(table["model_id"].to_pylist())) == 1


def test_what_cannot_be_read_has_a_row_without_features(root, tmp_path, capfd):
    assert _extract(root, tmp_path / "run", "embedding", "--unit_size=3") == 0
    assert "12 inputs computed, 1 row with an error" in capfd.readouterr().err
    rows = _merged(tmp_path / "run", tmp_path / "t.parquet").to_pylist()
    (broken,) = (row for row in rows if row["features"] is None)
    assert broken["path"].endswith("4_broken.jpg")
    assert broken["error"].startswith("is not a picture in a known format")
    assert [row["input"] for row in rows] == sorted(row["input"] for row in rows)


def test_processes_share_a_run_and_a_lost_part_comes_back(root, tmp_path):
    arguments = ("embedding", "--part_format=parquet", "--unit_size=5")
    assert _extract(root, tmp_path / "one", *arguments) == 0
    for shard in ("0/2", "1/2"):
        run = tmp_path / "two"
        assert _extract(root, run, *arguments, f"--shard={shard}") == 0
    opened = ledger.open_ledger(tmp_path / "one", "paths")
    lost = tmp_path / "two" / opened.part(1).name
    lost.unlink()
    assert _extract(root, tmp_path / "two", *arguments) == 0
    for unit in range(opened.request.num_units):
        part = opened.part(unit)
        assert part.read_bytes() == (tmp_path / "two" / part.name).read_bytes()


def test_a_list_carries_its_columns(root, tmp_path):
    path = sorted((root / "files").iterdir())[0]
    listed = tmp_path / "l.csv"
    listed.write_text(f"path,name\n{path},first\n")
    arguments = [
        "--mode=extract",
        "--backbone=tiny_faces",
        f"--weights={root / 'weights'}",
        "--features=embedding",
        f"--output={tmp_path / 'run'}",
        f"--inputs={listed}",
    ]
    assert tiny.run_cli(*arguments) == 0
    (row,) = _merged(tmp_path / "run", tmp_path / "t.parquet").to_pylist()
    assert (row["path"], row["name"]) == (str(path), "first")


def test_a_feature_that_is_not_finite_is_a_reason():
    file = _FileFeatures(is_video=False)
    file.add(Row(WRITTEN, face=0), np.float32([1, np.inf]))
    file.add(Row(WRITTEN, face=1), np.int32([1, 2]))
    assert file.skipped() == {0: NOT_FINITE}
    assert [*file.results()] == [1]


@pytest.mark.parametrize(
    ("features", "arguments", "message"),
    [
        ("coverage", ["--unit_size=3"], "--thresholds: parts are counted one by one"),
        ("embedding", ["--part_format=csv"], "--part_format: features are vectors"),
        ("embedding", ["--shard=2/2"], "--shard: expected NUMBER/PROCESSES"),
        ("embedding", ["--inputs=l.txt"], "expected files and folders or a list"),
    ],
)
def test_wrong_settings_are_refused(
    root, tmp_path, capfd, features, arguments, message
):
    assert _extract(root, tmp_path / "run", features, *arguments) == 2
    assert message in capfd.readouterr().err


def test_vectors_are_merged_into_parquet_alone(root, tmp_path, capfd):
    assert _extract(root, tmp_path / "run", "embedding", "--unit_size=30") == 0
    output = f"--output={tmp_path / 't.csv'}"
    assert tiny.run_cli("--mode=merge", output, str(tmp_path / "run")) == 2
    assert "--output: expected a name that ends in .parquet" in capfd.readouterr().err

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of preparing photographs with the settings of their cameras."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.config import DataConfig, FaceConfig, PrepareConfig
from fakedet_jax.data import prepared
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs.prepare import prepare, to_text
from fakedet_jax.media.decode import decode
from fakedet_jax.media.exif import TAGS
from fakedet_jax.prepare import manifest
from fakedet_jax.synthetic_faces import examples
from tests import tiny
from tests.data.pictures import colourful, encode, write_folder

NUM_IDENTITIES = 6
HEADER = f"path,{','.join(TAGS)}"


def config(root: Path, output: Path, dataset: str = "exif_faces", **settings):
    """Asks for whole photographs, by one process."""
    data = DataConfig(dataset, root, validation_fraction=0.1)
    given = {"faces": FaceConfig("none"), "num_workers": 1, **settings}
    return PrepareConfig(output=output, data=data, **given)


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    """The rows of a manifest by path, each of which is there once."""
    with (output / manifest.FILE_NAME).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def write_tags(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def portraits():
    """Photographs of the synthetic people, by name."""
    made = (
        examples.make_examples(0, number, NUM_IDENTITIES)[:2] for number in range(3)
    )
    return {example.name: example for pair in made for example in pair}


@pytest.fixture(scope="module")
def root(portraits, tmp_path_factory):
    """Portraits with tags, and other files. Not to be changed."""
    folder = tmp_path_factory.mktemp("tags") / "in"
    for name, example in portraits.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(example.encoded)
    cut = next(iter(portraits.values())).encoded[:2000]
    (folder / "cut.jpg").write_bytes(cut)
    (folder / "plain.png").write_bytes(encode(colourful(32, 32)))
    (folder / "text.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    output = tmp_path_factory.mktemp("tags") / "out"
    return output, prepare(config(root, output, num_workers=2))


def test_portraits_keep_their_tags(done, portraits):
    dataset = prepared.load(done[0], "exif_faces", "all")
    assert sorted(dataset.names) == sorted(portraits)
    for index, name in enumerate(dataset.names):
        settings = portraits[name].settings
        expected = [settings.iso, settings.f_number, 1 / settings.shutter]
        tags = dataset.portraits.tags[index]
        np.testing.assert_allclose(tags, [*expected, settings.focal_length], rtol=1e-6)
        np.testing.assert_array_equal(dataset.source.example(index)["exif"], tags)


def test_what_has_no_tags_is_left_out_with_the_reason(done, portraits):
    rows = rows_of(done[0])
    written = {name for name, row in rows.items() if row["status"] == "written"}
    assert written == set(portraits)
    assert rows["plain.png"]["reason"] == "has no usable EXIF tag: no EXIF data"
    assert rows["cut.jpg"]["reason"].startswith("is truncated")
    assert rows["text.jpg"]["reason"].startswith("is not a picture")


def test_the_summary_counts_photographs_with_tags(done, portraits):
    _, summary = done
    assert summary["files"]["with_tags"] == len({*portraits, "cut.jpg"}) == 7
    assert "7 photographs with camera settings" in to_text(summary).splitlines()


def test_staged_files_of_other_needs_are_not_mixed_up(tmp_path):
    root = write_folder(tmp_path / "in", {"real": 1, "fake": 1})
    with pytest.raises(RequestError):
        prepare(config(root, tmp_path / "out"))
    summary = prepare(config(root, tmp_path / "out", "folder"))
    assert summary["faces"] == 2


def test_no_photograph_with_tags_is_a_request_error(tmp_path):
    root = write_folder(tmp_path / "in", {"a": 2})
    with pytest.raises(
        RequestError, match=r"expected photographs with EXIF tags in .* in 2 files"
    ) as error:
        prepare(config(root, tmp_path / "out"))
    assert "\n" not in str(error.value)
    assert len(rows_of(tmp_path / "out")) == 2


def test_tags_but_no_usable_photograph_is_another_error(portraits, tmp_path):
    (tmp_path / "in").mkdir()
    cut = next(iter(portraits.values())).encoded[:2000]
    (tmp_path / "in" / "cut.jpg").write_bytes(cut)
    with pytest.raises(RequestError, match="`data_dir`: expected faces in"):
        prepare(config(tmp_path / "in", tmp_path / "out"))


def test_given_tags_replace_those_of_the_files(root, portraits, tmp_path):
    first, second, *others = portraits
    tags = write_tags(
        tmp_path / "tags.csv", f"{first},123,,0.5,", f"{second},,,,", "plain.png,50,,,"
    )
    prepare(config(root, tmp_path / "out", tags=tags))
    rows = rows_of(tmp_path / "out")
    assert [rows[first][name] for name in TAGS] == ["123", "", "0.5", ""]
    assert rows[second]["reason"] == (
        "has no usable EXIF tag: empty in the file of tags"
    )
    assert [rows["plain.png"][name] for name in TAGS] == ["50", "", "", ""]
    assert rows[others[0]]["iso"] == f"{portraits[others[0]].settings.iso:g}"


def test_given_tags_work_for_other_layouts(tmp_path):
    root = write_folder(tmp_path / "in", {"real": 2, "fake": 2})
    tags = write_tags(tmp_path / "tags.csv", "real/000.png,100,2.8,0.004,50")
    prepare(config(root, tmp_path / "out", "folder", tags=tags))
    dataset = prepared.load(tmp_path / "out", "folder", "all")
    known = [
        name
        for name, row in zip(dataset.names, dataset.portraits.tags, strict=True)
        if np.isfinite(row).all()
    ]
    assert known == ["real/000.png"]


def test_changed_tags_are_another_dataset(tmp_path):
    root = write_folder(tmp_path / "in", {"a": 2})
    tags = write_tags(tmp_path / "tags.csv", "a/000.png,100,,,")
    settings = config(root, tmp_path / "out", tags=tags)
    summary = prepare(settings)
    assert prepare(settings) == summary
    write_tags(tags, "a/000.png,200,,,")
    with pytest.raises(RequestError, match="made of other files"):
        prepare(settings)


def test_a_wrong_file_of_tags_is_a_request_error(root, tmp_path):
    tags = write_tags(tmp_path / "tags.csv", "gone.jpg,100,,,")
    with pytest.raises(RequestError, match=r"tags\.csv', line 2: .*'gone\.jpg'"):
        prepare(config(root, tmp_path / "out", tags=tags))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [("a/000.png,1e9,,,", "column iso"), ("a/000.png,,,,", "with EXIF tags in")],
)
def test_a_wrong_request_gets_one_line(tmp_path, capsys, line, message):
    root = write_folder(tmp_path / "in", {"a": 1})
    tags = write_tags(tmp_path / "tags.csv", line)
    code = tiny.run_cli(
        "--mode=prepare",
        "--dataset=exif_faces",
        f"--data_dir={root}",
        f"--output={tmp_path / 'out'}",
        "--face_detector=none",
        f"--tags={tags}",
    )
    assert code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.shared_data
def test_photographs_of_many_cameras(shared_data, tmp_path):
    root = shared_data / "exif" / "jpg"
    summary = prepare(config(root, tmp_path, num_workers=2))
    rows = rows_of(tmp_path)
    files = {path.relative_to(root).as_posix() for path in root.rglob("*.jp*g")}
    assert set(rows) == files
    written = [row for row in rows.values() if row["status"] == "written"]
    left_out = [row for row in rows.values() if row["status"] == "left out"]
    assert len(written) + len(left_out) == len(files) == summary["rows"]["total"]
    assert len(written) == summary["faces"] == summary["files"]["with_tags"]
    assert sum(summary["left_out"].values()) == len(left_out)
    assert all(any(row[name] for name in TAGS) for row in written)
    assert all(row["reason"] for row in left_out)
    assert [rows["Canon_40D.jpg"][name] for name in TAGS] == [
        *("100", "7.1", "0.00625", "135")
    ]


@pytest.mark.shared_data
def test_turned_photographs_come_out_upright(shared_data, tmp_path):
    root = shared_data / "exif" / "jpg" / "orientation"
    names = sorted(path.name for path in root.glob("*.jpg"))
    lines = [f"{name},,,,{number + 10}" for number, name in enumerate(names)]
    tags = write_tags(tmp_path / "tags.csv", *lines)
    prepare(config(root, tmp_path / "out", tags=tags))
    dataset = prepared.load(tmp_path / "out", "exif_faces", "all")
    assert sorted(dataset.names) == names
    for index, name in enumerate(dataset.names):
        height, width = decode(dataset.source[index].encoded).shape[:2]
        shape = (450, 600) if name.startswith("landscape") else (600, 450)
        assert (height, width) == shape
        focal_length = dataset.portraits.tags[index, 3]
        assert focal_length == names.index(name) + 10

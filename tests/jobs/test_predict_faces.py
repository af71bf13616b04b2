# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `--mode=predict` with faces that are searched for, and with videos."""

import csv
import dataclasses
import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import detection
from fakedet_jax.jobs.evaluate import evaluate
from fakedet_jax.jobs.predict import predict
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.media.decode import decode
from tests import tiny
from tests.data.pictures import colourful, encode
from tests.media.media_files import cut, moving, write_video
from tests.prepare.detectors import Scripted

FRAMES = config.FrameConfig(4)
WHOLE = {
    "detector": {"name": "none"},
    "scale": None,
    "size": None,
    "align": False,
    "all_faces": False,
    "frames": {"evenly": 3},
}


@dataclasses.dataclass(frozen=True)
class Haar(Scripted):
    """Finds what it is told to under the name of another."""

    name = "haar"

    @property
    def settings(self):
        return {"name": self.name, "longest_side": 640}


EVERYWHERE = (*range(24), None)
TWO_FACES = Haar({n: [(2, 2, 30, 30), (36, 10, 56, 30)] for n in EVERYWHERE})


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    pictures = tiny.write_pictures(folder / "pictures")
    return tiny.fit(pictures, folder / "workdir", recipe={"num_epochs": 1})


@pytest.fixture
def with_record(workdir, tmp_path):
    """Copies the workdir with another record of how faces were found."""

    def copy(record):
        copied = tmp_path / "workdir"
        shutil.copytree(workdir, copied)
        settings = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({**settings, "faces": record}))
        return copied

    return copy


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Photographs and videos, sound ones and others. Not to be changed."""
    root = tmp_path_factory.mktemp("media") / "in"
    for seed, folder in enumerate(("real", "fake")):
        (root / folder).mkdir(parents=True)
        for number in range(3):
            picture = colourful(48, 64, 3 * seed + number)
            (root / folder / f"{number}.png").write_bytes(encode(picture))
        frames = [np.roll(picture, 3 * number, 1) for number in range(24)]
        write_video(root / folder / "v.mp4", frames)
    (root / "real" / "empty.mp4").write_bytes(b"")
    return root


@pytest.fixture
def detector(monkeypatch):
    def replace(other):
        monkeypatch.setattr(detection, "create", lambda *_, **__: other)

    return replace


def run(workdir, output, *paths, **settings):
    """Predicts; gives the rows of the table, and its counts."""
    with tiny.registered():
        counts = predict(
            config.PredictConfig(
                workdir=workdir,
                paths=tuple(map(str, paths)),
                output=output / "scores.csv",
                **settings,
            )
        )
    return read(output / "scores.csv"), counts


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_face_gets_the_score_that_evaluate_gives_its_crop(
    with_record, media, tmp_path, detector
):
    detector(TWO_FACES)
    prepare(
        config.PrepareConfig(
            output=tmp_path / "prepared",
            data=config.DataConfig("folder", media),
            faces=config.FaceConfig("haar", size=24),
            frames=FRAMES,
            num_workers=1,
        )
    )
    summary = json.loads((tmp_path / "prepared" / "summary.json").read_text())
    workdir = with_record(summary["request"]["faces"])
    data = config.DataConfig("folder", tmp_path / "prepared")
    with tiny.registered():
        evaluate(
            config.EvaluateConfig(workdir=workdir, data=data, split="all", name="x")
        )
    expected = {}
    for row in read(workdir / "evaluations" / "x" / "scores.csv"):
        name, _, frame = row["path"].partition(" frame ")
        expected[name, frame] = float(row["score"])
    table = tmp_path / "frames.csv"
    rows, _ = run(workdir, tmp_path, media, frame_scores=table)
    actual = {}
    for row in read(table):
        name = row["path"].removeprefix(f"{media}/")
        if row["score"]:
            actual[name, row["frame"]] = float(row["score"])
    assert len(actual) == 6 + 2 * 4
    assert actual == pytest.approx(expected, rel=1e-6)
    video = [score for (name, _), score in actual.items() if name == "real/v.mp4"]
    (row,) = (row for row in rows if row["path"].endswith("real/v.mp4"))
    assert float(row["score"]) == pytest.approx(np.mean(video), rel=1e-12)


def test_every_photograph_and_video_has_a_row(workdir, media, tmp_path):
    rows, counts = run(workdir, tmp_path, media, frames=FRAMES)
    files = sorted(path for path in media.rglob("*.*"))
    assert [row["path"] for row in rows] == list(map(str, files))
    failed = [row["path"] for row in rows if row["error"]]
    assert failed == [str(media / "real" / "empty.mp4")]
    assert sum(counts.values()) == len(rows) and counts["error"] == 1


def test_all_faces_have_rows_where_that_is_asked_for(
    with_record, media, tmp_path, detector
):
    detector(TWO_FACES)
    workdir = with_record({**WHOLE, "detector": TWO_FACES.settings})
    paths = media / "real" / "0.png", media / "real" / "v.mp4"
    rows, _ = run(workdir, tmp_path, *paths)
    assert [row["face"] for row in rows] == ["0", "0"]
    rows, counts = run(workdir, tmp_path, *paths, all_faces=True)
    assert [row["face"] for row in rows] == ["0", "1", "0", "1", "all"]
    assert counts["fake"] + counts["real"] == 4


@pytest.mark.parametrize("has_parts", [False, True])
def test_a_detector_of_crops_gives_a_video_its_row_for_all_faces(
    workdir, tmp_path, monkeypatch, has_parts
):
    main, brief = (20, 20, 120, 120), (180, 40, 280, 140)
    boxes = {number: [main] for number in range(24)} | {5: [main, brief]}
    create = detection.create

    def only_search_as_told(name, **settings):
        return Haar(boxes) if name == "haar" else create(name, **settings)

    monkeypatch.setattr(detection, "create", only_search_as_told)
    video = write_video(tmp_path / "v.mp4", moving(24, 240, 320))
    output = tmp_path / ("parts" if has_parts else "scores.csv")
    with tiny.registered():
        predict(
            config.PredictConfig(
                workdir=workdir,
                paths=(str(video),),
                output=output,
                all_faces=True,
                parts=config.PartsConfig(part_format="csv" if has_parts else None),
            )
        )
    (table,) = output.glob("part-*.csv") if has_parts else (output,)
    rows = read(table)
    # What was seen in one of 24 frames is less than a tenth, and has no row.
    all_faces = "" if has_parts else "all"
    assert [(row["face"], row["frames"]) for row in rows] == [
        ("0", "24"),
        (all_faces, "24"),
    ]
    assert all(row["note"].endswith("haar searched for the face") for row in rows)


def test_a_file_without_a_face_has_one_row(workdir, media, tmp_path, detector):
    detector(Haar({None: [], 0: []}))
    faces = config.FaceConfig("haar")
    with pytest.raises(RuntimeError, match="none of the 2 files"):
        run(
            workdir,
            tmp_path,
            media / "real" / "0.png",
            media / "real" / "v.mp4",
            faces=faces,
            frames=FRAMES,
        )
    rows = read(tmp_path / "scores.csv")
    assert [row["error"] for row in rows] == [
        "shows no face",
        "has no usable frame (4 × shows no face)",
    ]


def test_scores_do_not_depend_on_batches_and_threads(workdir, media, tmp_path):
    tables = []
    for batch_size, num_threads in ((8, 1), (16, 5)):
        rows, _ = run(
            workdir,
            tmp_path,
            media,
            frames=config.FrameConfig(frame_step=1),
            batch_size=batch_size,
            input=config.FileInputConfig(num_threads=num_threads),
        )
        tables.append([(row["path"], row["decision"]) for row in rows])
    assert tables[0] == tables[1]


def test_a_damaged_video_is_scored_and_warned_of(workdir, tmp_path, caplog):
    path = cut(write_video(tmp_path / "v.mkv", 60), 0.5)
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        rows, _ = run(workdir, tmp_path, path, frames=FRAMES)
    assert rows[0]["score"]
    (message,) = (text for text in caplog.messages if "was scored, but" in text)
    assert message.startswith(f"{path} was scored, but ends too early")


def test_frames_that_are_scored_whole_are_warned_of(workdir, media, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        run(workdir, tmp_path, media / "real" / "v.mp4", frames=FRAMES)
    assert any(
        "1 file is not square like the training pictures: the central square was taken"
        in message
        for message in caplog.messages
    )


@pytest.mark.slow
def test_copies_are_written_for_scored_files_alone(workdir, media, tmp_path):
    run(workdir, tmp_path, media, frames=FRAMES, annotated=tmp_path / "copies")
    names = {
        str(path.relative_to(tmp_path / "copies"))
        for path in (tmp_path / "copies").rglob("*.*")
    }
    of_each = ("0.png", "1.png", "2.png", "v.mp4")
    assert names == {f"{kind}/{name}" for kind in ("real", "fake") for name in of_each}
    picture = decode((tmp_path / "copies" / "real" / "0.png").read_bytes())
    assert picture.shape == (240, 320, 3)


def test_photographs_need_neither_opencv_nor_pyav(
    workdir, media, tmp_path, monkeypatch
):
    for name in ("cv2", "av"):
        monkeypatch.setitem(sys.modules, name, None)
    photo = media / "real" / "0.png"
    rows, _ = run(workdir, tmp_path, photo, annotated=tmp_path / "copies")
    assert rows[0]["score"]


@pytest.mark.parametrize(
    ("module", "name", "detector_name", "message"),
    [
        ("av", "v.mp4", "none", "reading videos needs PyAV"),
        ("cv2", "0.png", "haar", "need OpenCV"),
    ],
)
def test_what_is_not_installed_is_one_line_before_any_score(
    workdir, media, tmp_path, monkeypatch, module, name, detector_name, message
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RequestError, match=message):
        run(
            workdir,
            tmp_path,
            media / "real" / name,
            faces=config.FaceConfig(detector_name),
        )
    assert not (tmp_path / "scores.csv").exists()


def test_nothing_is_written_among_the_files_that_are_scored(workdir, media, tmp_path):
    for annotated in (media, media / "real" / "copies"):
        with pytest.raises(RequestError, match="`annotated`: expected a folder outs"):
            run(workdir, tmp_path, media, annotated=annotated)
    photo = next(media.rglob("*.png"))
    with pytest.raises(RequestError, match="`annotated`: expected a folder outs"):
        run(workdir, tmp_path, photo, annotated=photo.parent)


def test_two_tables_need_two_files(workdir, media, tmp_path):
    same = tmp_path / "scores.csv"
    with pytest.raises(
        RequestError, match="`frame_scores`: expected a file other than"
    ):
        run(workdir, tmp_path, media, frame_scores=same)


def test_boxes_are_named_relative_to_the_folder_that_is_scored(
    workdir, media, tmp_path
):
    table = tmp_path / "boxes.csv"
    table.write_text("path,left,top,right,bottom\nreal/0.png,2,2,30,30\n")
    rows, _ = run(
        workdir, tmp_path, media, faces=config.FaceConfig("boxes", boxes=table)
    )
    assert [row["path"] for row in rows if row["score"]] == [str(media / "real/0.png")]


@pytest.mark.shared_data
def test_both_of_two_people_are_followed(workdir, shared_data, tmp_path):
    model = shared_data.parent / "models" / "face_detection_yunet.onnx"
    rows, _ = run(
        workdir,
        tmp_path,
        shared_data / "videos" / "two_people.mp4",
        faces=config.FaceConfig("yunet", model=model, min_score=0.85),
        frames=config.FrameConfig(frame_step=40),
        all_faces=True,
        frame_scores=tmp_path / "frames.csv",
    )
    *faces, whole = rows
    assert [row["face"] for row in faces] == [str(n) for n in range(len(faces))]
    assert whole["face"] == "all" and whole["faces"] == str(len(faces))
    assert len(faces) >= 2 and all(row["score"] for row in rows)
    frames = read(tmp_path / "frames.csv")
    assert {row["frame"] for row in frames} == {"0", "40", "80"}
    assert all(float(row["detector_score"]) > 0.85 for row in frames)


def test_whole_photographs_are_not_judged_by_their_central_square(
    shared_data, workdir, tmp_path, caplog
):
    portraits = shared_data / "portraits"
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        rows, _ = run(workdir, tmp_path, portraits)
    by_name = {Path(row["path"]).name: row for row in rows}
    photographs = {
        *("angelina_jolie.jpg", "kate_siegel.jpg", "paul_rudd.jpg"),
        *("shea_whigham.jpg", "several_faces.jpg"),
    }
    noted = {name for name, row in by_name.items() if row["note"]}
    assert photographs <= noted
    for name in photographs:
        assert by_name[name]["note"].endswith(": haar searched for the face")
        assert by_name[name]["score"]
    told = [line for line in caplog.messages if "`face_detector=none`" in line]
    assert len(told) == 1
    # On request they are, and that is said too.
    faces = config.FaceConfig("none")
    whole, _ = run(workdir, tmp_path, portraits, faces=faces)
    for row, other in zip(rows, whole, strict=True):
        if Path(row["path"]).name in photographs:
            assert other["note"].endswith("central square was taken for the face")
            assert other["score"] != row["score"]


def test_yunet_searches_where_its_model_is_given(shared_data, workdir, tmp_path):
    portraits = shared_data / "portraits"
    model = shared_data.parent / "models" / "face_detection_yunet.onnx"
    path = portraits / "several_faces.jpg"
    rows, _ = run(workdir, tmp_path, path, face_detector_model=model, all_faces=True)
    assert len(rows) > 3
    assert all("yunet searched for the face" in row["note"] for row in rows)


def test_a_large_picture_without_a_face_is_not_judged(workdir, tmp_path, caplog):
    path = tmp_path / "wall.png"
    path.write_bytes(encode(colourful(400, 600, 1)))
    small = tmp_path / "small.png"
    small.write_bytes(encode(colourful(20, 30, 1)))
    alike = tmp_path / "alike.png"
    alike.write_bytes(encode(colourful(20, 20, 1)))
    rows, _ = run(workdir, tmp_path, path, small, alike)
    assert [bool(row["score"]) for row in rows] == [False, True, True]
    assert rows[0]["error"] == "shows no face"
    assert "haar searched" in rows[0]["note"]
    assert "central square was taken" in rows[1]["note"]
    assert rows[2]["note"] == ""


def test_threads_and_processes_note_alike(workdir, tmp_path):
    paths = []
    for number, size in enumerate([(400, 600), (20, 30), (20, 20)]):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(encode(colourful(*size, number)))
    in_threads, in_processes = (
        run(
            workdir,
            tmp_path,
            *paths,
            input=config.FileInputConfig(num_workers=num_workers),
        )[0]
        for num_workers in (0, 2)
    )
    assert in_threads == in_processes

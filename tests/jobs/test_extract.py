# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.extract."""

import dataclasses
import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import systems
from fakedet_jax.config import (
    DataConfig,
    ExtractConfig,
    FaceConfig,
    FrameConfig,
    InputConfig,
    TrainConfig,
)
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import scoring
from fakedet_jax.faces import detection, extraction
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.jobs import extract, train
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import Evenly
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import traces
from tests import tiny
from tests.data.pictures import colourful, encode, write_folder
from tests.media.media_files import cut, write_video
from tests.prepare.detectors import Scripted

# Of the network; pictures of this size are not resampled.
_SIDE = 128

ARRAYS = {
    "notes",
    "classes",
    "faces",
    "features",
    "frames",
    "labels",
    "layer_sizes",
    "layers",
    "paths",
    "settings",
    "thresholds",
}


@pytest.fixture(scope="module", autouse=True)
def tracing():
    """The detector of `trained_workdir` is known."""
    with tiny.registration(systems, tiny.TRACING):
        yield


@pytest.fixture(scope="module")
def picture_folder(tmp_path_factory):
    """Splits of two classes; every file can be read. Not to be changed."""
    counts = {
        "train/real": 4,
        "train/fake": 4,
        "validation/real": 2,
        "validation/fake": 2,
        "test/real": 3,
        "test/fake": 2,
    }
    return write_folder(tmp_path_factory.mktemp("extract") / "in", counts, _SIDE)


@pytest.fixture(scope="module")
def trained_workdir(tmp_path_factory, picture_folder, tracing):
    """The workdir of a detector with traces after two steps. Not to be changed."""
    workdir = tmp_path_factory.mktemp("extract") / "workdir"
    train.train(
        TrainConfig(
            detector=tiny.TRACING.name,
            workdir=workdir,
            data=DataConfig("folder", picture_folder),
            input=InputConfig(num_threads=2),
            recipe={"num_epochs": 2},
        )
    )
    return workdir


@pytest.fixture(scope="module")
def request_for(trained_workdir):
    """From an output folder and changes to a request."""

    def make(output, **changes):
        plain = ExtractConfig(
            features="traces",
            output=output,
            workdir=trained_workdir,
            input=InputConfig(num_threads=2),
            batch_size=8,
            num_figures=0,
        )
        return dataclasses.replace(plain, **changes)

    return make


@pytest.fixture(scope="module")
def variables(trained_workdir):
    return systems.load(trained_workdir, parallel.data_mesh()).variables


@pytest.fixture(scope="module")
def expected(variables):
    """From the paths of files to their traces, decoded and computed here."""

    def compute(paths):
        pictures = [decode(Path(path).read_bytes()) for path in paths]
        return np.asarray(traces.extract(variables, np.stack(pictures)))

    return compute


@pytest.fixture(scope="module")
def of_dataset(tmp_path_factory, request_for):
    """The folder that the test split of the training data gives, with two figures."""
    output = tmp_path_factory.mktemp("extract") / "made" / "features"
    path = extract.extract(request_for(output, num_figures=2))
    assert path == output / "features.npz"
    return output


@pytest.fixture(scope="module")
def arrays(of_dataset):
    return _load(of_dataset / "features.npz")


def _load(path):
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def test_arrays_are_those_that_other_tools_expect(arrays):
    assert set(arrays) == ARRAYS
    assert arrays["features"].dtype == np.float32
    assert arrays["features"].shape == (5, 128, 128, 3)
    assert arrays["labels"].dtype == np.int32
    for name in ("faces", "frames"):
        assert arrays[name].dtype == np.int32
        assert arrays[name].tolist() == [-1] * 5
    assert arrays["layers"].tolist() == ["trace"]
    assert arrays["thresholds"].size == arrays["layer_sizes"].size == 0


def test_the_dataset_is_that_of_the_training_run(arrays, picture_folder):
    paths = [str(path) for path in sorted((picture_folder / "test").rglob("*.png"))]
    assert sorted(arrays["paths"].tolist()) == paths
    classes = arrays["classes"][arrays["labels"]]
    assert arrays["classes"].tolist() == ["real", "fake"]
    assert all(
        f"/{name}/" in path for name, path in zip(classes, arrays["paths"], strict=True)
    )


def test_features_are_traces_of_pictures_as_they_are(arrays, expected):
    np.testing.assert_allclose(
        arrays["features"], expected(arrays["paths"].tolist()), rtol=1e-5, atol=1e-4
    )


def test_the_first_pictures_are_drawn(of_dataset):
    figures = sorted(path.name for path in of_dataset.glob("*.png"))
    assert figures == ["traces_000.png", "traces_001.png"]
    for name in figures:
        with Image.open(of_dataset / name) as figure:
            figure.verify()


def test_only_whole_results_are_left(of_dataset):
    names = sorted(path.name for path in of_dataset.iterdir())
    results = ["features.npz", "skipped.csv", "traces_000.png", "traces_001.png"]
    assert names == results


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Ten pictures among broken ones, more than a batch, one of them large."""
    folder = tmp_path_factory.mktemp("mixed")
    for number in range(10):
        side = 150 if number == 9 else 128
        picture = encode(colourful(side, side, 50 + number))
        (folder / f"{number}.png").write_bytes(picture)
    (folder / "00_empty.png").touch()
    (folder / "4_broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


@pytest.fixture(scope="module")
def of_files(tmp_path_factory, request_for, mixed):
    output = tmp_path_factory.mktemp("extract")
    extract.extract(request_for(output, paths=(str(mixed),)))
    return output


def test_files_have_no_label(of_files):
    found = _load(of_files / "features.npz")
    assert found["labels"].tolist() == [-1] * 10
    assert found["classes"].size == 0
    assert found["faces"].tolist() == [0] * 10
    assert found["frames"].tolist() == [-1] * 10


def test_readable_files_keep_their_rows(of_files, mixed, expected):
    found = _load(of_files / "features.npz")
    paths = [str(mixed / f"{number}.png") for number in range(10)]
    assert found["paths"].tolist() == paths
    np.testing.assert_allclose(
        found["features"][:9], expected(paths[:9]), rtol=1e-5, atol=1e-4
    )


def test_every_other_file_is_named_with_a_reason(of_files, mixed):
    lines = (of_files / "skipped.csv").read_text().splitlines()
    assert lines[0] == "path,reason"
    assert [line.split(",")[0] for line in lines[1:]] == [
        str(mixed / "00_empty.png"),
        str(mixed / "4_broken.jpg"),
    ]
    assert all(line.split(",", 1)[1] for line in lines[1:])


def test_unreadable_pictures_of_a_dataset_have_no_row(tmp_path, request_for):
    for name in ("real", "fake"):
        (tmp_path / "data" / name).mkdir(parents=True)
        picture = encode(colourful(128, 128, len(name)))
        (tmp_path / "data" / name / "b.png").write_bytes(picture)
    (tmp_path / "data" / "real" / "a.png").write_bytes(b"broken")
    output = tmp_path / "out"
    data = DataConfig("folder", tmp_path / "data")
    found = _load(extract.extract(request_for(output, data=data, split="all")))
    kept = [str(tmp_path / "data" / name / "b.png") for name in ("real", "fake")]
    assert sorted(found["paths"].tolist()) == sorted(kept)
    assert "a.png" in (output / "skipped.csv").read_text()


def test_names_that_are_no_utf8_come_back(tmp_path, request_for):
    name = os.fsencode(tmp_path) + b"/\xff.png"
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(encode(colourful(128, 128)))
    path = extract.extract(request_for(tmp_path / "out", paths=(os.fsdecode(name),)))
    assert os.fsencode(str(_load(path)["paths"][0])) == name


def test_one_compilation_serves_all_batches(tmp_path, request_for, mixed, monkeypatch):
    batches = []
    original = traces.extract

    def counting(variables, images):
        batches.append(len(images))
        return original(variables, images)

    monkeypatch.setattr(traces, "extract", counting)
    extract.extract(request_for(tmp_path, paths=(str(mixed),)))
    # A single picture is traced for the shape of the result, but not compiled.
    assert [size for size in batches if size > 1] == [8]


def test_rows_leave_memory_batch_by_batch(tmp_path, request_for, mixed, monkeypatch):
    events = []
    append = extract._Rows.append

    def streaming(*arguments):
        for result in scoring.stream(*arguments):
            events.append("batch")
            yield result

    def appending(self, row):
        events.append("row")
        append(self, row)

    monkeypatch.setattr(extract, "stream", streaming)
    monkeypatch.setattr(extract._Rows, "append", appending)
    extract.extract(request_for(tmp_path, paths=(str(mixed),)))
    # Ten readable files in batches of eight.
    assert events == ["batch", *["row"] * 8, "batch", *["row"] * 2]


def test_a_failure_leaves_the_earlier_result(tmp_path, request_for, mixed, monkeypatch):
    request = request_for(tmp_path, paths=(str(mixed / "1.png"),))
    before = extract.extract(request).read_bytes()

    def fail(self, target):
        target.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(extract._Rows, "copy_to", fail)
    with pytest.raises(OSError, match="no space"):
        extract.extract(request)
    assert (tmp_path / "features.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "features.npz",
        "skipped.csv",
    ]


def test_one_picture_is_no_pictures(tmp_path, request_for, mixed, caplog):
    with caplog.at_level("INFO", "fakedet_jax"):
        extract.extract(request_for(tmp_path, paths=(str(mixed / "1.png"),)))
    assert "wrote the traces of 1 picture to " in caplog.text


def test_no_readable_picture_is_an_error_that_names_the_first(
    tmp_path, request_for, mixed
):
    request = request_for(tmp_path, paths=(str(mixed / "00_empty.png"),))
    with pytest.raises(RequestError, match=r"the only file, .*00_empty.*is empty"):
        extract.extract(request)
    assert not (tmp_path / "features.npz").exists()


def test_no_readable_files_are_counted(tmp_path, request_for, mixed):
    broken = (str(mixed / "00_empty.png"), str(mixed / "4_broken.jpg"))
    with pytest.raises(
        RequestError, match=r"none of the 2 files can be used.*00_empty"
    ):
        extract.extract(request_for(tmp_path, paths=broken))


def test_unknown_features_are_refused_with_the_valid_names(tmp_path, request_for):
    message = "`features`: the detector 'tracing' of `workdir` has no edges, only trace"
    with pytest.raises(RequestError, match=message):
        extract.extract(request_for(tmp_path, features="edges"))


def test_files_and_a_dataset_together_are_refused(
    tmp_path, request_for, mixed, picture_folder
):
    data = DataConfig("folder", picture_folder)
    request = request_for(tmp_path, data=data, paths=(str(mixed),))
    with pytest.raises(RequestError, match="found both"):
        extract.extract(request)


def test_files_of_which_none_exists_are_refused(tmp_path, request_for):
    request = request_for(tmp_path / "out", paths=(str(tmp_path / "nowhere.png"),))
    with pytest.raises(RequestError, match=r"nowhere\.png' does not exist; check the"):
        extract.extract(request)


def test_a_folder_without_pictures_is_refused(tmp_path, request_for):
    (tmp_path / "empty").mkdir()
    request = request_for(tmp_path / "out", paths=(str(tmp_path / "empty"),))
    with pytest.raises(RequestError, match="`paths`: no photographs or videos in"):
        extract.extract(request)


def test_an_output_that_is_a_file_is_refused(tmp_path, request_for):
    (tmp_path / "out").touch()
    with pytest.raises(RequestError, match=r"`output`: .*out"):
        extract.extract(request_for(tmp_path / "out"))


def test_a_negative_number_of_figures_is_refused(tmp_path, request_for):
    with pytest.raises(RequestError, match="`num_figures`"):
        extract.extract(request_for(tmp_path, num_figures=-1))


BOXES = [(30, 20, 130, 120), (140, 40, 220, 120)]
HAAR = {"name": "haar", "longest_side": 640}


@dataclasses.dataclass(frozen=True)
class Haar(Scripted):
    """Finds what it is told to under the name of another."""

    name = "haar"

    @property
    def settings(self):
        return HAAR


@pytest.fixture
def detector(monkeypatch):
    """Finds two faces in every photograph and in the first frames of a video."""
    found = Haar(dict.fromkeys((*range(5), None), BOXES))
    monkeypatch.setattr(detection, "create", lambda *_, **__: found)
    return found


@pytest.fixture
def face_workdir(trained_workdir, tmp_path):
    """The workdir of a training on faces that were found and cut out."""
    record = Cropping(Haar({}), scale=1.2, selection=Evenly(2)).record
    copied = shutil.copytree(trained_workdir, tmp_path / "workdir")
    settings = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**settings, "faces": record}))
    return copied


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A photograph, a video, and a damaged photograph."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "a.png").write_bytes(encode(colourful(160, 240, 1)))
    (folder / "b.jpg").write_bytes(b"\xff\xd8 no picture")
    frames = [np.roll(colourful(160, 240, 2), 2 * n, 1) for n in range(10)]
    write_video(folder / "v.mp4", frames)
    return folder


def test_files_are_cropped_as_the_training_faces_were(
    tmp_path, request_for, face_workdir, media, detector, variables
):
    output = tmp_path / "out"
    request = request_for(output, workdir=face_workdir, paths=(str(media),))
    found = _load(extract.extract(request))
    photo, video = str(media / "a.png"), str(media / "v.mp4")
    assert found["paths"].tolist() == [photo, video]
    assert found["faces"].tolist() == [0, 0]
    assert found["frames"].tolist() == [-1, 0]
    how = Cropping(detector, scale=1.2, selection=Evenly(2))
    pixels = [
        to_input(crop, Framing.square(128))
        for path, kind in ((photo, "photo"), (video, "video"))
        for _, crop in extraction.extract(Path(path), path, kind, how)
        if crop is not None
    ]
    np.testing.assert_allclose(
        found["features"],
        traces.extract(variables, np.stack(pixels)),
        rtol=1e-5,
        atol=1e-4,
    )
    lines = (output / "skipped.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(media / "b.jpg")]


def test_every_face_of_every_frame_may_have_a_row(
    tmp_path, request_for, media, detector
):
    request = request_for(
        tmp_path,
        paths=(str(media),),
        faces=FaceConfig("haar"),
        all_faces=True,
        frames=FrameConfig(frame_step=2),
    )
    found = _load(extract.extract(request))
    rows = list(zip(found["paths"], found["frames"], found["faces"], strict=True))
    photo, video = str(media / "a.png"), str(media / "v.mp4")
    assert rows[:2] == [(photo, -1, 0), (photo, -1, 1)]
    frames = [(video, frame, face) for frame in (0, 2, 4) for face in (0, 1)]
    assert sorted(rows[2:]) == frames
    assert len(found["features"]) == len(found["labels"]) == 8


def test_a_file_without_a_face_is_skipped(tmp_path, request_for, media, monkeypatch):
    nobody = Haar({None: BOXES})
    monkeypatch.setattr(detection, "create", lambda *_, **__: nobody)
    request = request_for(
        tmp_path,
        paths=(str(media),),
        faces=FaceConfig("haar"),
        frames=FrameConfig(frames_per_video=3),
    )
    found = _load(extract.extract(request))
    assert found["paths"].tolist() == [str(media / "a.png")]
    lines = (tmp_path / "skipped.csv").read_text().splitlines()
    assert lines[2] == f"{media / 'v.mp4'},has no usable frame (3 × shows no face)"


def test_a_damaged_video_is_used_and_warned_of(tmp_path, request_for, caplog):
    video = cut(write_video(tmp_path / "v.mkv", 60), 0.5)
    request = request_for(tmp_path / "out", paths=(str(video),))
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        found = _load(extract.extract(request))
    assert set(found["paths"]) == {str(video)} and len(found["paths"]) > 1
    assert [m for m in caplog.messages if "was used, but ends too early" in m]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"faces": FaceConfig("none")}, "`face_detector`"),
        ({"face_detector_model": Path("y.onnx")}, "`face_detector_model`"),
        ({"all_faces": True}, "`all_faces`"),
        ({"frames": FrameConfig()}, "`frames_per_video`, `frame_step`"),
        ({"seconds_per_file": 5.0}, "`seconds_per_file`"),
    ],
    ids=str,
)
def test_a_dataset_is_not_read_as_files_are(tmp_path, request_for, changes, named):
    with pytest.raises(RequestError, match=f"^{named}: only files need it"):
        extract.extract(request_for(tmp_path, **changes))

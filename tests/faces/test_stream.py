# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of batches of faces from photographs and videos."""

import dataclasses
import threading

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.faces import stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.detector import WholePicture
from fakedet_jax.faces.extraction import LEFT_OUT, extract
from fakedet_jax.faces.stream import (
    NO_PICTURE,
    FaceFile,
    Reading,
    choose_reading,
    find_files,
    limit_batch_size,
    stream_faces,
)
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import Evenly, EveryNth
from tests import tiny
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video
from tests.prepare.detectors import Faulty, Refusing, Scripted

FRAMING = Framing.square(16)
WHOLE = Cropping(WholePicture(), scale=None, selection=Evenly(5))
TWO = Cropping(
    Scripted({None: [(2, 2, 30, 30), (30, 10, 50, 30)]}), size=24, all_faces=True
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two photographs around two videos, and one that is none. Not to be changed."""
    folder = tmp_path_factory.mktemp("stream")
    for number, name in enumerate(("a.png", "d.png")):
        (folder / name).write_bytes(encode(colourful(40, 60, number)))
    write_video(folder / "b.mp4", 20)
    (folder / "c.mp4").write_bytes(b"")
    (folder / "c.png").write_bytes(b"no picture")
    write_video(folder / "e.mp4", 3)
    return [FaceFile(path, path.name) for path in sorted(folder.iterdir())]


def gather(files, how=WHOLE, **settings):
    """All rows with their pictures, by file, and the batches."""
    settings = {"framing": FRAMING, "batch_size": 4, **settings}
    batches = list(stream_faces(files, how, **settings))
    found = [[] for _ in files]
    for items, batch in batches:
        for item in items:
            if item.row is not None:
                has_crop = item.position != NO_PICTURE
                picture = batch["image"][item.position] if has_crop else None
                found[item.file].append((item.row, picture))
    return found, batches


@pytest.mark.few(2)
@pytest.mark.parametrize("how", [WHOLE, TWO])
@pytest.mark.parametrize(
    "reading", [Reading(num_threads=1), Reading(num_threads=4), Reading(num_workers=3)]
)
def test_outcomes_are_those_of_extraction(files, how, reading):
    found, _ = gather(files, how, reading=reading)
    for file, outcomes in zip(files, found, strict=True):
        expected = list(extract(file.path, file.name, file.kind, how, tags=()))
        assert [repr(row) for row, _ in outcomes] == [repr(row) for row, _ in expected]
        for (_, picture), (_, pixels) in zip(outcomes, expected, strict=True):
            if pixels is None:
                assert picture is None
            else:
                np.testing.assert_array_equal(picture, to_input(pixels, FRAMING))


def test_camera_settings_are_not_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(tiny.photograph(seed=1))
    file = FaceFile(path, path.name)
    ((row, _),) = extract(path, path.name, "photo", WHOLE)
    assert np.isfinite(row.tags).all()
    (((streamed, _),),), _ = gather([file])
    expected = dataclasses.replace(row, tags=(), landmarks=streamed.landmarks)
    # As text: from Python 3.13 on, no row with a NaN equals another.
    assert repr(streamed) == repr(expected)


def test_each_file_ends_once_and_in_order(files):
    _, batches = gather(files)
    items = [item for part, _ in batches for item in part]
    assert [item.file for item in items] == sorted(item.file for item in items)
    assert [item.file for item in items if item.row is None] == [*range(len(files))]


def test_batches_are_filled_across_files(files):
    _, batches = gather(files)
    masks = [batch["mask"] for _, batch in batches if batch is not None]
    assert all(mask.all() for mask in masks[:-1])
    assert {len(mask) for mask in masks} == {4}
    assert sum(mask.sum() for mask in masks) == 1 + 5 + 1 + 3


def test_files_without_a_face_do_not_wait_for_one(files):
    broken = [files[3]._replace(error="is locked")] * 100
    batches = stream_faces(broken, WHOLE, framing=FRAMING, batch_size=4)
    items, batch = next(batches)
    assert len(items) < 100 and batch is None
    assert {(i.row.status, i.row.reason) for i in items if i.row} == {
        (LEFT_OUT, "is locked")
    }
    batches.close()


def test_nothing_gives_nothing():
    assert list(stream_faces([], WHOLE, framing=FRAMING, batch_size=4)) == []


def test_a_long_video_waits_for_its_batches(files, monkeypatch):
    """Its crops never pile up."""
    waiting = []
    original = stream._Waiting

    def watched(size):
        waiting.append(original(size))
        return waiting[-1]

    monkeypatch.setattr(stream, "_Waiting", watched)
    monkeypatch.setattr(stream, "_MAX_WAITING", 2)
    how = dataclasses.replace(WHOLE, selection=EveryNth(1))
    found, _ = gather([files[1]] * 3, how, batch_size=1)
    assert [len(rows) for rows in found] == [20, 20, 20]
    assert [queue.maxsize for queue in waiting] == [2, 2, 2]


@pytest.mark.few(2)
@pytest.mark.parametrize("reading", [Reading(), Reading(num_workers=2)])
@pytest.mark.parametrize("name", ["a.png", "b.mp4"])
def test_an_unexpected_error_costs_one_file(files, name, reading):
    how = Cropping(Faulty(victim=name), scale=None, selection=Evenly(2))
    found, _ = gather(files, how, reading=reading)
    for file, outcomes in zip(files, found, strict=True):
        surprise = "caused an unexpected error (ZeroDivisionError" in repr(outcomes)
        assert surprise == (file.name == name)


@pytest.mark.parametrize("reading", [Reading(), Reading(num_workers=2)])
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_missing_ends_everything(files, number, reading):
    how = Cropping(Refusing(), scale=None)
    with pytest.raises(RequestError, match="something is not installed"):
        gather([files[number]], how, reading=reading)


def test_closing_ends_the_threads_also_within_a_video(files):
    how = dataclasses.replace(WHOLE, selection=EveryNth(1))
    batches = stream_faces([files[1]] * 20, how, framing=FRAMING, batch_size=1)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if "fakedet" in thread.name]


def test_files_are_found_with_their_names_below_the_folder(files):
    folder = files[0].path.parent
    assert find_files([str(folder)]) == files
    assert find_files([str(files[1].path), str(folder.parent / "x.jpg")]) == [
        files[1],
        FaceFile(folder.parent / "x.jpg", "x.jpg"),
    ]


def test_a_folder_without_photographs_and_videos_is_refused(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(RequestError, match=r"`paths`: no photographs.*\.avi.*\.jpg"):
        find_files([str(tmp_path)])


def test_a_batch_has_no_more_rows_than_there_can_be_crops(files):
    photos, videos = [files[0]] * 3, [files[1]]
    assert limit_batch_size(8, photos, WHOLE) == 3
    assert limit_batch_size(2, photos, WHOLE) == 2
    assert limit_batch_size(8, photos, TWO) == 8
    searched = dataclasses.replace(WHOLE, otherwise=TWO)
    assert limit_batch_size(8, photos, searched) == 8
    assert limit_batch_size(8, photos + videos, WHOLE) == 8


@pytest.mark.parametrize(
    "num_files, wanted, seconds, expected",
    [
        (255, None, 0, 0),
        (256, None, 0, 3),
        (256, 0, 0, 0),
        (2, None, 5, 2),
        (9, None, 5, 3),
        (1, 7, 0, 7),
    ],
)
def test_processes_read_where_there_is_enough_to_do(
    monkeypatch, num_files, wanted, seconds, expected
):
    monkeypatch.setattr(stream, "available_cores", lambda: 3)
    chosen = choose_reading(
        num_files, num_workers=wanted, num_threads=2, seconds_per_file=seconds
    )
    assert chosen == Reading(expected, 2, seconds)


def test_a_limit_for_files_needs_a_process():
    with pytest.raises(RequestError, match="`num_workers` of at least 1, found 0"):
        choose_reading(300, num_workers=0, num_threads=2, seconds_per_file=5)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of preparing datasets, also by runs that are killed."""

import csv
import dataclasses
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.config import (
    DataConfig,
    EngineConfig,
    FaceConfig,
    FrameConfig,
    PrepareConfig,
)
from fakedet_jax.data import layouts, prepared
from fakedet_jax.data.prepared.builder import FacesBuilder
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import detection
from fakedet_jax.jobs import prepare as job
from fakedet_jax.jobs.prepare import prepare, to_text
from fakedet_jax.media.decode import decode
from fakedet_jax.prepare import manifest
from fakedet_jax.runtime.signals import Stopped
from tests.data.pictures import write_folder
from tests.media.media_files import decode_all, write_video
from tests.prepare.detectors import Deadly, Whole
from tests.prepare.inputs import UNUSABLE, config, contents, write_inputs


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Not to be changed."""
    return write_inputs(tmp_path_factory.mktemp("prepare") / "in")


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """What a run without incidents writes. Not to be changed."""
    output = tmp_path_factory.mktemp("prepare") / "out"
    prepare(config(root, output, num_workers=2))
    return output


@pytest.fixture
def detector(monkeypatch):
    """Replaces the face detector."""

    def replace(other):
        monkeypatch.setattr(detection, "create", lambda *_, **__: other)

    return replace


def rows_of(output):
    with (output / manifest.FILE_NAME).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


def staged_files(output):
    return sorted((output / ".staging").glob("*/[!.]*"))


def test_every_input_file_has_a_row(root, done):
    listed = {path.relative_to(root).as_posix() for path in root.rglob("*.*")}
    escaped = {name.encode("utf-8", "backslashreplace").decode() for name in listed}
    assert {row["path"] for row in rows_of(done)} == escaped


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_file_has_its_reason(done, name):
    (row,) = (row for row in rows_of(done) if row["path"] == name)
    assert (row["status"], row["key"]) == ("left out", "")
    assert row["reason"].startswith(UNUSABLE[name])


def test_every_chosen_frame_has_a_row(done):
    rows = [row for row in rows_of(done) if row["path"] == "real/v.mp4"]
    assert [row["frame"] for row in rows] == ["0", "4", "7", "11"]
    assert [row["time"] for row in rows[:2]] == ["0.000000", "0.160000"]
    assert {row["video"] for row in rows} == {"real/v.mp4"}


def test_the_summary_adds_up(done):
    rows, summary = rows_of(done), summary_of(done)
    written = [row for row in rows if row["status"] == "written"]
    assert summary["rows"]["total"] == len(rows)
    assert summary["faces"] == len(written) == 9 + 4 + 4 + 1
    assert summary["files"]["with_faces"] == len({row["path"] for row in written})
    assert summary["files"]["without_faces"] == len(UNUSABLE)
    counts = summary["classes"].values()
    assert sum(count for by_split in counts for count in by_split.values()) == 18
    assert sum(summary["left_out"].values()) == len(UNUSABLE)


def test_the_manifest_names_every_example_once(done):
    keys = [row["key"] for row in rows_of(done) if row["key"]]
    names = prepared.load(done, "folder", "all").names
    escaped = [name.encode("utf-8", "backslashreplace").decode() for name in names]
    assert sorted(keys) == sorted(escaped) and len(set(keys)) == len(keys)


def test_crops_of_photographs_are_their_pixels(root, done):
    dataset = prepared.load(done, "folder", "all")
    for index, name in enumerate(dataset.names):
        if name.endswith(".png"):
            crop = decode(dataset.source[index].encoded)
            whole = decode((root / name).read_bytes())
            np.testing.assert_array_equal(crop, whole)


def test_crops_of_a_turned_video_are_its_upright_pixels(root, done):
    dataset = prepared.load(done, "folder", "all")
    index = dataset.names.index("fake/v.mp4 frame 3")
    expected = decode_all(root / "fake" / "v.mp4")[3]
    np.testing.assert_array_equal(decode(dataset.source[index].encoded), expected)


def test_nothing_but_the_results_stays(done):
    assert sorted(path.name for path in done.iterdir()) == [
        "folder",
        "manifest.csv",
        "summary.json",
    ]


def test_the_summary_is_readable(done):
    lines = to_text(summary_of(done)).splitlines()
    assert lines[0] == "folder: 18 faces of 12 photographs and 4 videos"
    assert lines[1] == "4 files gave no face, 0 missing"
    assert lines[2] == "real: real; fake: fake"
    table = [line.split() for line in lines[4:7]]
    assert table[0] == ["train", "validation", "test"]
    assert [row[0] for row in table[1:]] == ["fake", "real"]
    assert sum(int(cell) for row in table[1:] for cell in row[1:]) == 18
    assert "Left out:" in lines and "2  is empty (N bytes)" in lines


def test_a_summary_names_what_is_missing_and_noted(done):
    summary = summary_of(done)
    summary["files"] |= {"without_faces": 1, "missing": 3}
    summary["video_frames"] = {"chosen": 9, "with_faces": 7, "without_faces": 2}
    summary |= {"left_out": {}, "notes": ["something is odd"]}
    summary["noted"] = {"ends too early": 2}
    lines = to_text(summary).splitlines()
    assert "1 file gave no face, 3 missing" in lines
    assert "2 of 9 frames of videos gave none" in lines
    assert lines[lines.index("Used, though:") + 1] == "2  ends too early"
    assert "Left out:" not in lines and lines[-1] == "something is odd"


def test_a_second_run_changes_nothing(root, done):
    times = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    assert prepare(config(root, done)) == summary_of(done)
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*")} == times


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"faces": FaceConfig("none", size=32)},
        {"frames": FrameConfig(frame_step=2)},
        {"compress": True},
    ],
)
def test_other_settings_do_not_overwrite_a_dataset(root, done, change):
    with pytest.raises(RequestError, match=r"made of other (seed|faces|compress)"):
        prepare(config(root, done, **change))


def test_a_run_that_was_killed_while_it_tidied_up_does_so(root, done, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(done, output)
    (output / ".staging" / "ab").mkdir(parents=True)
    (output / ".staging" / "ab" / "c.zip").touch()
    assert prepare(config(root, output)) == summary_of(done)
    assert contents(output) == contents(done)
    assert not (output / ".staging").exists()


# Kills itself at the named place, or goes through.
_RUN = """
import os, signal, sys
from pathlib import Path
from fakedet_jax.faces import detection
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.prepare import assembly
from fakedet_jax.runtime import storage
from tests.prepare.detectors import Whole
from tests.prepare.inputs import config
root, out, log, place = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
detection.create = lambda *_, **__: Whole(log=log, seconds=0.2 * (place == "work"))
module, name = {
    "records": (assembly, "_features"),
    "manifest": (storage, "write_csv"),
}.get(place, (sys, "unused"))
setattr(module, name, die)
prepare(config(Path(root), Path(out)))
"""


def start(root, output, log, place, **options):
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(root), str(output), str(log), place],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
        **options,
    )


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(
    root, done, tmp_path
):
    output, log = tmp_path / "out", tmp_path / "log"
    for num_staged in (2, 6):
        with start(root, output, log, "work") as process:
            while len(staged_files(output)) < num_staged:
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
    assert len(staged_files(output)) < 16
    for place in ("records", "manifest"):
        with start(root, output, log, place) as process:
            assert process.wait() == -9
        assert staged_files(output)
    with start(root, output, log, "none") as process:
        assert process.wait() == 0
    assert contents(output) == contents(done)
    # What was in hand at the two kills is done again, and nothing else.
    seen = log.read_bytes().splitlines()
    assert len(seen) <= 18 + 2 * 4
    assert len(set(seen)) == 12


@pytest.mark.slow
def test_ten_kills_at_random_moments_do_not_change_a_byte(root, done, tmp_path):
    output, log = tmp_path / "out", tmp_path / "log"
    begin = time.monotonic()
    with start(root, output, log, "work") as process:
        assert process.wait() == 0
    seconds = time.monotonic() - begin
    shutil.rmtree(output)
    moments = random.Random(0)
    num_kills = 0
    while num_kills < 10:
        with start(root, output, log, "work", start_new_session=True) as process:
            try:
                assert process.wait(moments.uniform(0, seconds)) == 0
                shutil.rmtree(output)  # It got through, so the next one starts anew.
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                num_kills += 1
    with start(root, output, log, "none") as process:
        assert process.wait() == 0
    assert contents(output) == contents(done)


# Prints the largest memory of the process and of its workers in MiB.
_MEMORY = """
import os, resource, sys
from pathlib import Path
from fakedet_jax.config import FaceConfig
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.prepare import assembly
from tests.prepare.inputs import config
assembly.SHARD_BYTES = 2**20  # A file of records is held in memory once.
root, out = map(Path, sys.argv[1:])
prepare(config(root, out, faces=FaceConfig("none", size=64), num_workers=2))
for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
    print(resource.getrusage(who).ru_maxrss / 2**10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    pictures = write_folder(tmp_path / "few", {"a": 8})
    used = []
    for number in (1_000, 10_000):
        root = tmp_path / str(number)
        for name in ("real", "fake"):
            (root / name).mkdir(parents=True)
        for place in range(number):
            link = root / ("real", "fake")[place % 2] / f"{place}.png"
            os.link(pictures / "a" / f"{place % 8:03}.png", link)
        output = subprocess.run(
            [sys.executable, "-c", _MEMORY, str(root), str(tmp_path / f"o{number}")],
            cwd=Path(__file__).parents[2],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        used.append([float(line) for line in output.stdout.split()])
    print("MiB of 1,000 and 10,000 files:", used)
    grown = np.subtract(used[1], used[0])
    assert grown[0] < 64  # Some KiB for each file: its name, its place, its facts.
    assert grown[1] < 16


def test_a_killed_run_leaves_no_process(root, tmp_path):
    output = tmp_path / "out"
    with start(root, output, tmp_path / "log", "work") as process:
        while not staged_files(output):
            time.sleep(0.01)
        task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = [Path("/proc", number) for number in task.read_text().split()]
        process.kill()
    assert len(workers) == 1
    end = time.monotonic() + 20
    while workers[0].exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not workers[0].exists()


def test_a_run_that_is_asked_to_stop_goes_on_later(root, tmp_path, detector):
    detector(Whole(seconds=0.2))
    output = tmp_path / "out"

    def ask():
        while not staged_files(output):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        prepare(config(root, output))
    thread.join()
    assert 0 < len(staged_files(output)) < 16
    assert not (output / "folder").exists()


def test_a_file_that_changes_between_two_runs_is_done_again(
    root, tmp_path, detector, monkeypatch
):
    mine = tmp_path / "in"
    shutil.copytree(root, mine)
    log = tmp_path / "log"
    detector(Whole(log=str(log)))

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(job.output, "write_dataset", fail)
        with pytest.raises(RequestError, match="No space left") as error:
            prepare(config(mine, tmp_path / "out"))
        assert "\n" not in str(error.value)
    before = len(log.read_bytes().splitlines())
    (mine / "real" / "000.png").write_bytes((mine / "fake" / "001.png").read_bytes())
    prepare(config(mine, tmp_path / "out"))
    assert log.read_bytes().splitlines()[before:] == [b"real/000.png"]
    dataset = prepared.load(tmp_path / "out", "folder", "all")
    crop = decode(dataset.source[dataset.names.index("real/000.png")].encoded)
    changed = decode((mine / "fake" / "001.png").read_bytes())
    np.testing.assert_array_equal(crop, changed)


def test_a_file_that_kills_its_process_is_named_in_the_manifest(
    root, tmp_path, detector
):
    detector(Deadly(victim="fake/v.mp4"))
    summary = prepare(config(root, tmp_path, num_workers=2))
    (row,) = (row for row in rows_of(tmp_path) if row["path"] == "fake/v.mp4")
    assert row["status"] == "left out" and "SIGKILL" in row["reason"]
    assert summary["faces"] == 18 - 4


def test_a_disk_without_room_for_the_records_is_a_request_error(
    root, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=2**10)
    monkeypatch.setattr(job.output.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RequestError, match="has 0 MiB of room"):
        prepare(config(root, tmp_path / "out"))
    assert len(staged_files(tmp_path / "out")) == 16


def test_a_disk_that_fills_up_under_the_records_is_a_request_error(
    root, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise RuntimeError("write() failed: No space left on device; at byte 28672")

    monkeypatch.setattr(FacesBuilder, "download_and_prepare", fail)
    with pytest.raises(RequestError, match=r"out' cannot be written \(No space left"):
        prepare(config(root, tmp_path / "out"))
    assert len(staged_files(tmp_path / "out")) == 16


def test_a_folder_without_any_face_leaves_its_manifest(tmp_path):
    for name in ("real/a.png", "fake/b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).touch()
    with pytest.raises(RequestError, match=r"expected faces in .* found none in 2"):
        prepare(config(tmp_path / "in", tmp_path / "out"))
    assert len(rows_of(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            {"dataset": "synthetic_faces", "data_dir": Path()},
            {},
            "`dataset`: expected one that",
        ),
        ({"dataset": "ffhq"}, {}, "`data_dir`: expected the folder of the original"),
        ({"data_dir": Path()}, {"num_workers": 0}, "`num_workers`:"),
        (
            {"data_dir": Path()},
            {"layout_options": {"qualities": "c40"}},
            "`qualities`: folder",
        ),
        (
            {"data_dir": Path()},
            {"num_workers": 2, "engine": EngineConfig("ray")},
            "`num_workers` is for processes without an engine",
        ),
        (
            {"dataset": "ffhq", "data_dir": Path(), "real_classes": ("a",)},
            {},
            "`real_classes`: ffhq",
        ),
        (
            {"data_dir": Path(), "validation_fraction": 0.9},
            {},
            "`validation_fraction`: expected a number from 0",
        ),
    ],
)
def test_wrong_requests_are_request_errors(tmp_path, data, settings, message):
    with pytest.raises(RequestError, match=message):
        prepare(
            PrepareConfig(
                output=tmp_path,
                data=DataConfig(**data),
                faces=FaceConfig("none"),
                **settings,
            )
        )


@pytest.mark.shared_data
def test_faces_of_faceforensics_are_found_and_named(shared_data, tmp_path):
    root = tmp_path / "in"
    clips = shared_data / "videos" / "faceforensics"
    shutil.copytree(clips, root, copy_function=os.symlink)
    (root / "splits").mkdir()
    pairs = {"train": ["001", "002"], "val": ["003", "004"], "test": ["519", "515"]}
    for name, pair in pairs.items():
        (root / "splits" / f"{name}.json").write_text(json.dumps([pair]))
    summary = prepare(
        PrepareConfig(
            output=tmp_path / "out",
            data=DataConfig("faceforensics", root),
            faces=FaceConfig(
                "yunet", shared_data.parent / "models" / "face_detection_yunet.onnx"
            ),
            frames=FrameConfig(3),
            num_workers=2,
        )
    )
    assert summary["classes"] == {"real": {"test": 3}, "Deepfakes": {"test": 3}}
    assert summary["files"]["missing"] == 10
    dataset = prepared.load(tmp_path / "out", "faceforensics", "test")
    assert dataset.classes == ("real", "Deepfakes")
    facts = dataset.facts
    assert facts.identities == ["519;515"] * 3 + ["519"] * 3
    assert facts.manipulations == ["Deepfakes"] * 3 + [""] * 3
    for index in range(6):
        example = dataset.source.example(index)
        crop = decode(example["image"])
        side = example["crop_box"][2] - example["crop_box"][0]
        longer = np.ptp(example["box"].reshape(2, 2), axis=0).max()
        assert crop.shape == (side, side, 3)
        assert side / longer == pytest.approx(1.3, abs=0.02)
        assert (example["landmarks"] > 0).all()
        assert (example["landmarks"] < side).all()
        assert example["detector_score"] > 0.8


def test_the_forged_face_is_the_smaller_one(tmp_path):
    root = tmp_path / "in"
    fake = root / "manipulated_sequences" / "Deepfakes"
    paths = {
        "real": root / "original_sequences/youtube/c23/videos/004.mp4",
        "fake": fake / "c23/videos/004_005.mp4",
        "mask": fake / "masks/videos/004_005.mp4",
    }
    pictures = {name: np.full((64, 96, 3), 90, np.uint8) for name in paths}
    pictures["mask"][:] = 0
    pictures["mask"][14:30, 72:88] = 255
    for name, path in paths.items():
        path.parent.mkdir(parents=True)
        write_video(path, [pictures[name]] * 4)
    boxes = tmp_path / "boxes.csv"
    lines = ["path,left,top,right,bottom"]
    for name in ("real", "fake"):
        video = paths[name].relative_to(root)
        lines += [f"{video},2,2,42,46", f"{video},70,10,90,32"]
    boxes.write_text("\n".join(lines))
    request = PrepareConfig(
        output=tmp_path / "out",
        data=DataConfig("faceforensics", root, validation_fraction=0.0),
        layout_options={"methods": ("Deepfakes",)},
        split_by="identity",
        faces=FaceConfig("boxes", boxes=boxes),
        frames=FrameConfig(2),
        num_workers=1,
    )
    prepare(request)
    faces = {
        (row["class"], float(row["box"].split()[0]))
        for row in rows_of(tmp_path / "out")
        if row["status"] == "written"
    }
    assert faces == {("real", 2), ("Deepfakes", 70)}


def test_few_inputs_of_ones_own_hold_out_a_larger_share(tmp_path):
    root = write_folder(tmp_path / "in", {"real": 12, "fake": 20}, 20)
    request = dataclasses.replace(
        config(root, tmp_path / "out"), data=DataConfig("folder", root)
    )
    prepare(request)
    made = summary_of(tmp_path / "out")["request"]
    assert made["validation_fraction"] == 0.2
    # The same command goes on, and the share that it chose may be given.
    given = DataConfig("folder", root, validation_fraction=0.2)
    prepare(request)
    prepare(dataclasses.replace(request, data=given))
    other = DataConfig("folder", root, validation_fraction=0.05)
    with pytest.raises(RequestError, match=r"validation_fraction"):
        prepare(dataclasses.replace(request, data=other))


def test_published_datasets_keep_their_share():
    own = {name for name in layouts.names() if not layouts.create(name).has_protocol}
    assert own == {"folder", "exif_faces"}

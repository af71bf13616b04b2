# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import pickle
import shutil
from pathlib import Path

import pytest
import scipy.stats

from fakedet_jax.data import folder
from fakedet_jax.data.folder import (
    choose_validation_fraction,
    content_fraction,
    default_validation_fraction,
    load_folder,
    note_folders,
)
from fakedet_jax.errors import RequestError
from tests.data.pictures import colourful, encode, write_folder

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("flat"), {"real": 150, "fake": 150})


@pytest.fixture(scope="module")
def split_folders(tmp_path_factory):
    counts = {
        "train/real_a": 60,
        "train/gan": 60,
        "test/real_a": 3,
        "test/diffusion": 2,
    }
    return write_folder(tmp_path_factory.mktemp("split"), counts)


def relative(dataset, root):
    return {os.path.relpath(name, root) for name in dataset.names}


def test_flat_splits_are_a_partition(flat):
    parts = [relative(load_folder(flat, split), flat) for split in SPLITS]
    assert sum(map(len, parts)) == 300
    assert set.union(*parts) == relative(load_folder(flat, "all"), flat)


def test_content_is_spread_evenly(tmp_path):
    fractions = []
    for number in range(500):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"%d" % number)
        fractions.append(content_fraction(path, "unused"))
    assert scipy.stats.kstest(fractions, "uniform").pvalue > 0.01


def test_flat_split_follows_the_hash_of_the_content(flat):
    test = relative(load_folder(flat, "test"), flat)
    for path in flat.glob("*/*.png"):
        digest = hashlib.blake2b(path.read_bytes(), digest_size=8).digest()
        expected = int.from_bytes(digest, "big") < 0.2 * 2**64
        assert (str(path.relative_to(flat)) in test) == expected


def test_test_split_does_not_depend_on_the_validation_fraction(flat):
    narrow, wide = (
        load_folder(flat, "test", validation_fraction=fraction)
        for fraction in (0.01, 0.3)
    )
    assert narrow.digest == wide.digest


def test_duplicates_never_straddle(flat, tmp_path):
    for path in flat.glob("*/*.png"):
        for number in range(2):
            copy = tmp_path / path.parent.name / f"{path.stem}_{number}.png"
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    contents = [
        {dataset.source[index].encoded for index in range(dataset.num_examples)}
        for dataset in (load_folder(tmp_path, split) for split in SPLITS)
    ]
    assert not contents[0] & contents[1]
    assert not contents[0] & contents[2]
    assert not contents[1] & contents[2]


def test_adding_pictures_moves_none(flat, tmp_path):
    before = relative(load_folder(flat, "test"), flat)
    shutil.copytree(flat, tmp_path / "more")
    for seed in range(20):
        path = tmp_path / "more/real" / f"0_{seed}.png"
        path.write_bytes(encode(colourful(seed=1000 + seed)))
    after = relative(load_folder(tmp_path / "more", "test"), tmp_path / "more")
    assert {name for name in after if "/0_" not in name} == before


def test_split_folders_are_taken_as_they_are(split_folders):
    dataset = load_folder(split_folders, "test")
    assert relative(dataset, split_folders) == {
        "test/diffusion/000.png",
        "test/diffusion/001.png",
        *(f"test/real_a/00{number}.png" for number in range(3)),
    }


def test_classes_are_the_union_of_the_splits(split_folders):
    for split in (*SPLITS, "all"):
        dataset = load_folder(split_folders, split)
        assert dataset.classes == ("real_a", "diffusion", "gan")
        assert dataset.is_fake == (False, True, True)


def test_labels_follow_the_folders(split_folders):
    dataset = load_folder(split_folders, "all")
    for name, label in zip(dataset.names, dataset.labels, strict=True):
        assert os.path.basename(os.path.dirname(name)) == dataset.classes[label]  # noqa: PTH119, PTH120


def test_missing_validation_is_held_out_of_train(split_folders):
    train = relative(load_folder(split_folders, "train"), split_folders)
    validation = relative(load_folder(split_folders, "validation"), split_folders)
    assert train.isdisjoint(validation)
    assert len(train | validation) == 120
    assert 10 < len(validation) < 40


@pytest.mark.parametrize("name", ["validation", "val", "valid", "Val"])
def test_names_of_the_validation_folder(tmp_path, name):
    counts = {"train/real": 30, "train/fake": 30, f"{name}/real": 1, f"{name}/fake": 1}
    write_folder(tmp_path, counts)
    assert load_folder(tmp_path, "validation").num_examples == 2
    assert load_folder(tmp_path, "train").num_examples == 60


def test_two_validation_folders_are_refused(tmp_path):
    write_folder(tmp_path, {"train/real": 1, "val/real": 1, "valid/real": 1})
    with pytest.raises(RequestError, match=r"both 'val' and 'valid'"):
        load_folder(tmp_path, "train")


@pytest.mark.parametrize("split, present", [("test", "train"), ("train", "test")])
def test_missing_split_folder_is_named_with_what_was_found(tmp_path, split, present):
    write_folder(tmp_path, {f"{present}/real": 1, f"{present}/fake": 1})
    with pytest.raises(RequestError, match=rf"{split}.*found {present}"):
        load_folder(tmp_path, split)


def test_missing_folder(tmp_path):
    with pytest.raises(RequestError, match=r"nowhere' does not exist; check the path"):
        load_folder(tmp_path / "nowhere", "train")
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="expected a folder, found a file, "):
        load_folder(tmp_path / "file", "train")


def test_empty_folder(tmp_path):
    with pytest.raises(RequestError, match=r"holds no class folders"):
        load_folder(tmp_path, "train")


def test_class_folder_without_pictures_is_named(tmp_path):
    write_folder(tmp_path, {"train/real": 1, "train/fake": 1, "train/empty": 0})
    with pytest.raises(RequestError, match=r"train/empty holds no pictures"):
        load_folder(tmp_path, "train")


@pytest.mark.parametrize(
    "name, missing", [("real", "no fake"), ("photos", "no real"), ("fake", "no real")]
)
def test_one_class_cannot_be_trained_on(tmp_path, name, missing):
    write_folder(tmp_path, {name: 2})
    with pytest.raises(RequestError, match=missing):
        load_folder(tmp_path, "all", needs="both")


def test_one_class_can_be_evaluated_with_a_warning(tmp_path, caplog):
    write_folder(tmp_path, {"fake": 2})
    assert load_folder(tmp_path, "all").num_examples == 2
    assert "holds no real pictures" in caplog.text


def test_two_real_classes_have_no_fake_one(tmp_path):
    write_folder(tmp_path, {"real": 1, "photos": 1})
    with pytest.raises(RequestError, match=r"no fake"):
        load_folder(tmp_path, "all", real_classes=["photos"], needs="both")


def test_unknown_real_class(tmp_path):
    write_folder(tmp_path, {"real": 1, "fake": 1})
    with pytest.raises(RequestError, match=r"`real_classes`: .*'photos'"):
        load_folder(tmp_path, "all", real_classes=["photos"])


@pytest.mark.parametrize("fraction", [-0.1, 0.8, float("nan")])
def test_validation_fraction_out_of_range(flat, fraction):
    with pytest.raises(RequestError, match=r"`validation_fraction`"):
        load_folder(flat, "train", validation_fraction=fraction)


def test_split_without_a_picture_is_refused(tmp_path):
    write_folder(tmp_path, {"real": 1, "fake": 1})
    with pytest.raises(RequestError, match=r"no picture .* 'validation'"):
        load_folder(tmp_path, "validation", validation_fraction=0)


def test_nothing_is_hashed_where_folders_say_the_split(split_folders, monkeypatch):
    def refuse(*args):
        raise AssertionError("hashed")

    monkeypatch.setattr(folder, "content_fraction", refuse)
    load_folder(split_folders, "test")
    load_folder(split_folders, "all")


def test_unreadable_files_stay_in_the_dataset(tmp_path):
    write_folder(tmp_path, {"real": 2, "fake": 2})
    (tmp_path / "real/link.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "real/pipe.png")
    names = set()
    for split in SPLITS:
        try:
            names |= relative(load_folder(tmp_path, split), tmp_path)
        except RequestError:  # A split of six files may be empty.
            continue
    assert {"real/link.png", "real/pipe.png"} < names
    assert len(names) == 6


def test_unreadable_files_are_placed_by_name(tmp_path):
    missing = tmp_path / "missing.png"
    assert content_fraction(missing, "a") == content_fraction(missing, "a")
    assert content_fraction(missing, "a") != content_fraction(missing, "b")


def test_loose_pictures_are_warned_of(tmp_path, caplog):
    write_folder(tmp_path, {"real": 1, "fake": 1})
    (tmp_path / "loose.png").touch()
    load_folder(tmp_path, "all")
    assert "ignored: 1 picture in" in caplog.text


def test_folder_beside_split_folders_is_warned_of(tmp_path, caplog):
    write_folder(tmp_path, {"test/real": 1, "test/fake": 1, "extra": 1})
    load_folder(tmp_path, "test")
    assert "extra lies beside split folders" in caplog.text


def test_source_is_picklable_with_a_stable_repr(split_folders):
    source = load_folder(split_folders, "test").source
    copy = pickle.loads(pickle.dumps(source))
    assert repr(copy) == repr(source)
    assert copy[0] == source[0]


def test_moved_folder_is_the_same_dataset(split_folders, tmp_path):
    shutil.copytree(split_folders, tmp_path / "moved")
    first = load_folder(split_folders, "train")
    assert load_folder(tmp_path / "moved", "train").digest == first.digest


@pytest.mark.shared_data
def test_real_collection(shared_data):
    dataset = load_folder(shared_data / "faces256", "test")
    assert dataset.classes == ("real_ffhq", "fake_sd21", "fake_stylegan2")
    assert dataset.num_examples == 222


def test_videos_beside_pictures_are_warned_of(tmp_path, caplog):
    write_folder(tmp_path, {"real": 2, "fake": 2})
    (tmp_path / "fake" / "v.mp4").touch()
    load_folder(tmp_path, "all")
    assert "1 video in" in caplog.text and "`mode=prepare`" in caplog.text


def test_a_class_of_videos_alone_must_be_prepared(tmp_path):
    write_folder(tmp_path, {"real": 2})
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "v.mp4").touch()
    with pytest.raises(RequestError, match="no pictures but 1 video"):
        load_folder(tmp_path, "all")


def _write_videos(root, num_videos=30):
    """A folder for each video, with different frames."""
    seed = 0
    for name in ("real", "swap"):
        for video in range(num_videos):
            for frame in range(3):
                seed += 1
                path = root / name / f"{video:03}" / f"{frame}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode(colourful(seed=seed)))
    return root


def _videos_of(dataset):
    return {os.path.dirname(name) for name in dataset.names}  # noqa: PTH120


def test_frames_of_a_video_stay_in_one_split(tmp_path):
    root = _write_videos(tmp_path)
    splits = [load_folder(root, name, validation_fraction=0.1) for name in SPLITS]
    videos = [_videos_of(dataset) for dataset in splits]
    assert not (videos[0] & videos[1] | videos[0] & videos[2] | videos[1] & videos[2])
    assert sum(dataset.num_examples for dataset in splits) == 180
    # A real video and the fake of the same name stay together too.
    names = [{Path(video).name for video in found} for found in videos]
    assert not names[0] & names[2]
    assert splits[0].folders[0] == Path(splits[0].names[0]).parent.name


def test_frames_of_a_video_are_split_on_request(tmp_path):
    root = _write_videos(tmp_path)
    train, test = (load_folder(root, s, subfolders="apart") for s in ("train", "test"))
    assert len(_videos_of(train) & _videos_of(test)) > 5


def test_files_right_in_a_class_are_split_by_content_as_before(flat):
    together, apart = (
        load_folder(flat, "test", subfolders=how) for how in ("together", "apart")
    )
    assert together.digest == apart.digest
    assert set(together.folders) == {""}


def test_folders_are_told_of():
    assert note_folders(["", ""]) == []
    (note,) = note_folders(["a", "a", "b", ""])
    assert note.startswith("the files of each of 2 folders within the classes stay")


@pytest.mark.parametrize(
    ("num_real", "num_fake", "expected"),
    [
        (10, 10, 0.2),
        (500, 500, 0.2),
        (800, 5000, 0.13),
        (5000, 800, 0.13),
        (2000, 2000, 0.05),
        (10**6, 10**6, 0.05),
        (400, 0, 0.2),
        (0, 4000, 0.05),
        (0, 0, 0.05),
    ],
)
def test_few_pictures_hold_out_a_larger_share(num_real, num_fake, expected):
    assert default_validation_fraction(num_real, num_fake) == expected


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_the_default_share_follows_from_the_smaller_side(tmp_path, prefix):
    counts = {f"{prefix}real": 30, f"{prefix}fake": 60}
    root = write_folder(tmp_path / "data", counts)
    assert choose_validation_fraction(root) == 0.2
    found = load_folder(root, "validation")
    given = load_folder(root, "validation", validation_fraction=0.2)
    assert found.digest == given.digest
    assert load_folder(root, "train").num_examples + found.num_examples == (
        90 if prefix else 90 - load_folder(root, "test").num_examples
    )


def test_a_validation_folder_decides_itself(tmp_path):
    counts = {"train/real": 30, "train/fake": 60, "val/real": 2, "val/fake": 2}
    root = write_folder(tmp_path / "data", counts)
    assert choose_validation_fraction(root) == 0.05
    assert load_folder(root, "train").num_examples == 90

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of reading prepared datasets."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.data import pipeline, prepared
from fakedet_jax.data.prepared.facts import FILE_NAME
from fakedet_jax.data.prepared.loading import folder_of
from fakedet_jax.errors import RequestError
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing


def splits_of(data_dir):
    facts = prepared.load_facts(data_dir, "folder", "all")
    return sorted(set(facts.splits))


def test_names_and_labels_are_those_of_the_records(data_dir):
    for split in (*splits_of(data_dir), "all"):
        dataset = prepared.load(data_dir, "folder", split)
        columns = dataset.source.columns("name", "label")
        names = [os.fsdecode(name) for name in columns["name"]]
        assert names == list(dataset.names)
        np.testing.assert_array_equal(columns["label"], dataset.labels)


def test_splits_together_are_all(data_dir):
    parts = [prepared.load(data_dir, "folder", s).names for s in splits_of(data_dir)]
    together = prepared.load(data_dir, "folder", "all").names
    assert sorted(name for part in parts for name in part) == sorted(together)


def test_facts_are_those_of_the_examples(data_dir):
    dataset = prepared.load(data_dir, "folder", "all")
    facts = dataset.facts
    for index in range(dataset.num_examples):
        example = dataset.source.example(index)
        assert example["path"] == facts.paths[index]
        assert example["video"] == facts.videos[index]
        assert example["frame"] == facts.frames[index]
        assert example["face"] == facts.faces[index]
        assert example["identity"] == facts.identities[index]
        assert example["manipulation"] == facts.manipulations[index]
        assert example["quality"] == facts.qualities[index]
        np.testing.assert_array_equal(example["landmarks"], facts.landmarks[index])
        np.testing.assert_array_equal(example["exif"], facts.tags[index])


def test_portraits_are_those_of_the_facts(data_dir):
    dataset = prepared.load(data_dir, "folder", "all")
    subset = dataset.as_binary().subset([5, 2])
    expected = dataset.facts.landmarks[[5, 2]]
    np.testing.assert_array_equal(subset.portraits.landmarks, expected)
    assert subset.portraits.tags.shape == (2, 4)


def test_facts_of_a_subset_are_found_by_its_names(data_dir):
    dataset = prepared.load(data_dir, "folder", "all")
    subset = dataset.as_binary().subset([5, 2])
    facts = prepared.load_facts(data_dir, "folder", "all").of(subset.names)
    assert facts.names == [dataset.names[5], dataset.names[2]]


def test_crops_have_the_size_that_was_asked_for(data_dir):
    source = prepared.load(data_dir, "folder", "all").source
    for index in range(len(source)):
        assert decode(source[index].encoded).shape == (32, 32, 3)


def test_a_name_that_is_not_utf8_comes_back(data_dir):
    names = prepared.load(data_dir, "folder", "all").names
    assert "real/\udce9t\udce9.png" in names


def test_a_pickled_source_reads_the_same_bytes(data_dir):
    source = prepared.load(data_dir, "folder", "all").source
    first = source[3]
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source and copy[3] == first


def test_a_moved_dataset_is_the_same(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "moved")
    here = prepared.load(data_dir, "folder", "all")
    there = prepared.load(tmp_path / "moved", "folder", "all")
    assert repr(here.source) == repr(there.source)
    assert here.digest == there.digest
    assert here.source[0] == there.source[0]


def test_the_info_tells_how_faces_were_cropped(data_dir):
    info = prepared.read_info(data_dir)
    assert (info.name, info.classes, info.is_fake) == (
        "folder",
        ("real", "fake"),
        (False, True),
    )
    assert info.faces == {
        "detector": {"name": "none"},
        "scale": None,
        "size": 32,
        "align": False,
        "all_faces": False,
        "frames": {"evenly": 4},
        "media": {"icc": "ignore", "hdr": "bt709", "max_megapixels": 256},
    }


def test_grain_trains_on_it(data_dir):
    dataset = prepared.load(data_dir, "folder", "all")
    with pipeline.train_iterator(
        dataset, framing=Framing.square(32), batch_size=4, seed=0, flip=True
    ) as iterator:
        batch = next(iterator)
    assert batch["image"].shape == (4, 32, 32, 3)
    assert not iterator.failures


def test_an_index_outside_is_an_error(data_dir):
    source = prepared.load(data_dir, "folder", "all").source
    with pytest.raises(IndexError, match="no example 18"):
        source[18]


def test_nothing_prepared_is_a_request_error_with_instructions(tmp_path):
    with pytest.raises(RequestError, match="expected a prepared dataset ffhq in") as e:
        prepared.load(tmp_path, "ffhq", "train")
    assert "`mode=prepare` `dataset=ffhq`" in str(e.value)
    assert "NVlabs/ffhq-dataset" in str(e.value)
    with pytest.raises(RequestError, match="nowhere' does not exist; check the path"):
        prepared.load(tmp_path / "nowhere", "ffhq", "train")


def test_a_folder_without_any_dataset_has_no_info(tmp_path):
    with pytest.raises(RequestError, match="expected one prepared dataset"):
        prepared.read_info(tmp_path)


def test_an_unknown_split_is_a_request_error(data_dir):
    with pytest.raises(RequestError, match="`split`: expected train"):
        prepared.load(data_dir, "folder", "tset")


def test_an_empty_split_is_a_request_error(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "copy")
    path = folder_of(tmp_path / "copy", "folder") / FILE_NAME
    facts = prepared.Facts.load(path)
    facts.of_split("train").save(path)
    with pytest.raises(RequestError, match="in the split 'test', only in train"):
        prepared.load(tmp_path / "copy", "folder", "test")


@pytest.mark.parametrize("name", [FILE_NAME, "metadata.json"])
def test_a_damaged_file_is_a_request_error(data_dir, tmp_path, name):
    shutil.copytree(data_dir, tmp_path / "copy")
    path = folder_of(tmp_path / "copy", "folder") / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RequestError, match=f"{name}.*prepare the dataset again"):
        prepared.load(tmp_path / "copy", "folder", "train")


_READ = """
import sys
from fakedet_jax.data import prepared
prepared.load(sys.argv[1], "folder", "all").source[0]
print("tensorflow" in sys.modules, "jax" in sys.modules)
"""


def test_neither_tensorflow_nor_jax_is_imported(data_dir):
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(data_dir)],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "False False\n"


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_record_file_is_named(data_dir, tmp_path, damage):
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    (file,) = copy.rglob("*-test.array_record*")
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(content[:1000])
    elif damage == "changed":
        # The records fill the file up to its footer.
        content[1000:3000] = bytes(byte ^ 0x55 for byte in content[1000:3000])
        file.write_bytes(content)
    else:
        file.unlink()
    # Splits that are whole can still be read.
    prepared.load(copy, "folder", "train").source.columns("name")
    with pytest.raises(RequestError) as caught:
        source = prepared.load(copy, "folder", "test").source
        for index in range(len(source)):
            source.example(index)
    message = str(caught.value)
    assert f"`data_dir`: {file} is missing or damaged" in message
    assert f"or delete {file.parent} and make it again" in message
    assert "\n" not in message

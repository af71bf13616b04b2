# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import hashlib
import io
import json
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from fakedet_jax.data import inspection
from fakedet_jax.data.dataset import order_classes
from fakedet_jax.errors import RequestError
from fakedet_jax.synthetic_faces import examples, loading, worker
from fakedet_jax.synthetic_faces.worker import examples_in_order
from tests.synthetic_faces.conftest import NUM_IDENTITIES


def _all_examples(sources):
    source = sources["all"]
    return [source.example(index) for index in range(len(source))]


def test_classes_are_in_the_order_of_every_dataset(data_dir):
    dataset = loading.load(data_dir, "test", num_identities=NUM_IDENTITIES)
    assert (dataset.classes, dataset.is_fake) == order_classes(dataset.classes)


def test_half_is_real_and_each_kind_an_eighth(sources):
    for source in sources.values():
        counts = np.bincount(source.columns("label")["label"]) / len(source)
        np.testing.assert_array_equal(counts, [0.5, 0.125, 0.125, 0.125, 0.125])


def test_no_identity_is_in_two_splits(sources):
    seen = [
        {int(source.example(i)["identity"]) for i in range(len(source))}
        for split, source in sources.items()
        if split != "all"
    ]
    assert len(set.union(*seen)) == sum(len(s) for s in seen) == NUM_IDENTITIES


def test_splits_follow_the_fractions():
    # 400 people: 75 %, 5 % and 20 %.
    sizes = {
        split: len(examples.identities_of(split, 400)) for split in examples.SPLITS
    }
    assert sizes == {"train": 300, "validation": 20, "test": 80}


def test_more_people_are_for_training_only():
    usual = {split: examples.identities_of(split, 400) for split in examples.SPLITS}
    more = {split: examples.identities_of(split, 403) for split in examples.SPLITS}
    assert more["train"] == [*usual["train"], 400, 401, 402]
    assert [more[split] for split in examples.SPLITS[1:]] == [
        usual[split] for split in examples.SPLITS[1:]
    ]
    for split, identities in more.items():
        assert {examples.split_of(identity, 403) for identity in identities} == {split}


@pytest.mark.slow
def test_pictures_of_validation_and_test_do_not_depend_on_how_many_train():
    for identity in (300, 399):
        usual = examples.make_examples(0, identity, 400)
        more = examples.make_examples(0, identity, 1000)
        assert [one.encoded for one in usual] == [one.encoded for one in more]


def test_names_and_labels_are_those_of_the_records(data_dir):
    dataset = loading.load(data_dir, "test", num_identities=NUM_IDENTITIES)
    for index, (name, label) in enumerate(
        zip(dataset.names, dataset.labels, strict=True)
    ):
        record = dataset.source[index]
        assert (record.name, record.label) == (name, label)
        assert name.split("/")[:2] == ["test", dataset.classes[label]]


def test_a_pickled_source_reads_the_same_bytes(sources):
    source = sources["train"]
    first = source[7]
    copy = pickle.loads(pickle.dumps(source))
    assert copy[7] == first
    assert copy == source


def test_repr_tells_content_and_not_place(sources):
    assert (
        repr(sources["train"])
        == f"SyntheticFacesSource('train', num_identities={NUM_IDENTITIES}, seed=0)"
    )


def test_index_outside_is_an_error(sources):
    with pytest.raises(IndexError, match="no example -1"):
        sources["test"][-1]


def test_format_and_size_are_the_same_for_all(sources):
    looks = set()
    for example in _all_examples(sources):
        picture = Image.open(io.BytesIO(example["image"]))
        sampling = tuple(part[1:3] for part in picture.layer)
        tags = tuple(sorted(picture.getexif().get_ifd(ExifTags.IFD.Exif)))
        looks.add((picture.format, picture.size, picture.mode, sampling, tags))
    assert len(looks) == 1
    assert next(iter(looks))[:3] == ("JPEG", (128, 128), "RGB")


def test_jpeg_quality_does_not_tell_the_class(sources):
    tables = {True: Counter(), False: Counter()}
    for example in _all_examples(sources):
        picture = Image.open(io.BytesIO(example["image"]))
        tables[bool(example["label"])][tuple(picture.quantization[0])] += 1
    assert set(tables[True]) == set(tables[False])
    assert len(tables[True]) == 5


def test_exif_says_what_the_features_say(sources):
    for example in _all_examples(sources):
        exif = Image.open(io.BytesIO(example["image"])).getexif()
        tags = exif.get_ifd(ExifTags.IFD.Exif)
        written = [
            tags[ExifTags.Base.ISOSpeedRatings],
            float(tags[ExifTags.Base.FNumber]),
            float(tags[ExifTags.Base.ExposureTime]),
            float(tags[ExifTags.Base.FocalLength]),
        ]
        names = ("iso", "f_number", "exposure_time", "focal_length")
        stored = [example[name] for name in names]
        np.testing.assert_allclose(written, stored, rtol=1e-6)


def test_portraits_are_those_of_the_examples(data_dir):
    dataset = loading.load(data_dir, "all", num_identities=NUM_IDENTITIES)
    for index in range(dataset.num_examples):
        example = dataset.source.example(index)
        settings = ("iso", "f_number", "exposure_time", "focal_length")
        tags = np.float32([example[name] for name in settings])
        np.testing.assert_array_equal(dataset.portraits.tags[index], tags)
        landmarks = dataset.portraits.landmarks[index]
        np.testing.assert_array_equal(landmarks, example["landmarks"])


def test_portraits_are_those_that_the_files_tell(data_dir):
    dataset = loading.load(data_dir, "test", num_identities=NUM_IDENTITIES)
    read = inspection.read_portraits(dataset, num_threads=2)
    np.testing.assert_allclose(dataset.portraits.tags, read.tags, rtol=1e-6)


def test_every_picture_names_its_camera(sources):
    for example in _all_examples(sources):
        exif = Image.open(io.BytesIO(example["image"])).getexif()
        assert exif[ExifTags.Base.Model].startswith(exif[ExifTags.Base.Make])


def test_landmarks_lie_in_the_box_and_the_box_in_the_picture(sources):
    for example in _all_examples(sources):
        left, top, right, bottom = example["box"]
        assert 0 <= left < right <= 128
        assert 0 <= top < bottom <= 128
        assert np.all(example["landmarks"] > [left, top])
        assert np.all(example["landmarks"] < [right, bottom])


def test_prepare_keeps_what_is_there(data_dir):
    files = sorted(path for path in data_dir.rglob("*") if path.is_file())
    before = [path.stat().st_mtime_ns for path in files]
    loading.prepare(data_dir, num_identities=NUM_IDENTITIES)
    assert [path.stat().st_mtime_ns for path in files] == before


def test_an_interrupted_build_leaves_no_dataset(tmp_path, monkeypatch):
    made = []

    def interrupt(*arguments):
        if made:
            raise KeyboardInterrupt
        made.append(arguments)
        return examples.make_examples(*arguments)

    monkeypatch.setattr(worker, "make_examples", interrupt)
    with pytest.raises(KeyboardInterrupt):
        loading.prepare(tmp_path, num_identities=6, num_processes=1)
    assert made
    assert not list(tmp_path.rglob("1.0.0"))


def test_unknown_split_is_a_request_error(tmp_path):
    with pytest.raises(
        RequestError, match="`split`: expected train, validation, test, all"
    ):
        loading.load(tmp_path, "tset")


def test_too_few_identities_is_a_request_error(tmp_path):
    with pytest.raises(RequestError, match="expected at least 6, found 3"):
        loading.prepare(tmp_path, num_identities=3)


def test_a_file_in_place_of_the_folder_is_a_request_error(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(RequestError, match="`data_dir`"):
        loading.prepare(path / "data", num_identities=6, num_processes=1)


_BUILD = """
import hashlib, json, sys
from pathlib import Path
from fakedet_jax.data import inspection
from fakedet_jax.synthetic_faces import loading
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    loading.prepare(folder, num_identities=6, num_processes=2)
    dataset = loading.load(folder, "all", num_identities=6)
    source = dataset.source
    digests = {source[i].name: hashlib.sha256(source[i].encoded).hexdigest()
               for i in range(len(source))}
    print(json.dumps([digests, "tensorflow" in sys.modules, "jax" in sys.modules]))
"""


@pytest.fixture(scope="module")
def fresh_process(tmp_path_factory):
    """Builds with two processes and reads, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(tmp_path_factory.mktemp("fresh"))],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    # Nothing else may reach standard output, or this fails.
    return json.loads(done.stdout)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_processes(fresh_process):
    here = {
        example.name: hashlib.sha256(example.encoded).hexdigest()
        for split in examples.SPLITS
        for group in examples_in_order(0, split, 6, num_processes=1)
        for example in group
    }
    assert fresh_process[0] == here


def test_reading_logs_no_warning(data_dir, caplog):
    loading.load(data_dir, "test", num_identities=NUM_IDENTITIES)
    assert not caplog.records


def test_neither_tensorflow_nor_jax_is_imported(fresh_process):
    assert fresh_process[1:] == [False, False]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import logging
import pickle

import numpy as np
import pytest

from fakedet_jax.data.dataset import (
    Dataset,
    Record,
    check_sides,
    class_of_label,
    order_classes,
)
from fakedet_jax.errors import RequestError


@dataclasses.dataclass(frozen=True)
class MemorySource:
    labels: tuple[int, ...]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return Record(b"%d" % index, self.labels[index], f"here/{index}")


def make_dataset(labels=(0, 1, 2, 2, 1), folder="here"):
    return Dataset(
        name="memory",
        split="all",
        classes=("real", "a", "b"),
        is_fake=(False, True, True),
        source=MemorySource(labels),
        names=[f"{folder}/{index}" for index in range(len(labels))],
        labels=np.asarray(labels, np.int32),
    )


def test_real_classes_come_first_in_alphabetical_order():
    names = ["stylegan", "photos", "Real_ffhq", "deepfakes", "real_celeba"]
    classes, is_fake = order_classes(names, ["photos"])
    assert classes == ("Real_ffhq", "photos", "real_celeba", "deepfakes", "stylegan")
    assert is_fake == (False, False, False, True, True)


def test_unknown_real_class_is_refused_with_the_names_found():
    with pytest.raises(RequestError, match=r"'photoz'; found 'fake', 'photos'"):
        order_classes(["photos", "fake"], ["photoz"])


def test_binary_task_merges_fake_classes():
    binary = make_dataset().as_binary()
    assert binary.classes == ("real", "fake")
    np.testing.assert_array_equal(binary.labels, [0, 1, 1, 1, 1])


def test_binary_records_carry_binary_labels():
    binary = make_dataset().as_binary()
    assert [binary.source[index].label for index in range(5)] == [0, 1, 1, 1, 1]


def test_binary_of_binary_changes_nothing():
    binary = make_dataset().as_binary()
    np.testing.assert_array_equal(binary.as_binary().labels, binary.labels)


def test_subset_keeps_records_names_and_labels_together():
    subset = make_dataset().subset(np.array([3, 0]))
    assert subset.num_examples == 2
    assert [subset.source[index].name for index in range(2)] == list(subset.names)
    np.testing.assert_array_equal(subset.labels, [2, 0])


def test_sources_survive_pickling_with_the_same_repr():
    source = make_dataset().as_binary().subset([4, 2]).source
    copy = pickle.loads(pickle.dumps(source))
    assert repr(copy) == repr(source)
    assert copy[1] == source[1]


def test_repr_tells_subsets_apart_without_addresses():
    dataset = make_dataset()
    first, second = (repr(dataset.subset(part).source) for part in ([0, 1], [0, 2]))
    assert first != second
    assert " at 0x" not in first


def test_digest_does_not_depend_on_the_place():
    assert make_dataset(folder="here").digest == make_dataset(folder="there/x").digest


def test_digest_depends_on_labels():
    assert make_dataset((0, 1)).digest != make_dataset((0, 2)).digest


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="equally long"):
        dataclasses.replace(make_dataset(), names=["one"])


REAL, FAKE, BOTH, NONE = (0, 0), (1, 2), (0, 1), ()


@pytest.mark.parametrize(
    ("labels", "needs", "missing"),
    [
        (BOTH, "both", None),
        (REAL, "both", "fake"),
        (FAKE, "both", "real"),
        (BOTH, "real", None),
        (REAL, "real", None),
        (FAKE, "real", "real"),
        (NONE, "real", "real"),
        (NONE, "both", "real"),
    ],
)
def test_a_side_that_is_needed_and_missing_is_named(labels, needs, missing):
    dataset = make_dataset(labels)
    if missing is None:
        check_sides(dataset, "here", needs)
        return
    message = f"`data_dir`: here holds no {missing} pictures; found"
    with pytest.raises(RequestError, match=message):
        check_sides(dataset, "here", needs)


@pytest.mark.parametrize(("labels", "missing"), [(REAL, "fake"), (FAKE, "real")])
def test_a_side_that_is_not_needed_is_missed_in_a_warning(labels, missing, caplog):
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        check_sides(make_dataset(labels), "here", "either")
    assert f"holds no {missing} pictures" in caplog.text


def test_what_is_needed_is_one_of_three():
    with pytest.raises(ValueError, match="expected one of both, real, either"):
        check_sides(make_dataset(), "here", "fake")


def test_real_is_a_word_and_not_the_beginning_of_one():
    names = ["realistic_vision_v5", "realvis", "real", "REAL_ffhq", "real2", "real-a"]
    classes, is_fake = order_classes(names)
    assert dict(zip(classes, is_fake, strict=True)) == {
        "real": False,
        "REAL_ffhq": False,
        "real2": False,
        "real-a": False,
        "realistic_vision_v5": True,
        "realvis": True,
    }


def test_fake_classes_take_precedence_over_names():
    assert order_classes(["real", "real_time_swap"], (), ["real_time_swap"]) == (
        ("real", "real_time_swap"),
        (False, True),
    )
    with pytest.raises(RequestError, match="`fake_classes`: no class is named 'x'"):
        order_classes(["real"], (), ["x"])
    with pytest.raises(RequestError, match=r"`fake_classes`: 'a' cannot be real and"):
        order_classes(["a", "b"], ["a"], ["a"])


@pytest.mark.parametrize(
    "texts, name",
    [
        (["0", "0.0", "False", "false", "REAL", "real", " 0 "], "real"),
        (["1", "1.0", "True", "TRUE", "FAKE", "Fake"], "fake"),
        (["stylegan2"], "stylegan2"),
    ],
)
def test_spellings_of_a_label_mean_the_same(texts, name):
    assert {class_of_label(text) for text in texts} == {name}


@pytest.mark.parametrize("text", ["2", "0.5", "", "nan", "-1"])
def test_other_numbers_are_no_labels(text):
    with pytest.raises(ValueError, match=r"^expected the label 0, False or real"):
        class_of_label(text)


def test_the_reading_of_classes_outlives_their_merger():
    dataset = make_dataset()
    assert dataset.reading == (
        f"real: {dataset.classes[0]}; fake: {', '.join(dataset.classes[1:])}"
    )
    assert dataset.as_binary().reading == dataset.reading

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re

import numpy as np
import pytest

from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.inspection import Facts, inspect
from fakedet_jax.data.leaks import find_leaks

CLASSES = ("real", "gan", "diffusion")
IS_FAKE = (False, True, True)
SIDES = (CLASSES, IS_FAKE)


def make_facts(count, split="train", **fields):
    base = {"format": "JPEG", "width": 256, "height": 256, "jpeg_quality": 95}
    return [
        Facts(name=f"{split}/{index}", digest=f"{split}{index}", **{**base, **fields})
        for index in range(count)
    ]


def change(facts, indices, **fields):
    for index in indices:
        facts[index] = dataclasses.replace(facts[index], **fields)
    return facts


def leaks(facts, num_real=50):
    labels = [0] * num_real + [1] * (len(facts) - num_real)
    return find_leaks({"train": facts}, {"train": labels}, CLASSES, IS_FAKE)


def test_equal_files_give_no_warning():
    assert leaks(make_facts(100)) == []


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"format": "PNG"}, "file format tells .* 'format is JPEG'"),
        ({"width": 300}, "the size tells .* 'width is 256'"),
        ({"height": 300}, "the size tells .* 'height is 256'"),
        ({"jpeg_quality": 75}, "JPEG quality tells .* 'JPEG quality is 75'"),
        ({"has_exif": True}, "EXIF data tells .* 'EXIF present' holds for 0.0% of"),
        (
            {"is_grey": True},
            "greyness tells .* 0.0% of the real and 100.0% of the fake",
        ),
    ],
)
def test_attribute_that_tells_all_is_reported_with_numbers(fields, message):
    (warning,) = leaks(change(make_facts(100), range(50, 100), **fields))
    assert re.search(message, warning)
    assert "balanced accuracy 1.00" in warning


def test_pictures_that_look_alike_are_reported_across_splits():
    train = change(make_facts(30), [3, 4], perceptual_hash=0xF0F0)
    test = change(make_facts(30, "test"), [7, 8], perceptual_hash=0xF0F1)
    facts = {"train": train, "test": test}
    (warning,) = find_leaks(facts, {"train": [0] * 30, "test": [0] * 30}, *SIDES)
    assert warning == (
        "2 pictures of test look like some of train, such as 'test/7' like 'train/3'"
    )


def test_equal_files_are_not_reported_twice():
    train = change(make_facts(1), [0], perceptual_hash=0xF0F0)
    facts = {"train": train, "test": train}
    (warning,) = find_leaks(facts, {"train": [0], "test": [0]}, *SIDES)
    assert "1 picture lies in both train and test" in warning


def test_threshold_on_many_values_is_found():
    facts = make_facts(100)
    for index in range(100):
        facts[index] = dataclasses.replace(facts[index], jpeg_quality=1 + index % 97)
    change(facts, range(50, 100), jpeg_quality=98)
    change(facts, range(50, 60), jpeg_quality=40)
    (warning,) = leaks(facts)
    assert "JPEG quality" in warning


def test_balanced_accuracy_is_that_of_the_best_rule():
    # True for 10 % of the real and 70 % of the fakes: (0.9 + 0.7) / 2.
    facts = change(make_facts(100), [*range(5), *range(50, 85)], has_exif=True)
    (warning,) = leaks(facts)
    assert "balanced accuracy 0.80" in warning


def test_weak_attribute_on_both_sides_is_no_leak():
    facts = change(make_facts(100), [*range(10), *range(50, 70)], has_exif=True)
    assert leaks(facts) == []


def test_sides_of_unequal_size_are_balanced():
    # 10 % of the fakes differ: a rule is right for 99 % of all, and useless.
    facts = change(make_facts(1000), range(995, 1000), has_exif=True)
    assert leaks(facts, num_real=950) == []


def test_value_that_only_one_side_has_is_reported():
    facts = change(make_facts(400), range(30), is_grey=True)
    (warning,) = leaks(facts, num_real=200)
    assert warning == (
        "greyness gives some real pictures away: 'grey picture' holds for 15.0% of "
        "the real and 0.0% of the fake pictures"
    )


def test_few_pictures_are_not_judged():
    assert leaks(change(make_facts(38), range(19, 38), format="PNG"), 19) == []


def test_random_sizes_are_no_leak():
    rng = np.random.default_rng(0)
    facts = make_facts(400)
    for index in range(400):
        change(facts, [index], width=int(rng.integers(200, 2000)))
    assert leaks(facts, num_real=200) == []


def test_undecodable_pictures_are_left_out():
    facts = change(make_facts(100), range(50, 100), error="is damaged", format="")
    assert leaks(facts) == []


def test_same_content_in_two_splits_is_reported():
    facts = {split: make_facts(3, split) for split in ("train", "test")}
    change(facts["test"], [1, 2], digest="train0")
    labels = {"train": [0, 0, 0], "test": [0, 0, 0]}
    assert find_leaks(facts, labels, CLASSES, IS_FAKE) == [
        "1 picture lies in both train and test, such as 'train/0' and 'test/1'"
    ]


def test_same_content_under_two_labels_is_reported():
    facts = change(make_facts(4), [2, 3], digest="same")
    assert find_leaks({"train": facts}, {"train": [0, 0, 1, 2]}, CLASSES, IS_FAKE) == [
        "1 picture lies under two labels, 'gan' and 'diffusion', such as 'train/2' "
        "and 'train/3'"
    ]


def test_copies_under_one_label_in_one_split_are_allowed():
    facts = change(make_facts(4), [0, 1], digest="same")
    assert find_leaks({"train": facts}, {"train": [0, 0, 1, 2]}, CLASSES, IS_FAKE) == []


def inspected(path):
    dataset = load_folder(path, "all")
    facts = {"all": inspect(dataset)}
    return find_leaks(facts, {"all": dataset.labels}, dataset.classes, dataset.is_fake)


@pytest.mark.shared_data
def test_grey_photographs_of_one_class_are_found(shared_data):
    (warning,) = inspected(shared_data / "unsplash_vs_stylegan2")
    assert warning.startswith("greyness gives some real pictures away")


@pytest.mark.shared_data
def test_faces_prepared_alike_give_no_warning(shared_data):
    assert inspected(shared_data / "faces256") == []

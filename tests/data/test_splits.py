# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Splits that tear neither people nor videos nor copies apart."""

import random

import pytest
import scipy.stats

from fakedet_jax.data.layouts import Item
from fakedet_jax.data.splits import SPLITS, assign, find_leaks, hold_out
from fakedet_jax.errors import RequestError


def item(path, *identities, split=None, video=""):
    return Item(path, "photo", "real", False, split, video, identities)


def people(count):
    """Real videos of people and swaps within pairs, as in FaceForensics++."""
    items = []
    for number in range(0, count, 2):
        a, b = f"{number:04}", f"{number + 1:04}"
        items += [item(a, a), item(b, b), item(f"{a}_{b}", a, b)]
    return items


def sides(items):
    return {item.path: item.split for item in items}


def test_nobody_is_torn_apart():
    divided = assign(people(600))
    assert find_leaks(divided) == []
    assert set(sides(divided).values()) == set(SPLITS)


def test_chains_of_identities_and_videos_stay_together():
    for seed in range(20):
        chain = [
            item("a", "1", "2"),
            item("b", "2", "3"),
            item("c", "3", video="v"),
            item("d", video="v"),
        ]
        assert len(set(sides(assign(chain, seed=seed)).values())) == 1


def test_names_of_identities_videos_and_contents_do_not_mix():
    items = [item("a", "x"), item("b", video="x"), item("c")]
    found = {
        tuple(sides(assign(items, seed=seed, content_digest=lambda _: "x")).values())
        for seed in range(40)
    }
    assert any(len(set(row)) > 1 for row in found)


def test_order_does_not_matter():
    items = people(200)
    shuffled = random.Random(0).sample(items, len(items))
    assert sides(assign(items)) == sides(assign(shuffled))
    assert [i.path for i in assign(shuffled)] == [i.path for i in shuffled]


def test_other_groups_do_not_matter():
    before = sides(assign(people(200)))
    after = sides(assign(people(400)))
    assert {path: after[path] for path in before} == before


def test_more_videos_of_the_same_people_move_nobody():
    before = sides(assign(people(200)))
    more = [item(f"again {number}", f"{number:04}") for number in range(200)]
    after = sides(assign(people(200) + more))
    assert {path: after[path] for path in before} == before


def test_test_split_does_not_depend_on_the_validation_part():
    items = people(400)
    narrow = sides(assign(items, validation_fraction=0.01))
    wide = sides(assign(items, validation_fraction=0.4))
    for path in narrow:
        assert (narrow[path] == "test") == (wide[path] == "test")


def test_parts_are_as_asked_for():
    items = [item(str(number), str(number)) for number in range(5000)]
    found = list(sides(assign(items, validation_fraction=0.1)).values())
    counts = [found.count(split) for split in SPLITS]
    assert scipy.stats.chisquare(counts, [3500, 500, 1000]).pvalue > 0.01


def test_seed_matters():
    items = people(200)
    assert sides(assign(items)) != sides(assign(items, seed=1))


def test_copies_never_straddle():
    items = [item(f"{number}") for number in range(300)]
    divided = sides(assign(items, content_digest=lambda i: str(int(i.path) % 100)))
    for number in range(100):
        copies = {divided[f"{number + 100 * k}"] for k in range(3)}
        assert len(copies) == 1
    assert set(divided.values()) == set(SPLITS)


def test_unassigned_items_follow_their_official_relatives():
    items = [
        item("official", "Ann", split="validation"),
        item("a", "Ann", "Bob"),
        item("b", "Bob"),
        item("copy of c", split="test"),
        item("c"),
    ]
    for seed in range(10):
        divided = sides(assign(items, seed=seed, content_digest=lambda i: i.path[-1]))
        assert divided["a"] == divided["b"] == "validation"
        assert divided["c"] == "test"


def test_official_splits_are_kept():
    items = [item(str(n), "Ann", split=split) for n, split in enumerate(SPLITS)]
    assert assign(items) == items


def test_conflicts_belong_nowhere_and_are_reported(caplog):
    items = [
        item("a", "Ann", split="train"),
        item("b", "Bob", split="test"),
        item("ab", "Ann", "Bob"),
        item("free", "Eve"),
    ]
    divided = assign(items)
    assert sides(divided)["ab"] is None
    assert sides(divided)["free"] is not None
    assert find_leaks(divided) == ["1 item is in no split: 'ab'"]
    assert "linked with several official splits, which get none: 1" in caplog.text


@pytest.mark.parametrize("fraction", [-0.1, 0.8, 1.5, float("nan")])
def test_wrong_fractions(fraction):
    with pytest.raises(RequestError, match=r"`validation_fraction`: .* than 0\.8"):
        assign([], validation_fraction=fraction)


def test_leaks_are_worded():
    items = [
        item("a", "Ann", split="train", video="v"),
        item("b", "Ann", split="test"),
        item("c", "Bob", split="validation", video="v"),
        item("d", "Bob", split="test"),
        item("e", "Eve", split="train"),
        item("f", "Eve", split="test"),
    ]
    assert find_leaks(items) == [
        "2 identities are in train and test: 'Ann', 'Eve'",
        "1 identity is in validation and test: 'Bob'",
        "1 video is in train and validation: 'v'",
    ]


def test_same_side_twice_is_no_leak():
    assert (
        find_leaks([item("a", "Ann", split="test"), item("b", "Ann", split="test")])
        == []
    )


def test_hold_out_takes_groups_of_training_only():
    items = [
        *(item(i.path, *i.identities, split="train") for i in people(400)),
        item("t", "9999", split="test"),
    ]
    divided = hold_out(items, fraction=0.2)
    assert find_leaks(divided) == []
    found = list(sides(divided).values())
    assert found.count("test") == 1
    assert 60 < found.count("validation") < 180


def test_hold_out_by_video_where_everyone_is_linked():
    items = [item(str(n), "Ann", split="train", video=f"v{n // 2}") for n in range(100)]
    with pytest.raises(RequestError, match="hold out 0 of 1 groups of linked"):
        hold_out(items)
    divided = sides(hold_out(items, fraction=0.3, group_by="video"))
    assert set(divided.values()) == {"train", "validation"}
    assert all(divided[str(n)] == divided[str(n + 1)] for n in range(0, 100, 2))


def test_hold_out_of_a_dataset_with_validation():
    with pytest.raises(RequestError, match="has its own validation split"):
        hold_out([item("a", split="validation"), item("b", split="train")])


@pytest.mark.parametrize("fraction", [0, 1, float("nan")])
def test_hold_out_of_a_wrong_part(fraction):
    with pytest.raises(RequestError, match="`validation_fraction`: expected a number"):
        hold_out([item("a", split="train")], fraction=fraction)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of photographs that are manipulated as they are read."""

import collections
import json
import math
import pickle

import numpy as np
import pytest
from absl import flags

from fakedet_jax.data import pipeline
from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces import crops
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.systems.exif_anomaly import manipulations, self_supervision
from fakedet_jax.systems.exif_anomaly.self_supervision import CLASSES, with_manipulated
from tests.data.pictures import write_folder

NUM = 11
SIZE = 48
FRAMING = Framing.square(32)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    root = tmp_path_factory.mktemp("photographs")
    return load_folder(write_folder(root, {"real": NUM}, SIZE), "all", needs="real")


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Photographs of which two are no pictures."""
    root = write_folder(tmp_path_factory.mktemp("broken"), {"real": 7}, SIZE)
    for name in ("002.png", "005.png"):
        (root / "real" / name).write_bytes(b"no picture")
    return load_folder(root, "all", needs="real")


@pytest.fixture(scope="module")
def originals(photographs):
    return [decode(photographs.source[index].encoded) for index in range(NUM)]


@pytest.fixture
def parsed_flags():
    flags.FLAGS.mark_as_parsed()


def face(size=SIZE):
    """Landmarks in the middle of a picture."""
    return np.float32((crops.TEMPLATE / crops.SCALE + 0.5) * size)


def portraits_of(num=NUM):
    """Faces alike; of every third photograph one setting is unknown."""
    tags = np.arange(4 * num, dtype=np.float32).reshape(num, 4)
    tags[::3, 1] = np.nan
    return Portraits(np.tile(face(), (num, 1, 1)), tags)


def make(dataset, **changed):
    options = {
        "framing": FRAMING,
        "batch_size": 4,
        "seed": 3,
        "flip": False,
        "num_threads": 2,
        **changed,
    }
    portraits = options.pop("portraits", None) or portraits_of(dataset.num_examples)
    return self_supervision.train_iterator(dataset, portraits, **options)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def first_batches(dataset, count, **changed):
    with make(dataset, **changed) as iterator:
        return take(iterator, count)


def join(batches, name):
    return np.concatenate([batch[name] for batch in batches])


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def chosen(dataset, num, *, flip=True, paired=False, seed=3):
    """What an iterator would do to so many photographs; none is decoded."""
    # Grain shuffles thousands of places faster than a dozen.
    many = dataset.subset(np.arange(4000) % dataset.num_examples)
    choose = self_supervision._Choose(flip, paired)
    reader = pipeline.Reader(choose, _as_dict, list, {})
    with pipeline.endless(many, reader, batch_size=10, seed=seed) as readings:
        return [reading for _ in range(num // 10) for reading in next(readings)]


def _as_dict(reading):
    return reading._asdict()


def manipulated(picture, landmarks, kind, seed):
    rng = np.random.default_rng(seed)
    return manipulations.manipulate(picture, landmarks, kind, rng)


def assert_shares(kinds, expected):
    counts = collections.Counter(kinds)
    for kind, share in expected.items():
        # Four standard deviations.
        margin = 4 * math.sqrt(len(kinds) * share * (1 - share))
        assert counts.pop(kind) == pytest.approx(len(kinds) * share, abs=margin)
    assert not counts


def test_half_stay_as_they_are_and_each_kind_gets_an_eighth(photographs):
    kinds = [kind for one in chosen(photographs, 4000) for kind in one["kinds"]]
    assert len(kinds) == 4000
    eighths = dict.fromkeys(manipulations.KINDS, 1 / 8)
    assert_shares(kinds, {None: 1 / 2, **eighths})


def test_of_a_pair_one_stays_as_it_is_and_each_kind_gets_a_quarter(photographs):
    pairs = [one["kinds"] for one in chosen(photographs, 2000, paired=True)]
    originals, kinds = zip(*pairs, strict=True)
    assert set(originals) == {None}
    assert_shares(kinds, dict.fromkeys(manipulations.KINDS, 1 / 4))


@pytest.mark.parametrize("is_manipulated", [False, True])
def test_half_of_both_kinds_are_mirrored(photographs, is_manipulated):
    flips = [
        reading["flip"]
        for reading in chosen(photographs, 2000)
        if (reading["kinds"] != (None,)) == is_manipulated
    ]
    # Four standard deviations of a fair coin tossed 1000 times.
    assert np.mean(flips) == pytest.approx(0.5, abs=0.065)


def test_flips_change_no_other_choice(photographs):
    plain, flipped = (chosen(photographs, 50, flip=flip) for flip in (False, True))
    assert not any(reading["flip"] for reading in plain)
    assert plain == [{**reading, "flip": False} for reading in flipped]


def test_types_and_shapes(photographs):
    (batch,) = first_batches(photographs, 1)
    found = {name: (array.dtype, array.shape) for name, array in batch.items()}
    assert found == {
        "image": (np.uint8, (4, *FRAMING.shape)),
        "label": (np.float32, (4, 5)),
        "mask": (bool, (4,)),
        "index": (np.int32, (4,)),
    }


def test_all_photographs_keep_their_tags_and_unknown_ones_stay_unknown(photographs):
    batches = first_batches(photographs, 10)
    labels, indices = join(batches, "label"), join(batches, "index")
    np.testing.assert_array_equal(labels[:, :4], portraits_of().tags[indices])
    assert set(labels[:, 4]) == {0, 1}


def test_the_last_target_says_which_pictures_are_manipulated(photographs, originals):
    batches = first_batches(photographs, 10)
    unchanged = [
        np.array_equal(image, to_input(originals[index], FRAMING))
        for image, index in zip(
            join(batches, "image"), join(batches, "index"), strict=True
        )
    ]
    np.testing.assert_array_equal(unchanged, join(batches, "label")[:, 4] == 0)


def test_manipulated_and_original_pictures_are_resampled_alike(
    photographs, originals, monkeypatch
):
    def leave(picture, landmarks, kind, rng):
        assert picture.shape == (SIZE, SIZE, 3)
        return picture

    monkeypatch.setattr(manipulations, "manipulate", leave)
    batches = first_batches(photographs, 10)
    assert join(batches, "label")[:, 4].any()
    for image, index in zip(
        join(batches, "image"), join(batches, "index"), strict=True
    ):
        np.testing.assert_array_equal(image, to_input(originals[index], FRAMING))


def test_mirrored_pictures_are_manipulated_before(photographs):
    plain = first_batches(photographs, 10)
    flipped = first_batches(photographs, 10, flip=True)
    is_flipped = []
    for one, other in zip(join(plain, "image"), join(flipped, "image"), strict=True):
        is_flipped.append(not np.array_equal(one, other))
        np.testing.assert_array_equal(other, one[:, ::-1] if is_flipped[-1] else one)
    assert len(set(is_flipped)) == 2


def load(photographs, landmarks, kind, seed):
    """The first photograph, manipulated."""
    tags = portraits_of().tags
    portraits = Portraits(np.tile(np.float32(landmarks), (NUM, 1, 1)), tags)
    loader = self_supervision._Load(photographs.source, portraits, FRAMING)
    (row,) = loader(self_supervision._Reading(0, False, (kind,), seed))["rows"]
    return row["image"]


@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_faces_are_manipulated_in_the_drawn_way(photographs, originals, kind):
    expected = manipulated(originals[0], face(), kind, 7)
    found = load(photographs, face(), kind, 7)
    np.testing.assert_array_equal(found, to_input(expected, FRAMING))


UNUSABLE = {
    "unknown": np.full((5, 2), np.nan),
    "partly unknown": np.where(np.arange(5)[:, None] == 2, np.nan, face()),
    "all the same": np.zeros((5, 2)),
    "of a larger picture": 10 * face(),
    "outside": face() + np.float32([0, SIZE]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_without_usable_landmarks_the_face_is_warped(photographs, originals, name):
    unknown = np.full((5, 2), np.nan)
    expected = manipulated(originals[0], unknown, "warp", 7)
    found = load(photographs, UNUSABLE[name], "mouth_flip", 7)
    np.testing.assert_array_equal(found, to_input(expected, FRAMING))


@pytest.mark.parametrize("flip", [False, True])
def test_pairs_differ_in_the_manipulation_alone(photographs, monkeypatch, flip):
    monkeypatch.setattr(
        manipulations, "manipulate", lambda picture, landmarks, kind, rng: picture
    )
    for batch in first_batches(photographs, 6, flip=flip, paired=True):
        np.testing.assert_array_equal(batch["label"][:, 4], [0, 1, 0, 1])
        for name in ("image", "mask", "index"):
            np.testing.assert_array_equal(batch[name][::2], batch[name][1::2])
        tags = batch["label"][:, :4]
        np.testing.assert_array_equal(tags[::2], tags[1::2])


def test_of_a_pair_one_is_manipulated(photographs):
    for batch in first_batches(photographs, 6, paired=True):
        images = batch["image"]
        assert (images[::2] != images[1::2]).any((1, 2, 3)).all()


def test_an_epoch_of_pairs_holds_every_photograph_once(photographs):
    batches = first_batches(photographs, NUM, batch_size=2, paired=True)
    assert sorted(join(batches, "index")) == sorted([*range(NUM), *range(NUM)])


def test_pairs_need_an_even_batch(photographs):
    with pytest.raises(RequestError, match=r"`paired`: 3 pictures .* `batch_size`"):
        make(photographs, batch_size=3, paired=True)


def test_the_same_seed_gives_the_same_batches(photographs):
    first, second = (first_batches(photographs, 6) for _ in range(2))
    assert_same(first, second)


def test_seeds_differ_in_what_is_manipulated(photographs):
    first, second = (
        {reading["seed"] for reading in chosen(photographs, 50, seed=seed)}
        for seed in (0, 1)
    )
    assert not first & second


def test_a_photograph_is_manipulated_anew_in_every_epoch(photographs):
    batches = first_batches(photographs, 12 * NUM, batch_size=1)
    pictures = {
        image.tobytes()
        for image, index in zip(
            join(batches, "image"), join(batches, "index"), strict=True
        )
        if index == 0
    }
    # The original, and four kinds of which the warp differs each time.
    assert len(pictures) > 3


@pytest.mark.parametrize("paired", [False, True])
def test_the_number_of_threads_does_not_matter(broken, paired):
    first, second = (
        first_batches(broken, 6, flip=True, paired=paired, num_threads=number)
        for number in (1, 5)
    )
    assert_same(first, second)


@pytest.mark.slow
def test_worker_processes_give_the_same_batches(broken, parsed_flags):
    expected = first_batches(broken, 6, flip=True)
    with make(broken, flip=True, num_workers=2) as iterator:
        assert_same(take(iterator, 6), expected)
        assert set(iterator.failures) == {2, 5}


def test_processes_share_the_global_batch(photographs):
    whole = first_batches(photographs, 4)
    parts = [
        first_batches(
            photographs, 4, batch_size=2, process_index=process, process_count=2
        )
        for process in range(2)
    ]
    for batch, *shares in zip(whole, *parts, strict=True):
        for name, array in batch.items():
            joined = np.empty_like(array)
            joined[0::2], joined[1::2] = (share[name] for share in shares)
            np.testing.assert_array_equal(joined, array)


@pytest.mark.parametrize("paired", [False, True])
def test_a_restored_iterator_goes_on_exactly(broken, paired):
    with make(broken, paired=paired) as iterator:
        take(iterator, 3)
        state = json.loads(json.dumps(iterator.get_state()))
        expected = take(iterator, 4)
    with make(broken, paired=paired) as iterator:
        iterator.set_state([state])
        assert_same(take(iterator, 4), expected)


@pytest.mark.parametrize(
    "changed",
    [{"seed": 4}, {"flip": True}, {"paired": True}, {"framing": Framing.square(16)}],
    ids=str,
)
def test_the_state_of_other_settings_is_refused(photographs, changed):
    with make(photographs) as iterator:
        state = iterator.get_state()
    (name,) = changed
    message = rf"was made with {name}=.*this run has {name}="
    with (
        make(photographs, **changed) as other,
        pytest.raises(RequestError, match=message),
    ):
        other.set_state([state])


def test_the_state_of_an_iterator_of_classes_is_refused(photographs):
    options = {"framing": FRAMING, "batch_size": 4, "seed": 3, "flip": False}
    with pipeline.train_iterator(photographs, **options) as iterator:
        state = iterator.get_state()
    with (
        make(photographs) as other,
        pytest.raises(RequestError, match=r"was made with paired=None"),
    ):
        other.set_state([state])


@pytest.mark.parametrize("paired", [False, True])
def test_failures_are_skipped_and_remembered(broken, paired):
    with make(broken, paired=paired) as iterator:
        batches = take(iterator, 8)
        assert iterator.failures.keys() == {2, 5}
        assert "known format" in iterator.failures[2]
    assert set(join(batches, "index").tolist()) == {0, 1, 3, 4, 6}


def test_every_photograph_comes_twice_with_a_name_of_its_own(photographs):
    both = with_manipulated(photographs, portraits_of(), 0)
    assert both.names[:NUM] == list(photographs.names)
    assert len(set(both.names)) == both.num_examples == 2 * NUM
    np.testing.assert_array_equal(both.labels, [0] * NUM + [1] * NUM)
    assert (both.classes, both.is_fake) == (CLASSES, (False, True))


def test_the_records_have_the_names_and_labels_of_the_dataset(photographs):
    both = with_manipulated(photographs, portraits_of(), 0)
    records = [both.source[place] for place in range(len(both.source))]
    assert [record.name for record in records] == list(both.names)
    np.testing.assert_array_equal([record.label for record in records], both.labels)


def test_the_first_half_are_the_files_as_they_are(photographs):
    both = with_manipulated(photographs, portraits_of(), 0)
    for index in range(NUM):
        assert both.source[index].encoded == photographs.source[index].encoded


def test_the_kinds_of_manipulations_take_turns(photographs, originals):
    both = with_manipulated(photographs, portraits_of(), 5)
    for index, original in enumerate(originals):
        kind = manipulations.KINDS[index % 4]
        assert both.names[NUM + index] == f"{photographs.names[index]} {kind}"
        found = decode(both.source[NUM + index].encoded)
        expected = manipulated(original, face(), kind, [5, index])
        np.testing.assert_array_equal(found, expected)
        assert (found != original).any()


def test_manipulated_files_are_the_same_each_time_and_in_every_process(photographs):
    source = with_manipulated(photographs, portraits_of(), 0).source
    copy = pickle.loads(pickle.dumps(source))
    first, second, third = (
        [each[place] for place in range(2 * NUM)] for each in (source, source, copy)
    )
    assert first == second == third


def test_the_seed_decides_the_manipulations(photographs):
    warp = NUM + manipulations.KINDS.index("warp")
    first, second = (
        with_manipulated(photographs, portraits_of(), seed).source[warp].encoded
        for seed in (0, 1)
    )
    assert first != second


def test_the_repr_of_the_source_names_no_address(photographs):
    source = with_manipulated(photographs, portraits_of(), 5).source
    assert repr(pickle.loads(pickle.dumps(source))) == repr(source)
    assert " at 0x" not in repr(source)
    assert "seed=5" in repr(source)


def test_what_cannot_be_decoded_cannot_be_manipulated(broken):
    both = with_manipulated(broken, portraits_of(7), 0)
    batches = list(pipeline.eval_batches(both, framing=FRAMING, batch_size=7))
    np.testing.assert_array_equal(np.flatnonzero(~join(batches, "mask")), [2, 5, 9, 12])


def test_a_record_that_cannot_be_manipulated_says_why(broken):
    source = with_manipulated(broken, portraits_of(7), 0).source
    with pytest.raises(ImageError, match="known format"):
        source[9]

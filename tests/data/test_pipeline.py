# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags

from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.pipeline import eval_batches, reason, train_iterator
from fakedet_jax.errors import RequestError
from fakedet_jax.media.decode import decode, read_picture, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb import apply, codecs, operations
from fakedet_jax.perturb.perturbation import Mix, Perturbation
from fakedet_jax.perturb.treatment import Treatment
from tests.data.pictures import write_folder

SIZE = 16


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("sound"), {"real": 7, "fake": 6})
    return load_folder(root, "all")


@pytest.fixture(scope="module")
def broken_dataset(tmp_path_factory):
    """Ten pictures; 2 is no picture and 6 a dangling link."""
    root = write_folder(tmp_path_factory.mktemp("broken"), {"fake": 5, "real": 4})
    (root / "fake/002.png").write_bytes(b"no picture")
    (root / "real/000_.png").symlink_to("nowhere")
    dataset = load_folder(root, "all")
    names = [Path(name).name for name in dataset.names]
    assert (names[2], names[6]) == ("002.png", "000_.png")
    return dataset


@pytest.fixture
def parsed_flags():
    flags.FLAGS.mark_as_parsed()


def make(dataset, **changed):
    options = {
        "framing": Framing.square(SIZE),
        "batch_size": 4,
        "seed": 3,
        "flip": True,
        "num_threads": 2,
        **changed,
    }
    return train_iterator(dataset, **options)


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


def test_types_and_shapes(dataset):
    (batch,) = first_batches(dataset, 1)
    found = {name: (array.dtype, array.shape) for name, array in batch.items()}
    assert found == {
        "image": (np.uint8, (4, SIZE, SIZE, 3)),
        "label": (np.int32, (4,)),
        "mask": (bool, (4,)),
        "index": (np.int32, (4,)),
    }


def test_labels_and_pictures_belong_to_the_index(dataset):
    for batch in first_batches(dataset, 4, flip=False):
        assert batch["mask"].all()
        for row, index in enumerate(batch["index"]):
            expected = read_picture(dataset.names[index], Framing.square(SIZE))
            np.testing.assert_array_equal(batch["image"][row], expected)
            assert batch["label"][row] == dataset.labels[index]


def test_every_epoch_holds_every_example_in_another_order(dataset):
    indices = join(first_batches(dataset, 10), "index")
    epochs = [indices[:13], indices[13:26], indices[26:39]]
    for epoch in epochs:
        assert sorted(epoch) == list(range(13))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_same_seed_gives_same_batches(dataset):
    assert_same(first_batches(dataset, 5), first_batches(dataset, 5))


def test_other_seed_gives_another_order(dataset):
    first, second = (first_batches(dataset, 3, seed=seed) for seed in (0, 1))
    assert (join(first, "index") != join(second, "index")).any()


def test_number_of_threads_does_not_matter(dataset):
    first, second = (first_batches(dataset, 5, num_threads=n) for n in (1, 5))
    assert_same(first, second)


def test_half_of_the_pictures_are_mirrored_without_other_change(dataset):
    plain = first_batches(dataset, 60, flip=False)
    flipped = first_batches(dataset, 60)
    np.testing.assert_array_equal(join(plain, "index"), join(flipped, "index"))
    is_flipped = []
    for one, other in zip(join(plain, "image"), join(flipped, "image"), strict=True):
        is_flipped.append((one != other).any())
        np.testing.assert_array_equal(other, one[:, ::-1] if is_flipped[-1] else one)
    # Four standard deviations of a fair coin tossed 240 times.
    assert abs(np.mean(is_flipped) - 0.5) < 0.13


@pytest.mark.parametrize("process_count", [2, 4])
def test_processes_share_the_global_batch(dataset, process_count):
    whole = first_batches(dataset, 9, batch_size=4)
    parts = [
        first_batches(
            dataset,
            9,
            batch_size=4 // process_count,
            process_index=process,
            process_count=process_count,
        )
        for process in range(process_count)
    ]
    for step in range(9):
        by_index = {
            int(index): image
            for part in parts
            for index, image in zip(
                part[step]["index"], part[step]["image"], strict=True
            )
        }
        assert by_index.keys() == set(whole[step]["index"].tolist())
        for index, image in zip(
            whole[step]["index"], whole[step]["image"], strict=True
        ):
            np.testing.assert_array_equal(by_index[int(index)], image)


def test_restored_iterator_goes_on_exactly(dataset):
    with make(dataset) as iterator:
        take(iterator, 5)
        state = json.loads(json.dumps(iterator.get_state()))
        expected = take(iterator, 5)
    with make(dataset) as iterator:
        iterator.set_state([state])
        assert_same(take(iterator, 5), expected)


def test_used_iterator_can_go_back(dataset):
    with make(dataset) as iterator:
        state = iterator.get_state()
        expected = take(iterator, 3)
        iterator.set_state([state])
        assert_same(take(iterator, 3), expected)


def test_restoring_skips_failures_alike(broken_dataset):
    with make(broken_dataset) as iterator:
        take(iterator, 5)
        state = iterator.get_state()
        expected = take(iterator, 5)
    with make(broken_dataset) as iterator:
        iterator.set_state([state])
        assert_same(take(iterator, 5), expected)


def test_worker_processes_give_the_same_batches_and_resume(
    broken_dataset, parsed_flags
):
    expected = first_batches(broken_dataset, 6)
    with make(broken_dataset, num_workers=2) as iterator:
        found = take(iterator, 3)
        state = json.loads(json.dumps(iterator.get_state()))
        found += take(iterator, 3)
        assert set(iterator.failures) == {2, 6}
    assert_same(found, expected)
    with make(broken_dataset, num_workers=2) as iterator:
        iterator.set_state([state])
        assert_same(take(iterator, 3), expected[3:])


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("global_batch_size", {"batch_size": 2}),
        ("global_batch_size", {"process_count": 2}),
        ("seed", {"seed": 4}),
        ("flip", {"flip": False}),
        ("framing", {"framing": Framing.square(32)}),
    ],
)
def test_state_of_other_settings_is_refused(dataset, name, changed):
    with make(dataset) as iterator:
        state = iterator.get_state()
    with (
        make(dataset, **changed) as other,
        pytest.raises(
            RequestError, match=rf"was made with {name}=.*this run has {name}="
        ),
    ):
        other.set_state([state])


def _of_processes(dataset, count):
    """The iterators of processes that share batches of four."""
    return [
        make(dataset, batch_size=4 // count, process_count=count, process_index=index)
        for index in range(count)
    ]


def _indices(iterators, num_batches):
    """The examples of global batches, in order."""
    taken = [take(iterator, num_batches) for iterator in iterators]
    return [
        sorted(index for batch in batches for index in batch["index"].tolist())
        for batches in zip(*taken, strict=True)
    ]


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 1), (2, 4)])
def test_other_processes_go_on_with_the_same_pictures(dataset, before, after):
    (whole,) = _of_processes(dataset, 1)
    expected = _indices([whole], 11)
    iterators = _of_processes(dataset, before)
    found = _indices(iterators, 3)
    states = json.loads(json.dumps([one.get_state() for one in iterators]))
    later = _of_processes(dataset, after)
    assert [one.set_state(states) for one in later] == [False] * after
    found += _indices(later, 4)
    # And a run that has changed goes on exactly where nothing changes again.
    states = json.loads(json.dumps([one.get_state() for one in later]))
    last = _of_processes(dataset, after)
    assert [one.set_state(states) for one in last] == [True] * after
    found += _indices(last, 4)
    assert found == expected
    for iterator in (whole, *iterators, *later, *last):
        iterator.close()


def test_another_number_of_workers_goes_on(dataset, parsed_flags):
    expected = first_batches(dataset, 6)
    with make(dataset) as iterator:
        found = take(iterator, 2)
        state = json.loads(json.dumps(iterator.get_state()))
    with make(dataset, num_workers=1) as iterator:
        assert not iterator.set_state([state])
        found += take(iterator, 4)
    assert_same(found, expected)


def test_positions_of_earlier_versions_go_on_unchanged(dataset):
    with make(dataset) as iterator:
        take(iterator, 3)
        state = iterator.get_state()
        expected = take(iterator, 2)
    for name in ("global_batch_size", "start", "num_read"):
        del state[name]
    with make(dataset) as iterator:
        assert iterator.set_state([state])
        assert_same(take(iterator, 2), expected)
    with (
        make(dataset, num_workers=1) as iterator,
        pytest.raises(RequestError, match="num_workers=0, this run has num_workers=1"),
    ):
        iterator.set_state([state])


def test_state_of_other_data_is_refused(dataset, broken_dataset):
    with make(dataset) as iterator:
        state = iterator.get_state()
    with (
        make(dataset.subset(range(12, -1, -1))) as other,
        pytest.raises(RequestError, match=r"dataset_digest"),
    ):
        other.set_state([state])


def test_failures_are_skipped_and_remembered(broken_dataset):
    with make(broken_dataset) as iterator:
        batches = take(iterator, 6)
        assert iterator.failures.keys() == {2, 6}
        assert "does not exist" in iterator.failures[6]
        assert "known format" in iterator.failures[2]
    assert join(batches, "mask").all()
    assert not {2, 6} & set(join(batches, "index").tolist())


def test_nothing_but_failures_ends_with_an_error(broken_dataset):
    with (
        make(broken_dataset.subset([2, 6])) as iterator,
        pytest.raises(RequestError, match=r"2 pictures in a row cannot be decoded"),
    ):
        next(iterator)


def test_empty_dataset_is_refused(dataset):
    with pytest.raises(RequestError, match=r"no examples"):
        make(dataset.subset([]))


def test_closed_iterator_says_so(dataset):
    iterator = make(dataset)
    iterator.close()
    iterator.close()
    with pytest.raises(ValueError, match=r"closed"):
        next(iterator)


def evaluate(dataset, **changed):
    options = {
        "framing": Framing.square(SIZE),
        "batch_size": 4,
        "num_threads": 2,
        **changed,
    }
    return list(eval_batches(dataset, **options))


def test_evaluation_gives_every_example_once_in_order(dataset):
    batches = evaluate(dataset)
    np.testing.assert_array_equal(join(batches, "index"), [*range(13), -1, -1, -1])
    np.testing.assert_array_equal(join(batches, "mask"), [True] * 13 + [False] * 3)


def test_evaluation_gives_pictures_and_labels(dataset):
    batches = evaluate(dataset)
    np.testing.assert_array_equal(join(batches, "label")[:13], dataset.labels)
    for image, name in zip(join(batches, "image"), dataset.names, strict=False):
        np.testing.assert_array_equal(image, read_picture(name, Framing.square(SIZE)))


def test_padding_is_black(dataset):
    assert not evaluate(dataset)[-1]["image"][1:].any()


def test_full_last_batch_has_no_padding(dataset):
    assert join(evaluate(dataset.subset(range(8))), "mask").tolist() == [True] * 8


@pytest.mark.parametrize("process_count", [2, 3])
def test_processes_give_equally_many_batches_in_global_order(dataset, process_count):
    parts = [
        evaluate(
            dataset,
            batch_size=2,
            process_index=process,
            process_count=process_count,
        )
        for process in range(process_count)
    ]
    num_batches = -(-13 // (2 * process_count))
    assert {len(part) for part in parts} == {num_batches}
    order = np.concatenate(
        [part[step]["index"] for step in range(num_batches) for part in parts]
    )
    np.testing.assert_array_equal(order[:13], range(13))
    assert (order[13:] == -1).all()


def test_unreadable_pictures_keep_their_row(broken_dataset):
    batches = evaluate(broken_dataset)
    masked = ~join(batches, "mask") & (join(batches, "index") >= 0)
    np.testing.assert_array_equal(join(batches, "index")[masked], [2, 6])
    np.testing.assert_array_equal(
        join(batches, "label")[masked], broken_dataset.labels[[2, 6]]
    )


def test_reasons_can_be_asked_for(broken_dataset):
    assert reason(broken_dataset, 6) == "is a link to a file that does not exist"
    assert reason(broken_dataset, 0) == ""


def test_evaluation_of_nothing_gives_nothing(dataset):
    assert evaluate(dataset.subset([])) == []


def test_evaluation_with_worker_processes_is_the_same(broken_dataset, parsed_flags):
    assert_same(evaluate(broken_dataset, num_workers=2), evaluate(broken_dataset))


def test_the_source_of_a_pipeline_has_a_stable_repr(dataset):
    assert " at 0x" not in repr(dataset.source)


JPEG = Perturbation("jpeg", 20)
MEDIAN = Perturbation("median_filter", 3)
NOISE = Perturbation("gaussian_noise", 0.01)


def _pictures(dataset):
    return [decode(dataset.source[row].encoded) for row in range(dataset.num_examples)]


def _on_host(picture, part):
    if part is None:
        return picture
    if part is JPEG:
        return codecs.jpeg(picture, 20)
    (done,) = apply.apply(part, [picture], key=jax.random.key(0))
    return done


def test_every_picture_is_treated_before_it_is_brought_to_size(dataset):
    parts = (None, JPEG, MEDIAN)
    part_of = np.arange(dataset.num_examples) % 3
    batches = evaluate(dataset, treatment=Treatment(parts, 0, part_of))
    images = join(batches, "image")
    assert join(batches, "index")[:13].tolist() == list(range(13))
    for row, picture in enumerate(_pictures(dataset)):
        expected = to_input(_on_host(picture, parts[row % 3]), Framing.square(SIZE))
        np.testing.assert_array_equal(images[row], expected)


def test_a_treatment_leaves_order_and_flips_as_they_are(dataset):
    plain = first_batches(dataset, 7)
    treated = first_batches(dataset, 7, treatment=Treatment((None,), 0))
    assert_same(plain, treated)


@pytest.mark.few(2)
@pytest.mark.parametrize("changed", [{}, {"num_threads": 7}, {"num_workers": 2}])
def test_treated_batches_are_drawn_anew_and_can_be_repeated(
    dataset, parsed_flags, changed
):
    treatment = Treatment((JPEG, NOISE, Mix((JPEG, MEDIAN))), 1)
    first = first_batches(dataset, 7, treatment=treatment)
    assert_same(first, first_batches(dataset, 7, treatment=treatment, **changed))
    # The same pictures as the second epoch sees them.
    index, images = join(first, "index"), join(first, "image")
    places = [np.flatnonzero(index == row)[:2] for row in range(13)]
    again = [np.array_equal(images[one], images[two]) for one, two in places]
    assert not all(again)


def test_processes_share_a_treated_batch(dataset):
    treatment = Treatment((JPEG, NOISE), 1)
    whole = first_batches(dataset, 3, treatment=treatment, batch_size=4)
    shares = [
        first_batches(
            dataset,
            3,
            treatment=treatment,
            batch_size=2,
            process_index=index,
            process_count=2,
        )
        for index in range(2)
    ]
    for batch, one, other in zip(whole, *shares, strict=True):
        joined = np.empty_like(batch["image"])
        joined[0::2], joined[1::2] = one["image"], other["image"]
        np.testing.assert_array_equal(batch["image"], joined)


def test_a_treated_iterator_goes_on_exactly(dataset):
    treatment = Treatment((JPEG, NOISE), 1)
    with make(dataset, treatment=treatment) as iterator:
        take(iterator, 3)
        state = iterator.get_state()
        following = take(iterator, 4)
    with make(dataset, treatment=treatment) as iterator:
        iterator.set_state([state])
        assert_same(take(iterator, 4), following)
    other = Treatment((JPEG, NOISE), 2)
    with (
        make(dataset, treatment=other) as iterator,
        pytest.raises(RequestError, match="was made with treatment=Treatment"),
    ):
        iterator.set_state([state])


def test_a_picture_that_cannot_be_treated_has_a_reason(dataset, monkeypatch):
    treatment = Treatment((MEDIAN,), 0, np.zeros(dataset.num_examples, np.int32))
    monkeypatch.setattr(operations, "MAX_SIDE", SIZE)
    assert "perturbations need sides" in reason(dataset, 0, treatment)
    assert not join(evaluate(dataset, treatment=treatment), "mask").any()

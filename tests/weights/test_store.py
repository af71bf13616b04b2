# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converted folders: complete, identified, and the same as the file they came from."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import checkpoint, storage
from fakedet_jax.weights import folder, formats, mapping, store
from tests.weights import networks, writers

BACKBONE = networks.BACKBONE


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "published.pth"
    arrays = networks.torch_arrays(networks.random_arrays())
    path.write_bytes(writers.torch_zip(arrays))
    return path


@pytest.fixture
def converted(path, tmp_path):
    output = tmp_path / "converted"
    variables, card, _ = store.convert(BACKBONE, formats.read(path))
    store.save(output, variables, card)
    return output


def test_a_file_and_its_converted_form_are_the_same(path, converted):
    (direct, direct_card), (ours, card) = (
        store.load(BACKBONE, place) for place in (path, converted)
    )
    jax.tree.map(np.testing.assert_array_equal, direct, ours)
    assert card["digest"] == direct_card["digest"] == folder.digest(ours)
    assert card == json.loads(json.dumps(direct_card))


def test_the_card_says_where_the_weights_come_from(path, converted):
    card = json.loads((converted / "card.json").read_text())
    assert card["model"] == "tiny"
    assert card["source"] == "published.pth"
    assert card["format"] == "PyTorch zip archive"
    assert card["layout"] == "torch"
    assert card["num_tensors"] == 12
    assert card["bytes"] == path.stat().st_size
    assert card["preprocessing"]["framing"]["height"] == 4
    assert card["arrays"]["params/conv/kernel"] == "3x2x3x5"
    assert str(path.parent) not in json.dumps(card)


def test_the_variables_work(converted):
    variables, _ = store.load(BACKBONE, converted)
    module = BACKBONE.build(np.float32, "layer")
    embedding, _ = module.apply(variables, np.ones((2, 4, 3, 3), np.float32))
    assert embedding.shape == (2, 2)


def test_initial_values_are_the_same_each_time(path):
    arrays = networks.torch_arrays(networks.random_arrays())
    del arrays["head.weight"]
    path.write_bytes(writers.torch_zip(arrays))
    cards = []
    for _ in range(2):
        variables, card, _ = store.convert(
            BACKBONE, formats.read(path), ignore=["head.*"]
        )
        assert variables["params"]["head"]["kernel"].any()
        cards.append(card)
    assert cards[0] == cards[1]
    assert cards[0]["initialised"] == ["params/head/kernel"]


def test_converting_again_changes_nothing(converted, path):
    before = (converted / "card.json").stat().st_mtime_ns
    variables, card, _ = store.convert(BACKBONE, formats.read(path))
    assert store.save(converted, variables, card)["digest"] == card["digest"]
    assert (converted / "card.json").stat().st_mtime_ns == before


def test_other_weights_do_not_replace_these(converted, path):
    arrays = networks.torch_arrays(networks.random_arrays(seed=1))
    path.write_bytes(writers.torch_zip(arrays))
    variables, card, _ = store.convert(BACKBONE, formats.read(path))
    with pytest.raises(RequestError, match=r"`output`: .* holds other weights"):
        store.save(converted, variables, card)


def test_a_converted_folder_is_converted_once_more(converted, tmp_path):
    variables, card, _ = store.convert(BACKBONE, formats.read(converted))
    store.save(tmp_path / "again", variables, card)
    _, first = store.load(BACKBONE, converted)
    _, again = store.load(BACKBONE, tmp_path / "again")
    assert first["digest"] == again["digest"]
    assert first["sha256"] == again["sha256"]


def test_weights_of_another_network(converted):
    other = dataclasses.replace(BACKBONE, name="other")
    with pytest.raises(RequestError, match="holds 'tiny', expected 'other'"):
        store.load(other, converted)


def test_changed_numbers_are_noticed(converted):
    variables, _ = store.load(BACKBONE, converted)
    variables["params"]["head"]["kernel"][0, 0] += 1e-3
    with checkpoint.Store(converted / "variables", max_to_keep=None) as changed:
        changed.save(0, variables, {})
    with pytest.raises(RequestError, match="is damaged: its numbers"):
        store.load(BACKBONE, converted)


def test_damaged_variables(converted):
    for file in (converted / "variables").rglob("*"):
        if file.is_file() and file.stat().st_size > 200:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(RequestError, match=r"is damaged|lacks its variables"):
        store.load(BACKBONE, converted)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": 3},
        {"arrays": []},
        {"arrays": {"params/a": "3x-1"}},
        {"arrays": {"params/a": "999999999999x3"}},
        {"arrays": {"params/a": 3}},
        {"arrays": {"params": "3", "params/a": "3"}},
        {"arrays": {}},
        {"model": None},
    ],
)
def test_damaged_cards(converted, change):
    card = json.loads((converted / "card.json").read_text())
    storage.write_json(converted / "card.json", {**card, **change})
    with pytest.raises(RequestError, match="`weights`: "):
        store.load(BACKBONE, converted)


def test_text_that_is_no_card(converted):
    (converted / "card.json").write_text("{")
    with pytest.raises(RequestError, match=r"card\.json': expected JSON"):
        store.load(BACKBONE, converted)


def test_a_folder_without_its_card_is_incomplete(converted):
    (converted / "card.json").unlink()
    with pytest.raises(RequestError, match=r"card\.json' is missing; name a file, or"):
        store.load(BACKBONE, converted)


def test_a_failure_leaves_nothing(path, tmp_path, monkeypatch):
    def fail(*unused):
        raise OSError("the disk is full")

    monkeypatch.setattr(storage, "write_json", fail)
    variables, card, _ = store.convert(BACKBONE, formats.read(path))
    with pytest.raises(OSError, match="full"):
        store.save(tmp_path / "converted", variables, card)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["folder", "file", "link"])
def test_what_is_in_the_way_stays(content, path, tmp_path):
    output = tmp_path / "converted"
    if content == "folder":
        output.mkdir()
        (output / "notes").write_text("mine")
    elif content == "file":
        output.write_text("mine")
    else:
        output.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="`output`"):
        store.check_output(output)


def test_an_empty_folder_is_filled(path, tmp_path):
    (tmp_path / "converted").mkdir()
    variables, card, _ = store.convert(BACKBONE, formats.read(path))
    store.save(tmp_path / "converted", variables, card)
    assert (tmp_path / "converted" / "card.json").exists()


def test_the_digest_sees_names_shapes_and_numbers():
    array = np.arange(6, dtype=np.float32)
    digests = {
        folder.digest(mapping.nest(tree))
        for tree in (
            {"a/b": array},
            {"a/c": array},
            {"a/b": array.reshape(2, 3)},
            {"a/b": array[::-1]},
        )
    }
    assert len(digests) == 4
    assert folder.digest({"a": {"b": array.astype(">f4")}}) in digests

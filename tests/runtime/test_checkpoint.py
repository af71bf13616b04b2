# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.checkpoint."""

import errno
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import checkpoint, parallel

_TREE = {
    "a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "n": np.int32(7),
}


def _abstract(tree):
    sharding = parallel.replicated(parallel.data_mesh())
    return checkpoint.abstract_like(jax.tree.map(jnp.asarray, tree), sharding)


def _save(folder, *steps, tree=None):
    with checkpoint.Store(folder) as store:
        for step in steps:
            store.save(step, jax.tree.map(jnp.asarray, tree or _TREE), {"step": step})
    return folder


def test_what_is_saved_comes_back(tmp_path):
    _save(tmp_path, 5)
    with checkpoint.Store(tmp_path, read_only=True) as store:
        assert store.steps() == [5]
        assert store.read_facts(5) == {"step": 5}
        found = store.read_tree(5, _abstract(_TREE))
    jax.tree.map(np.testing.assert_array_equal, found, _TREE)


def test_arrays_come_back_on_all_devices(tmp_path):
    _save(tmp_path, 5)
    with checkpoint.Store(tmp_path, read_only=True) as store:
        found = store.read_tree(5, _abstract(_TREE))
    assert len(found["n"].sharding.device_set) == len(jax.devices())


def test_donated_arrays_do_not_change_what_is_being_written(tmp_path):
    sharding = parallel.replicated(parallel.data_mesh())
    tree = {"a": jax.device_put(jnp.zeros(2**18), sharding)}
    add_one = jax.jit(
        lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0
    )
    with checkpoint.Store(tmp_path) as store:
        store.save(1, tree, {})
        for _ in range(20):
            tree = add_one(tree)
        store.wait()
        found = store.read_tree(1, checkpoint.abstract_like(tree, sharding))
    assert not np.asarray(found["a"]).any()


def test_the_newest_two_are_kept(tmp_path):
    _save(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]


def test_a_step_saved_again_replaces_the_first(tmp_path):
    _save(tmp_path, 1)
    _save(tmp_path, 1, tree={**_TREE, "n": np.int32(8)})
    with checkpoint.Store(tmp_path, read_only=True) as store:
        assert int(store.read_tree(1, _abstract(_TREE))["n"]) == 8


def test_steps_after_one_are_deleted(tmp_path):
    _save(tmp_path, 1, 2)
    with checkpoint.Store(tmp_path) as store:
        store.delete_after(1)
        assert store.steps() == [1]


def test_all_but_some_steps_are_deleted(tmp_path):
    with checkpoint.Store(tmp_path, max_to_keep=None) as store:
        for step in (1, 2, 3):
            store.save(step, _TREE, {})
        store.keep_only([1, 3, 4])
        assert store.steps() == [1, 3]


def test_a_reader_leaves_alone_what_is_being_written(tmp_path):
    _save(tmp_path, 1)
    unfinished = tmp_path / "2.orbax-checkpoint-tmp"
    unfinished.mkdir()
    with checkpoint.Store(tmp_path, read_only=True) as store:
        assert store.steps() == [1]
    assert unfinished.is_dir()


def test_a_writer_clears_what_a_killed_one_left(tmp_path):
    _save(tmp_path, 1)
    unfinished = tmp_path / "2.orbax-checkpoint-tmp"
    unfinished.mkdir()
    _save(tmp_path, 3)
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"a": {"kernel": np.zeros((2, 4), np.float32)}, "n": np.int32(0)}, "a/kernel"),
        ({"a": {}, "n": np.int32(0)}, "a/kernel"),
        ({**_TREE, "z": np.float32(0)}, "z"),
    ],
    ids=["shape", "missing", "added"],
)
def test_other_arrays_are_named(tmp_path, other, name):
    _save(tmp_path, 1)
    with (
        checkpoint.Store(tmp_path, read_only=True) as store,
        pytest.raises(RequestError, match=f"another network: .* such as {name};"),
    ):
        store.read_tree(1, _abstract(other))


@pytest.mark.slow
def test_whatever_file_is_lost_the_damage_is_named(tmp_path):
    paths = [path for path in _save(tmp_path, 1).rglob("*") if path.is_file()]
    assert len(paths) > 5
    for number, path in enumerate(paths):
        content = path.read_bytes()
        path.unlink()
        if number % 2:  # Nothing at all may be left of a file, or its start.
            path.write_bytes(content[:9])
        with checkpoint.Store(tmp_path, read_only=True) as store:
            try:
                assert store.read_facts(1) == {"step": 1}
                found = store.read_tree(1, _abstract(_TREE))
                jax.tree.map(np.testing.assert_array_equal, found, _TREE)
            except RequestError as error:
                assert str(tmp_path / "1") in str(error)
                assert "\n" not in str(error)
        path.write_bytes(content)


def test_a_full_disk_is_an_os_error_of_one_line(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        checkpoint.Store(tmp_path) as store,
        mock.patch.object(store._manager, "save", side_effect=full),
        pytest.raises(OSError, match=r"No space left on device.*; free some space"),
    ):
        store.save(1, _TREE, {})

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.parallel in one process with eight devices."""

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import parallel

BATCH = {
    "image": np.random.default_rng(0).integers(0, 256, (16, 4, 4, 3), dtype=np.uint8),
    "mask": np.arange(16) % 3 > 0,
}


def test_mesh_has_all_devices_on_one_axis():
    mesh = parallel.data_mesh()
    assert (mesh.axis_names, mesh.size) == (("data",), 8)


def test_mesh_of_some_devices():
    devices = jax.devices()[2:5]
    assert list(parallel.data_mesh(devices).devices) == devices


@pytest.mark.parametrize("name", BATCH)
def test_batch_comes_back_as_it_went(name):
    batch = parallel.put_batch(parallel.data_mesh(), BATCH)
    found = parallel.to_host(batch[name])
    assert found.dtype == BATCH[name].dtype
    np.testing.assert_array_equal(found, BATCH[name])


def test_each_device_holds_its_part_of_a_batch():
    image = parallel.put_batch(parallel.data_mesh(), BATCH)["image"]
    for number, shard in enumerate(image.addressable_shards):
        np.testing.assert_array_equal(
            shard.data, BATCH["image"][2 * number : 2 * number + 2]
        )


def test_each_device_holds_the_whole_of_a_replicated_tree():
    tree = parallel.replicate(parallel.data_mesh(), BATCH)
    for shard in tree["image"].addressable_shards:
        np.testing.assert_array_equal(shard.data, BATCH["image"])


def test_local_batch_of_one_process_is_the_whole():
    assert parallel.local_batch_size(64, parallel.data_mesh()) == 64


@pytest.mark.parametrize("batch_size", [0, -8, 12])
def test_batch_that_devices_cannot_share_is_refused(batch_size):
    message = rf"`batch_size`: .*multiple of the 8 devices, found {batch_size}"
    with pytest.raises(RequestError, match=message):
        parallel.local_batch_size(batch_size, parallel.data_mesh())


@pytest.mark.parametrize(("batch_size", "rounded"), [(1, 8), (8, 8), (9, 16), (64, 64)])
def test_batch_size_is_rounded_up_to_the_devices(batch_size, rounded):
    assert parallel.round_up_batch_size(batch_size, parallel.data_mesh()) == rounded


def test_batch_of_nothing_is_not_rounded_up():
    with pytest.raises(RequestError, match="`batch_size`: expected a positive"):
        parallel.round_up_batch_size(0, parallel.data_mesh())


def test_one_process_gathers_its_own_value():
    value = {"path": "größe.png", "counts": [1, 2]}
    assert parallel.gather_json(value) == [value]


def test_one_process_agrees_with_itself():
    assert parallel.agree_on_maximum(-3) == -3


def test_one_process_waits_for_nobody():
    parallel.wait_for_all("here")


def test_incomplete_addresses_are_refused():
    with pytest.raises(RequestError, match=r"`coordinator_address`.*belong together"):
        parallel.initialize("localhost:1234", num_processes=2)

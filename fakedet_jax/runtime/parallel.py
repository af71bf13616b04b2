# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data parallelism: one mesh with one axis, `data`, over all devices of all hosts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fakedet_jax.errors import RequestError


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins a run of several processes; call it before any other use of JAX.

    Without arguments, the environment of the cluster says what to join (Slurm, MPI, TPU
    pods and others that `jax.distributed` knows).

    Args:
        coordinator_address: `HOST:PORT` of process 0.
        num_processes: Number of processes.
        process_id: Number of this process, from 0.

    Raises:
        RequestError: The processes did not find each other, or only some of the
            arguments are given.
    """
    given = (coordinator_address, num_processes, process_id)
    if any(value is None for value in given) and given != (None, None, None):
        raise RequestError(
            "`coordinator_address`, `num_processes` and `process_id` belong together; "
            "give all three, or `distributed` alone on a cluster that sets them"
        )
    if coordinator_address is not None:
        _check_cluster(coordinator_address, num_processes or 0, process_id or 0)
    try:
        jax.distributed.initialize(coordinator_address, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"`distributed`: the processes did not find each other ({reason}); check "
            "`coordinator_address`, `num_processes` and `process_id`"
        ) from error


def _check_cluster(
    coordinator_address: str, num_processes: int, process_id: int
) -> None:
    host, _, port = coordinator_address.rpartition(":")
    if not host or not port.isdecimal():
        raise RequestError(
            "`coordinator_address`: expected HOST:PORT of process 0, found "
            f"{coordinator_address!r}"
        )
    if not 0 <= process_id < num_processes:
        raise RequestError(
            f"`process_id`: expected a number from 0 to {num_processes - 1}, one less "
            f"than `num_processes`, found {process_id}"
        )


def require_one_process(
    mode: str, advice: str = "run it without `distributed`"
) -> None:
    """Refuses a run of several processes.

    Args:
        mode: The mode that needs all of its pictures in one process.
        advice: What to do instead.

    Raises:
        RequestError: There are several.
    """
    if jax.process_count() > 1:
        raise RequestError(
            f"`mode={mode}`: expected one process, found {jax.process_count()}; "
            f"{advice}"
        )


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of one axis, `data`.

    Args:
        devices: The devices; all devices of all processes by default.
    """
    devices = jax.devices() if devices is None else devices
    # Some Linen networks do not work with explicit axes, JAX's default.
    return jax.make_mesh(
        (len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Cuts the first axis of an array along the mesh, whose size must divide it."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Keeps the whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def local_batch_size(global_batch_size: int, mesh: Mesh) -> int:
    """Number of examples of a global batch that this process supplies.

    Args:
        global_batch_size: Examples over all processes.
        mesh: Mesh of all devices, or of those of this process.

    Raises:
        RequestError: The devices cannot share the batch evenly.
    """
    if global_batch_size < 1 or global_batch_size % mesh.size:
        raise RequestError(
            f"`batch_size`: expected a positive multiple of the {mesh.size} devices, "
            f"found {global_batch_size}"
        )
    num_processes = len({device.process_index for device in mesh.devices.flat})
    return global_batch_size // num_processes


def round_up_batch_size(batch_size: int, mesh: Mesh) -> int:
    """The least batch size from `batch_size` on that the devices can share evenly.

    Args:
        batch_size: Wanted number of examples over all processes.
        mesh: Mesh of all devices.

    Raises:
        RequestError: The batch size is not positive.
    """
    if batch_size < 1:
        raise RequestError(
            f"`batch_size`: expected a positive number, found {batch_size}"
        )
    return -(-batch_size // mesh.size) * mesh.size


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Puts this process's part of a batch on its devices.

    Args:
        mesh: Mesh of all devices.
        batch: Arrays `[local batch, …]` of any dtype, by name; the first axis is as
            long as `local_batch_size` says.

    Returns:
        Global arrays `[global batch, …]` by name, cut along the mesh.
    """
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def replicate(mesh: Mesh, tree: Any) -> Any:
    """Puts a tree of arrays on every device of a mesh.

    Args:
        mesh: Mesh of all devices.
        tree: Arrays of any shape and dtype, the same in every process.

    Returns:
        The tree with arrays that every device holds whole.
    """
    return jax.device_put(tree, replicated(mesh))


def to_host(array: jax.Array) -> np.ndarray:
    """Brings a whole sharded array to every process; all must call it.

    An array on the devices of this process alone needs no other process.

    Args:
        array: Array `[global batch, …]` of any dtype, cut along the mesh.

    Returns:
        The array with all rows, of the same dtype, on the host.
    """
    if array.is_fully_addressable:
        return np.asarray(jax.device_get(array))
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def agree_on_maximum(value: int) -> int:
    """The largest value, an int32, of any process; every process must call it."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def gather_json(value: Any) -> list[Any]:
    """Brings a value of every process to every process; all must call it.

    Args:
        value: Value of this process that JSON can hold.

    Returns:
        The values in the order of the processes.
    """
    if jax.process_count() == 1:
        return [value]
    from jax.experimental import multihost_utils

    encoded = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = agree_on_maximum(len(encoded))
    # JSON ignores trailing spaces.
    padded = np.full(length, ord(" "), np.uint8)
    padded[: len(encoded)] = encoded
    rows = np.asarray(multihost_utils.process_allgather(padded))
    return [json.loads(bytes(row)) for row in rows.reshape(-1, length)]


def wait_for_all(name: str) -> None:
    """Returns once every process has called it with the same name."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)

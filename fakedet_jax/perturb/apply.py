# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Applies perturbations to pictures of any sizes.

`apply` and `apply_each` perturb many pictures, in batches on the devices and in bounded
memory; `apply_one` perturbs one picture on the CPU. They give the same pixels, except
that noise, which is computed in floating point, may rarely differ by one grey level.
"""

import collections
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.errors import ImageError
from fakedet_jax.perturb import operations
from fakedet_jax.perturb.perturbation import (
    OPERATIONS,
    DeviceFn,
    Mix,
    Perturbation,
)
from fakedet_jax.runtime import parallel

# Sides are padded to multiples of this, larger ones to coarser multiples.
_SIDE_STEP = 64
# Pixels of a batch on one device; each needs about a hundred bytes.
_DEVICE_PIXELS = 2**20
# Bytes of pictures that wait for others of the same size, or for their turn.
_MAX_HELD_BYTES = 2**28


class Chosen(NamedTuple):
    """A picture and its perturbation.

    Attributes:
        picture: uint8 `[height, width, 3]`.
        perturbation: The perturbation.
        salt: From 0 to 2³² - 1; each salt gives a picture different noise.
    """

    picture: np.ndarray
    perturbation: Perturbation
    salt: int = 0


class _Group(NamedTuple):
    """Pictures that share a batch: an operation, and a padded height and width."""

    operation: str
    shape: tuple[int, int]


def apply(
    perturbation: Perturbation | Mix,
    pictures: Iterable[np.ndarray],
    *,
    key: jax.Array,
    mesh: Mesh | None = None,
    num_threads: int = 8,
) -> Iterator[np.ndarray]:
    """Perturbs pictures.

    The result for a picture depends only on its pixels, the perturbation and the key,
    not on other pictures, its name, its position or the number of devices.

    Args:
        perturbation: The perturbation, or a mix to draw from for each picture.
        pictures: uint8 `[height, width, 3]` each, with sides of at most
            `operations.MAX_SIDE`; consumed as needed.
        key: A typed key; the key of each picture also depends on its pixels.
        mesh: Devices of this process; by default all.
        num_threads: Threads for operations of the host.

    Returns:
        The perturbed pictures in the same order, uint8 `[height, width, 3]`, read-only.

    Raises:
        ImageError: A picture is too large.
    """

    def choose(picture: np.ndarray) -> Chosen:
        check_picture(picture)
        if isinstance(perturbation, Mix):
            return Chosen(picture, draw(perturbation, picture, key))
        return Chosen(picture, perturbation)

    chosen = map(choose, pictures)
    return apply_each(chosen, key=key, mesh=mesh, num_threads=num_threads)


def apply_each(
    chosen: Iterable[Chosen],
    *,
    key: jax.Array,
    mesh: Mesh | None = None,
    num_threads: int = 8,
) -> Iterator[np.ndarray]:
    """Perturbs pictures, each with its own perturbation.

    Args:
        chosen: The pictures, which pass `check_picture`, and their perturbations;
            consumed as needed.
        key: See `apply`.
        mesh: See `apply`.
        num_threads: See `apply`.

    Returns:
        The perturbed pictures in the same order; see `apply`.
    """
    mesh = parallel.data_mesh(jax.local_devices()) if mesh is None else mesh
    return _Work(key, mesh, num_threads).run(chosen)


def apply_one(chosen: Chosen, seed: int) -> np.ndarray:
    """Perturbs one picture on the CPU.

    For threads and worker processes that read pictures: no picture waits for others,
    and the devices that train are not disturbed. Safe to call in any thread.

    Args:
        chosen: The picture, which passes `check_picture`, and its perturbation.
        seed: Seed of the noise.

    Returns:
        The perturbed picture, uint8 `[height, width, 3]`, read-only.
    """
    kind, strength = chosen.perturbation.kind, chosen.perturbation.strength
    if kind.on_host is not None:
        return kind.on_host(chosen.picture, strength)
    assert kind.on_device is not None
    device, key = _cpu(seed)
    with jax.default_device(device):
        arrays = _stack([chosen], 1, _padded_shape(chosen.picture))
        perturbed, sizes = _compile(kind.on_device)(key, **arrays)
    height, width = np.asarray(sizes)[0]
    return np.asarray(perturbed)[0, :height, :width]


def draw(mix: Mix, picture: np.ndarray, key: jax.Array) -> Perturbation:
    """Draws the perturbation of a picture from a mix.

    Args:
        mix: The mix.
        picture: uint8 `[height, width, 3]`.
        key: The typed key of `apply`.

    Returns:
        The choice, which depends only on the pixels and the key.
    """
    bits = np.asarray(jax.random.key_data(key), "<u4").tobytes()
    return mix.draw(_digest(picture, num_bytes=16, secret=bits))


def check_picture(picture: np.ndarray) -> None:
    """Checks that a picture is small enough for all operations.

    Args:
        picture: uint8 `[height, width, 3]`.

    Raises:
        ImageError: A side is longer than `operations.MAX_SIDE`.
    """
    height, width = picture.shape[:2]
    if max(height, width) > operations.MAX_SIDE:
        raise ImageError(
            f"is {width}×{height} pixels; perturbations need sides of at most "
            f"{operations.MAX_SIDE}"
        )


class _Work:
    """Collects pictures of one operation and similar sizes in batches.

    What an operation of the host does to single pictures is done by threads meanwhile.
    """

    def __init__(self, key: jax.Array, mesh: Mesh, num_threads: int) -> None:
        self._key = parallel.replicate(mesh, key)
        self._mesh = mesh
        self._num_threads = num_threads
        self._waiting: dict[_Group, list[tuple[int, Chosen]]] = {}
        self._group_of: dict[int, _Group] = {}
        self._on_host: dict[int, Future[np.ndarray]] = {}
        self._done: dict[int, np.ndarray] = {}

    def run(self, chosen: Iterable[Chosen]) -> Iterator[np.ndarray]:
        held: collections.deque[int] = collections.deque()
        num_held_bytes = 0
        turn = 0
        with ThreadPoolExecutor(self._num_threads, "fakedet-perturb") as pool:
            for position, one in enumerate(chosen):
                self._start(position, one, pool)
                held.append(one.picture.nbytes)
                num_held_bytes += one.picture.nbytes
                while self._is_ready(turn) or num_held_bytes > _MAX_HELD_BYTES:
                    yield self._take(turn)
                    num_held_bytes -= held.popleft()
                    turn += 1
            for position in range(turn, turn + len(held)):
                yield self._take(position)

    def _start(self, position: int, one: Chosen, pool: ThreadPoolExecutor) -> None:
        """Gives a picture to a thread, or computes its batch if that is full."""
        kind, strength = one.perturbation.kind, one.perturbation.strength
        if kind.on_host is not None:
            future = pool.submit(kind.on_host, one.picture, strength)
            self._on_host[position] = future
            return
        group = _Group(kind.name, _padded_shape(one.picture))
        self._group_of[position] = group
        self._waiting.setdefault(group, []).append((position, one))
        if len(self._waiting[group]) == _full_size(group.shape, self._mesh):
            self._compute(group)

    def _is_ready(self, position: int) -> bool:
        """Whether a result is there, or enough is under way to wait for it."""
        if position in self._on_host:
            return len(self._on_host) >= 4 * self._num_threads
        return position in self._done

    def _take(self, position: int) -> np.ndarray:
        """The result at a position; computes its batch first if it still waits."""
        if position in self._on_host:
            return self._on_host.pop(position).result()
        if position not in self._done:
            self._compute(self._group_of[position])
        return self._done.pop(position)

    def _compute(self, group: _Group) -> None:
        rows = self._waiting.pop(group)
        num_rows = _round_up(len(rows), self._mesh.size)
        arrays = _stack([one for _, one in rows], num_rows, group.shape)
        placed = parallel.put_batch(self._mesh, arrays)
        function = OPERATIONS[group.operation].on_device
        assert function is not None
        compiled = _compile(function, self._mesh)
        perturbed, new_sizes = jax.device_get(compiled(self._key, **placed))
        for row, (position, _) in enumerate(rows):
            height, width = new_sizes[row]
            self._done[position] = perturbed[row, :height, :width]
            del self._group_of[position]


def _stack(
    chosen: Sequence[Chosen], num_rows: int, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Arrays of a batch of pictures of at most `shape`; further rows are padding."""
    images = np.zeros((num_rows, *shape, 3), np.uint8)
    sizes = np.ones((num_rows, 2), np.int32)
    digests = np.zeros(num_rows, np.uint32)
    strengths = np.full(num_rows, chosen[0].perturbation.strength, np.float32)
    for row, one in enumerate(chosen):
        height, width = sizes[row] = one.picture.shape[:2]
        images[row, :height, :width] = one.picture
        strengths[row] = one.perturbation.strength
        digests[row] = _digest(one.picture) ^ one.salt
    return {
        "images": images,
        "sizes": sizes,
        "strengths": strengths,
        "digests": digests,
    }


@functools.lru_cache(maxsize=16)
def _cpu(seed: int) -> tuple[jax.Device, jax.Array]:
    """A CPU device, and the key of a seed on it."""
    try:
        device = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS leaves the CPU out.
        device = jax.local_devices()[0]
    with jax.default_device(device):
        return device, jax.random.key(seed, impl="threefry2x32")


@functools.cache
def _compile(function: DeviceFn, mesh: Mesh | None = None) -> jax.stages.Wrapped:
    return jax.jit(
        functools.partial(_with_keys, function),
        out_shardings=None if mesh is None else parallel.batch_sharding(mesh),
    )


def _with_keys(
    function: DeviceFn,
    key: jax.Array,
    *,
    images: jax.Array,
    sizes: jax.Array,
    strengths: jax.Array,
    digests: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, digests)
    return function(images, sizes, strengths, keys)


def _digest(picture: np.ndarray, *, num_bytes: int = 4, secret: bytes = b"") -> int:
    """Identifies a picture, equally on every machine; depends on the secret."""
    digest = hashlib.blake2b(
        repr(picture.shape).encode(), digest_size=num_bytes, key=secret
    )
    digest.update(picture.tobytes())
    return int.from_bytes(digest.digest(), "little")


def _padded_shape(picture: np.ndarray) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return _padded(height), _padded(width)


def _padded(side: int) -> int:
    """The next multiple of 64, or of an eighth of the next power of two.

    >>> [_padded(side) for side in (1, 64, 65, 512, 513, 1025)]
    [64, 64, 128, 512, 640, 1280]
    """
    step = max(_SIDE_STEP, (1 << (side - 1).bit_length()) // 8)
    return -(-side // step) * step


def _full_size(shape: tuple[int, int], mesh: Mesh) -> int:
    """Rows of a full batch: a power of two per device."""
    num_fit = max(1, _DEVICE_PIXELS // (shape[0] * shape[1]))
    return mesh.size * (1 << (num_fit.bit_length() - 1))


def _round_up(num_pictures: int, num_devices: int) -> int:
    """Rows of a batch that is not full: powers of two, so that few are compiled.

    >>> [_round_up(number, 2) for number in (1, 2, 3, 5, 8)]
    [2, 2, 4, 8, 8]
    """
    for_each = -(-num_pictures // num_devices)
    return num_devices * (1 << (for_each - 1).bit_length())

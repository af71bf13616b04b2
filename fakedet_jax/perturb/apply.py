# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Applies a perturbation to any number of pictures of any sizes, in bounded memory."""

import collections
import concurrent.futures
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import parallel
from fakedet_jax.errors import ImageError
from fakedet_jax.perturb import operations
from fakedet_jax.perturb.perturbation import DeviceFn, Perturbation

# Sides are rounded up to multiples of this, larger ones more coarsely.
_SIDE_STEP = 64
# Pixels of a batch on one device; about a hundred bytes are needed for each.
_DEVICE_PIXELS = 2**20
# Bytes of pictures that wait for others of their size, or for their turn.
_MAX_HELD_BYTES = 2**28


def apply(
    perturbation: Perturbation,
    pictures: Iterable[np.ndarray],
    *,
    key: jax.Array,
    mesh: Mesh | None = None,
    num_threads: int = 8,
) -> Iterator[np.ndarray]:
    """Perturbs pictures.

    The result for a picture depends on its pixels, the perturbation and the key alone:
    not on its neighbours, its name, its place or the number of devices.

    Args:
        perturbation: What is done.
        pictures: uint8 `[height, width, 3]` each, taken as they are needed; sides of at
            most `operations.MAX_SIDE`.
        key: A typed key. Each picture's own is made of it and a digest of the pixels.
        mesh: Devices of this process; all of them by default.
        num_threads: Threads for what the host does.

    Yields:
        The perturbed pictures in the same order, uint8, not to be written to.

    Raises:
        ImageError: A picture is larger than that.
    """
    kind = perturbation.kind
    checked = map(_checked, pictures)
    if kind.on_host is not None:
        strengths = itertools.repeat(perturbation.strength)
        with concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-perturb"
        ) as pool:
            while window := list(itertools.islice(checked, 4 * num_threads)):
                yield from pool.map(kind.on_host, window, strengths)
    elif kind.on_device is not None:
        mesh = parallel.data_mesh(jax.local_devices()) if mesh is None else mesh
        batches = _Batches(kind.on_device, perturbation.strength, key, mesh)
        yield from batches.run(checked)


def check_picture(picture: np.ndarray) -> None:
    """Checks that a picture can be perturbed.

    Raises:
        ImageError: It is too large.
    """
    height, width = picture.shape[:2]
    if max(height, width) > operations.MAX_SIDE:
        raise ImageError(
            f"is {width}×{height} pixels; perturbations need sides of at most "
            f"{operations.MAX_SIDE}"
        )


def _checked(picture: np.ndarray) -> np.ndarray:
    check_picture(picture)
    return picture


class _Batches:
    """Gathers pictures of like sizes until a batch is full, and keeps their order."""

    def __init__(
        self, function: DeviceFn, strength: float, key: jax.Array, mesh: Mesh
    ) -> None:
        self._compiled = _compile(function, mesh)
        self._strength = strength
        self._key = parallel.replicate(mesh, key)
        self._mesh = mesh
        self._waiting: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = {}
        self._done: dict[int, np.ndarray] = {}

    def run(self, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        held: collections.deque[int] = collections.deque()
        num_held_bytes = 0
        turn = 0
        for position, picture in enumerate(pictures):
            shape = _padded_shape(picture)
            group = self._waiting.setdefault(shape, [])
            group.append((position, picture))
            held.append(picture.nbytes)
            num_held_bytes += picture.nbytes
            if len(group) == _full_size(shape, self._mesh):
                self._compute(shape)
            while turn in self._done or num_held_bytes > _MAX_HELD_BYTES:
                yield self._take(turn)
                num_held_bytes -= held.popleft()
                turn += 1
        while held:
            yield self._take(turn)
            held.popleft()
            turn += 1

    def _take(self, position: int) -> np.ndarray:
        """The picture whose turn it is, with others of its batch if it still waits."""
        if position not in self._done:
            self._compute(self._shape_of(position))
        return self._done.pop(position)

    def _shape_of(self, position: int) -> tuple[int, int]:
        """The group in which the picture at a position waits; it is the first there."""
        return next(
            shape for shape, group in self._waiting.items() if group[0][0] == position
        )

    def _compute(self, shape: tuple[int, int]) -> None:
        group = self._waiting.pop(shape)
        num_rows = _round_up(len(group), self._mesh.size)
        images = np.zeros((num_rows, *shape, 3), np.uint8)
        sizes = np.ones((num_rows, 2), np.int32)
        digests = np.zeros(num_rows, np.uint32)
        strengths = np.full(num_rows, self._strength, np.float32)
        for row, (_, picture) in enumerate(group):
            height, width = sizes[row] = picture.shape[:2]
            images[row, :height, :width] = picture
            digests[row] = _digest(picture)
        placed = parallel.put_batch(
            self._mesh,
            {
                "images": images,
                "sizes": sizes,
                "strengths": strengths,
                "digests": digests,
            },
        )
        perturbed, new_sizes = jax.device_get(self._compiled(self._key, **placed))
        for row, (position, _) in enumerate(group):
            height, width = new_sizes[row]
            self._done[position] = perturbed[row, :height, :width]


@functools.cache
def _compile(function: DeviceFn, mesh: Mesh) -> jax.stages.Wrapped:
    return jax.jit(
        functools.partial(_with_keys, function),
        out_shardings=parallel.batch_sharding(mesh),
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


def _digest(picture: np.ndarray) -> int:
    """32 bits that identify a picture, on every machine."""
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=4)
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
    """Rows of a full batch: a power of two for each device."""
    num_fit = max(1, _DEVICE_PIXELS // (shape[0] * shape[1]))
    return mesh.size * (1 << (num_fit.bit_length() - 1))


def _round_up(num_pictures: int, num_devices: int) -> int:
    """Rows for a batch that is not full: few sizes, so that few are compiled.

    >>> [_round_up(number, 2) for number in (1, 2, 3, 5, 8)]
    [2, 2, 4, 8, 8]
    """
    for_each = -(-num_pictures // num_devices)
    return num_devices * (1 << (for_each - 1).bit_length())

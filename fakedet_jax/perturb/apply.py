# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Applies a perturbation to any number of pictures of any sizes, in bounded memory."""

import collections
import concurrent.futures
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
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
    Operation,
    Perturbation,
)
from fakedet_jax.runtime import parallel

# Sides are rounded up to multiples of this, larger ones more coarsely.
_SIDE_STEP = 64
# Pixels of a batch on one device; about a hundred bytes are needed for each.
_DEVICE_PIXELS = 2**20
# Bytes of pictures that wait for others of their size, or for their turn.
_MAX_HELD_BYTES = 2**28
# Pictures among which those of one operation are gathered in a mix of several.
_MAX_WINDOW = 256


class Chosen(NamedTuple):
    """A picture and what is done to it.

    Attributes:
        picture: uint8 `[height, width, 3]`.
        perturbation: What is done.
        salt: From 0 to 2³² - 1; the noise of a picture is another one for each.
    """

    picture: np.ndarray
    perturbation: Perturbation
    salt: int = 0


# A place in the order, and what waits there.
_Waiting = tuple[int, Chosen]


def apply(
    perturbation: Perturbation | Mix,
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
        perturbation: What is done; of a mix, what is drawn for each picture.
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
    mesh = parallel.data_mesh(jax.local_devices()) if mesh is None else mesh
    checked = map(_checked, pictures)
    if isinstance(perturbation, Perturbation):
        chosen = (Chosen(picture, perturbation) for picture in checked)
        yield from _apply_kind(perturbation.kind, chosen, key, mesh, num_threads)
        return
    drawn = (Chosen(picture, draw(perturbation, picture, key)) for picture in checked)
    if len(perturbation.operations) == 1:
        kind = perturbation.choices[0].kind
        yield from _apply_kind(kind, drawn, key, mesh, num_threads)
        return
    while window := _take_window(drawn):
        yield from apply_each(window, key=key, mesh=mesh, num_threads=num_threads)


def apply_each(
    chosen: Sequence[Chosen],
    *,
    key: jax.Array,
    mesh: Mesh | None = None,
    num_threads: int = 8,
) -> list[np.ndarray]:
    """Perturbs a few pictures, each in its own way.

    Args:
        chosen: The pictures, which pass `check_picture`, and what is done to them.
        key: As for `apply`.
        mesh: As for `apply`.
        num_threads: As for `apply`.

    Returns:
        The perturbed pictures in the same order, as `apply` gives them.
    """
    mesh = parallel.data_mesh(jax.local_devices()) if mesh is None else mesh
    # Sorted by their operations meanwhile.
    positions: dict[str, list[int]] = {}
    for position, one in enumerate(chosen):
        positions.setdefault(one.perturbation.operation, []).append(position)
    done: dict[int, np.ndarray] = {}
    for operation, places in positions.items():
        group = [chosen[place] for place in places]
        perturbed = _apply_kind(OPERATIONS[operation], group, key, mesh, num_threads)
        done.update(zip(places, perturbed, strict=True))
    return [done[position] for position in range(len(chosen))]


def draw(mix: Mix, picture: np.ndarray, key: jax.Array) -> Perturbation:
    """Tells what a mix does to a picture.

    Args:
        mix: What there is to choose from.
        picture: uint8 `[height, width, 3]`.
        key: A typed key, as `apply` gets it.

    Returns:
        The choice, which depends on the pixels and the key alone.
    """
    bits = np.asarray(jax.random.key_data(key), "<u4").tobytes()
    return mix.draw(_digest(picture, num_bytes=16, secret=bits))


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


def _apply_kind(
    kind: Operation,
    chosen: Iterable[Chosen],
    key: jax.Array,
    mesh: Mesh,
    num_threads: int,
) -> Iterator[np.ndarray]:
    """Perturbs pictures by one operation, each at its own strength."""
    if kind.on_device is not None:
        yield from _Batches(kind.on_device, key, mesh).run(chosen)
    elif kind.on_host is not None:
        chosen = iter(chosen)
        with concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-perturb"
        ) as pool:
            while window := list(itertools.islice(chosen, 4 * num_threads)):
                pictures = [one.picture for one in window]
                strengths = [one.perturbation.strength for one in window]
                yield from pool.map(kind.on_host, pictures, strengths)


def _take_window(chosen: Iterator[Chosen]) -> list[Chosen]:
    """The next pictures, as many as may be held but at least one; none at the end."""
    window: list[Chosen] = []
    num_bytes = 0
    while num_bytes < _MAX_HELD_BYTES and len(window) < _MAX_WINDOW:
        following = next(chosen, None)
        if following is None:
            break
        window.append(following)
        num_bytes += following.picture.nbytes
    return window


def _checked(picture: np.ndarray) -> np.ndarray:
    check_picture(picture)
    return picture


class _Batches:
    """Gathers pictures of like sizes until a batch is full, and keeps their order."""

    def __init__(self, function: DeviceFn, key: jax.Array, mesh: Mesh) -> None:
        self._compiled = _compile(function, mesh)
        self._key = parallel.replicate(mesh, key)
        self._mesh = mesh
        self._waiting: dict[tuple[int, int], list[_Waiting]] = {}
        self._done: dict[int, np.ndarray] = {}

    def run(self, chosen: Iterable[Chosen]) -> Iterator[np.ndarray]:
        held: collections.deque[int] = collections.deque()
        num_held_bytes = 0
        turn = 0
        for position, one in enumerate(chosen):
            shape = _padded_shape(one.picture)
            group = self._waiting.setdefault(shape, [])
            group.append((position, one))
            held.append(one.picture.nbytes)
            num_held_bytes += one.picture.nbytes
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
        strengths = np.full(num_rows, group[0][1].perturbation.strength, np.float32)
        for row, (_, one) in enumerate(group):
            height, width = sizes[row] = one.picture.shape[:2]
            images[row, :height, :width] = one.picture
            strengths[row] = one.perturbation.strength
            digests[row] = _digest(one.picture) ^ one.salt
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
        for row, (position, *_) in enumerate(group):
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


def _digest(picture: np.ndarray, *, num_bytes: int = 4, secret: bytes = b"") -> int:
    """Bits that identify a picture, on every machine; others with another secret."""
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

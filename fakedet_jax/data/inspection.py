# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Inspects the files of a dataset: format, size, quality, camera settings, digests."""

import concurrent.futures
import dataclasses
import functools
import hashlib

import numpy as np

from fakedet_jax.data.dataset import Dataset, digest_of
from fakedet_jax.data.near_duplicates import perceptual_hash
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import ImageError
from fakedet_jax.media import exif
from fakedet_jax.media.decode import decode_with_header

GREY_TOLERANCE = 2
_DIGEST_BYTES = 16

# Luminance quantisation table of Annex K of the JPEG standard, in reading order.
_STANDARD_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts about the file of one example.

    Attributes:
        name: Path or dataset key.
        digest: Digest of the file's bytes; empty if it cannot be read.
        error: Reason why the picture cannot be decoded, in which case the fields below
            have no meaning; `None` for sound pictures.
        format: Format of the file, such as `JPEG`.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
        jpeg_quality: Estimated quality setting of a JPEG, 1 to 100, else `None`.
        is_grey: Whether all channels of all pixels agree within `GREY_TOLERANCE`.
        has_exif: Whether the file contains EXIF data.
        perceptual_hash: See `near_duplicates`.
    """

    name: str
    digest: str
    error: str | None = None
    format: str = ""
    width: int = 0
    height: int = 0
    jpeg_quality: int | None = None
    is_grey: bool = False
    has_exif: bool = False
    perceptual_hash: int = 0


def inspect(dataset: Dataset, num_threads: int = 8) -> list[Facts]:
    """Reads and decodes every example once.

    Args:
        dataset: The examples.
        num_threads: Threads that read and decode.

    Returns:
        Facts in the order of the examples.
    """
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        look = functools.partial(_inspect_one, dataset)
        return list(pool.map(look, range(dataset.num_examples)))


def digest_contents(dataset: Dataset, num_threads: int = 8) -> str:
    """Identifies the bytes of all files and their order, without decoding them.

    Args:
        dataset: The examples.
        num_threads: Threads that read.

    Returns:
        A digest that does not depend on the folder of the files.
    """
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        read = functools.partial(_digest_one, dataset)
        return digest_of(pool.map(read, range(dataset.num_examples)))


def estimate_jpeg_quality(luminance: tuple[int, ...]) -> int:
    """Estimates the quality setting of the IJG library that gives a quantisation table.

    For tables of other encoders, such as those of cameras, it is the nearest setting.

    Args:
        luminance: The 64 entries of the luminance table, in any order.

    Returns:
        Quality from 1 to 100.
    """
    # Sorted, because the entries may be in zigzag order.
    distance = np.abs(_sorted_ijg_tables() - np.sort(luminance)).sum(axis=1)
    return int(np.argmin(distance)) + 1


def is_grey(picture: np.ndarray) -> bool:
    """Whether a picture has no colour, even if its file has colour channels.

    Args:
        picture: uint8 `[height, width, 3]`.

    Returns:
        Whether the channels of every pixel agree within `GREY_TOLERANCE`.
    """
    height = picture.shape[0]
    # For nearly every colour picture a few rows suffice.
    if not _channels_agree(picture[height // 2 : height // 2 + 4]):
        return False
    return _channels_agree(picture)


def read_portraits(dataset: Dataset, num_threads: int = 8) -> Portraits:
    """Reads the camera settings of every picture from its file, without decoding it.

    Args:
        dataset: The pictures; `dataset.portraits` is ignored.
        num_threads: Threads that read files, at least 1.

    Returns:
        The settings; those of unreadable pictures and all landmarks are unknown.
    """

    def read_one(index: int) -> exif.ExifTags:
        try:
            return exif.read_tags(dataset.source[index].encoded)
        except ImageError:
            return exif.ExifTags()

    portraits = Portraits.unknown(dataset.num_examples)
    with concurrent.futures.ThreadPoolExecutor(num_threads, "fakedet-tags") as pool:
        for index, tags in enumerate(pool.map(read_one, range(len(portraits)))):
            portraits.tags[index] = exif.to_array(tags)
    return portraits


def _inspect_one(dataset: Dataset, index: int) -> Facts:
    name = dataset.names[index]
    digest = ""
    try:
        encoded = dataset.source[index].encoded
        digest = _digest(encoded)
        picture, header = decode_with_header(encoded)
    except ImageError as error:
        return Facts(name, digest, str(error))
    tables = header.quantization
    return Facts(
        name=name,
        digest=digest,
        format=header.format,
        width=header.width,
        height=header.height,
        jpeg_quality=estimate_jpeg_quality(tables[0]) if tables else None,
        is_grey=is_grey(picture),
        has_exif=header.has_exif,
        perceptual_hash=int(perceptual_hash(picture)),
    )


def _digest_one(dataset: Dataset, index: int) -> str:
    try:
        return _digest(dataset.source[index].encoded)
    except ImageError:
        return ""


def _digest(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()


def _channels_agree(picture: np.ndarray) -> bool:
    red, green, blue = (picture[..., channel].astype(np.int16) for channel in range(3))
    differences = (red - green, green - blue, red - blue)
    return all(np.abs(part).max() <= GREY_TOLERANCE for part in differences)


@functools.cache
def _sorted_ijg_tables() -> np.ndarray:
    """Luminance tables of the qualities 1 to 100, each sorted: int `[100, 64]`."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = (scale[:, None] * _STANDARD_LUMINANCE + 50) // 100
    return np.sort(np.clip(tables, 1, 255), axis=1)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What callers of Python may hand in as pictures, and how it becomes uint8 RGB."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.errors import RequestError
from fakedet_jax.media import options, video
from fakedet_jax.media.decode import check_pixels, check_sides, from_pillow
from fakedet_jax.media.options import MediaConfig

# An array uint8 `[height, width, 3]`, an image of Pillow, or the path of a file.
Picture = np.ndarray | Image.Image | str | os.PathLike[str]
# One picture, several in an array uint8 `[n, height, width, 3]`, or a sequence.
Pictures = Picture | Sequence[Picture]

_SHAPES = "[height, width, 3] or [n, height, width, 3]"


def split(pictures: Pictures, *, scale: bool = False) -> list[tuple[str, Picture]]:
    """Tells single pictures apart and checks arrays; no file is opened.

    Args:
        pictures: One picture or several.
        scale: Whether arrays of floats are taken as 0 (black) to 1 (white).

    Returns:
        For each picture the words that name it in messages, and the picture: a path, an
        image of Pillow, or uint8 `[height, width, 3]`.

    Raises:
        RequestError: There is none, or one is of another type, shape or range.

    >>> split(np.zeros((64, 64), np.uint8))
    Traceback (most recent call last):
        ...
    fakedet_jax.errors.RequestError: `pictures`: expected [height, width, 3] or \
[n, height, width, 3], found [64, 64]; repeat a grey picture for three channels, as in \
np.stack([grey] * 3, axis=-1)
    """
    if isinstance(pictures, str | os.PathLike):
        _check_path(pictures, "pictures")
        return [(repr(os.fspath(pictures)), pictures)]
    if isinstance(pictures, Image.Image):
        return [("`pictures`", pictures)]
    if _is_array(pictures):
        array = _to_uint8(np.asarray(pictures), "pictures", scale, stacked=True)
        if array.ndim == 3:
            return [("`pictures`", array)]
        return [(f"`pictures[{i}]`", picture) for i, picture in enumerate(array)]
    if not isinstance(pictures, Sequence) or isinstance(pictures, bytes):
        raise RequestError(
            "`pictures`: expected uint8 arrays, images of Pillow or paths, found "
            f"{type(pictures).__name__}"
        )
    found = [_one(picture, i, scale) for i, picture in enumerate(pictures)]
    if not found:
        raise RequestError("`pictures`: expected at least one picture, found none")
    return found


def decode(
    picture: np.ndarray | Image.Image, how: MediaConfig = options.DEFAULT
) -> np.ndarray:
    """Makes upright RGB of a picture in memory that `split` gave.

    Args:
        picture: An image of Pillow, or uint8 `[height, width, 3]`.
        how: Limit of the size, and what becomes of colour profiles.

    Returns:
        uint8 `[height, width, 3]`, upright RGB.

    Raises:
        ImageError: The picture cannot be used; the message is the reason.
    """
    if isinstance(picture, Image.Image):
        return from_pillow(picture, how)
    height, width = picture.shape[:2]
    check_sides("is", height, width)
    check_pixels(height, width, how.max_megapixels * 10**6)
    return picture


def _one(picture: Any, index: int, scale: bool) -> tuple[str, Picture]:
    name = f"pictures[{index}]"
    if isinstance(picture, str | os.PathLike):
        _check_path(picture, name)
        return repr(os.fspath(picture)), picture
    if isinstance(picture, Image.Image):
        return f"`{name}`", picture
    if _is_array(picture):
        return f"`{name}`", _to_uint8(np.asarray(picture), name, scale)
    raise RequestError(
        f"`{name}`: expected a uint8 array, an image of Pillow or a path, found "
        f"{type(picture).__name__}"
    )


def _is_array(value: Any) -> bool:
    """Whether it is an array of NumPy, or one that NumPy can read (JAX, PyTorch)."""
    return isinstance(value, np.ndarray) or hasattr(value, "__array__")


def _check_path(path: str | os.PathLike[str], name: str) -> None:
    advice = ""
    if Path(path).is_dir():
        advice = "is a folder; name its files, such as sorted(folder.glob('*.jpg'))"
    elif video.is_video(Path(path)):
        advice = "is a video; score it with `mode=predict`"
    if advice:
        raise RequestError(f"`{name}`: {os.fspath(path)!r} {advice}")


def _to_uint8(
    array: np.ndarray, name: str, scale: bool, *, stacked: bool = False
) -> np.ndarray:
    """Checks shape, dtype and range.

    Args:
        array: What was handed in.
        name: What it is called in messages.
        scale: Whether floats are scaled.
        stacked: Whether it may hold several pictures.

    Raises:
        RequestError: It is no such array.
    """
    shape = list(array.shape)
    expected = _SHAPES if stacked else "[height, width, 3]"
    if not array.size:
        raise RequestError(
            f"`{name}`: expected {expected}, found an empty array, {shape}"
        )
    if array.ndim not in ((3, 4) if stacked else (3,)) or array.shape[-1] != 3:
        raise RequestError(
            f"`{name}`: expected {expected}, found {shape}{_advice(shape)}"
        )
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise RequestError(
            f"`{name}`: expected uint8, from 0 to 255, found {array.dtype}; bring the "
            "numbers into that range and convert them with astype(np.uint8)"
        )
    if num_nan := int(np.isnan(array).sum()):
        raise RequestError(
            f"`{name}`: holds NaN, which is no number, in {num_nan:,} of "
            f"{array.size:,} places; look at where the array is computed"
        )
    low, high = float(array.min()), float(array.max())
    if not scale:
        raise RequestError(
            f"`{name}`: expected uint8, from 0 to 255, found {array.dtype} from "
            f"{low:.4g} to {high:.4g}; {_advice_for_floats(low, high)}"
        )
    if not (low >= 0 and high <= 1):
        raise RequestError(
            f"`{name}`: `scale=True` takes numbers from 0 to 1, found {low:.4g} to "
            f"{high:.4g}; {_advice_for_floats(low, high)}"
        )
    return np.round(array.astype(np.float64) * 255).astype(np.uint8)


def _advice(shape: list[int]) -> str:
    if len(shape) == 2 or shape[-1] == 1:
        return (
            "; repeat a grey picture for three channels, as in "
            "np.stack([grey] * 3, axis=-1)"
        )
    if len(shape) >= 3 and shape[-1] == 4:
        return "; leave the fourth channel out, as in picture[..., :3]"
    if len(shape) >= 3 and shape[-3] == 3:
        return "; channels come last, as after np.moveaxis(picture, -3, -1)"
    return ""


def _advice_for_floats(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return "give `scale=True` where 0 is black and 1 is white"
    if low >= 0 and high <= 255:
        return "convert them with astype(np.uint8) where 255 is white"
    return "undo the normalisation, as the detector does its own"

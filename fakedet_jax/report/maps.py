# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws what a network reacts to in a face, for the page of a review."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.faces import colours
from fakedet_jax.report import wording

NOTE = (
    "Maps tell what this network reacts to, right or wrong. They are evidence of the "
    "network, not of the picture: a marked place need not be manipulated. Orange "
    "speaks for fake, blue for real."
)

_FAKE, _REAL = (
    np.array(ImageColor.getrgb(colour), np.float64)
    for colour in (colours.FAKE, colours.REAL)
)
_OPACITY = 0.8
# Cells along a side into which the pixels of a gradient are summed, to be seen.
_CELLS = 32
# Layers that are listed.
_MOST_LAYERS = 8


class Drawn(NamedTuple):
    """A map as a picture.

    Attributes:
        name: For the name of a file.
        title: The heading.
        caption: One or two sentences.
        image: uint8 `[height, width, 3]`.
    """

    name: str
    title: str
    caption: str
    image: NDArray[np.uint8]


def draw(picture: NDArray[np.uint8], found: Maps, place: int) -> Iterator[Drawn]:
    """Draws the maps of a face.

    Args:
        picture: What the network saw, uint8 `[height, width, 3]`.
        found: Maps of faces.
        place: The number of this one.

    Yields:
        Its maps, of the picture's size.
    """
    cells = found.occlusion[place]
    yield Drawn(
        "occlusion",
        "Occlusion.",
        "What the log-odds of being fake lose when a cell is covered; the strongest "
        f"has {_strongest(cells)}.",
        overlay(picture, cells),
    )
    if found.gradient is not None:
        sums = sum_cells(found.gradient[place], _CELLS)
        yield Drawn(
            "gradient",
            "Gradient × input.",
            "How much of the log-odds comes from each place, as far as the network is "
            f"linear; the strongest has {_strongest(sums)}.",
            overlay(picture, sums),
        )
    if found.traces is not None:
        image, caption = _draw_trace(found.traces[place])
        yield Drawn("trace", "Manipulation trace.", caption, image)


def layers_of(found: Maps, place: int) -> list[tuple[str, float]]:
    """The layers that differ most, the largest first, with what `Maps` tells of them.

    Args:
        found: Maps of faces.
        place: The number of one.
    """
    if found.layers is None:
        return []
    values = found.layers[place]
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST_LAYERS]
    return [(found.layer_names[one], float(values[one])) for one in order]


def layers_note(faces: str) -> str:
    """What the list of layers shows.

    Args:
        faces: Those that layers are compared with, in words.
    """
    return (
        "The share of activated neurons of a layer, as its distance from the mean over "
        f"{faces}, in their standard deviations (σ). It tells what the network sees "
        "otherwise than in these faces, and nothing of where."
    )


def overlay(
    picture: NDArray[np.uint8], values: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Colours a grey picture where values are not 0.

    Args:
        picture: uint8 `[height, width, 3]`.
        values: `[rows, columns]` of equal cells, at most as many as there are pixels;
            the largest one in size gets the strongest colour.

    Returns:
        uint8 `[height, width, 3]`: orange where they are positive, blue where negative.
    """
    height, width = picture.shape[:2]
    num_rows, num_columns = values.shape
    rows = np.arange(height) * num_rows // height
    columns = np.arange(width) * num_columns // width
    spread = np.nan_to_num(values[np.ix_(rows, columns)].astype(np.float64))
    strength = np.abs(spread) / (np.abs(spread).max() or 1.0)
    opacity = (_OPACITY * strength)[..., None]
    # Light grey, so that both colours show.
    grey = 64 + 0.75 * picture.astype(np.float64).mean(-1, keepdims=True)
    colour = np.where(spread[..., None] > 0, _FAKE, _REAL)
    return np.round((1 - opacity) * grey + opacity * colour).astype(np.uint8)


def sum_cells(values: NDArray[np.floating], cells: int) -> NDArray[np.float64]:
    """Sums pixels into cells.

    Args:
        values: `[height, width]`.
        cells: Cells along each side, as equal as the pixels allow.

    Returns:
        `[cells, cells]`, fewer where there are fewer pixels.

    >>> sum_cells(np.arange(16.0).reshape(4, 4), 2)
    array([[10., 18.],
           [42., 50.]])
    """
    found = np.asarray(values, np.float64)
    for axis, length in enumerate(found.shape):
        number = min(cells, length)
        # The first pixel of each cell, as `overlay` and occlusion cut them.
        starts = -(-np.arange(number) * length // number)
        found = np.add.reduceat(found, starts, axis)
    return found


def _strongest(values: NDArray[np.floating]) -> str:
    strongest = values.flat[int(np.argmax(np.abs(values)))]
    return wording.minus(f"{strongest:+.3g}")


def _draw_trace(trace: NDArray[np.floating]) -> tuple[NDArray[np.uint8], str]:
    plane = trace.astype(np.float64).mean(-1)
    mean = float(plane.mean())
    limit = float(np.quantile(np.abs(plane - mean), 0.99)) or 1.0
    shades = np.clip((plane - mean) / limit, -1, 1)
    image = np.round(127.5 + 127.5 * shades).astype(np.uint8)
    caption = (
        "What the learned predictor of the network misses of the picture, averaged "
        f"over the channels; grey is {wording.minus(f'{mean:.3g}')}, black and white "
        f"are ±{limit:.3g} from it, of 255."
    )
    return np.repeat(image[..., None], 3, -1), caption

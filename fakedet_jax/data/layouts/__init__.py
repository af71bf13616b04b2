# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How datasets lie in the folders that their authors hand out, by name.

A layout lists photographs and videos with their class, official split and identities
before any face is cropped; nothing is downloaded and no picture is opened.
"""

from fakedet_jax.data.layouts import (
    celeb_df_v2,
    celeba,
    class_folders,
    dfdc,
    exif_faces,
    faceforensics,
    fdf,
    ffhq,
    hff,
)
from fakedet_jax.data.layouts.base import Item, Layout, Listing
from fakedet_jax.errors import RequestError

__all__ = ["Item", "Layout", "Listing", "create", "names"]

_LAYOUTS = {
    layout.name: layout
    for layout in (
        celeb_df_v2.LAYOUT,
        celeba.LAYOUT,
        class_folders.LAYOUT,
        dfdc.LAYOUT,
        exif_faces.LAYOUT,
        faceforensics.LAYOUT,
        fdf.LAYOUT,
        ffhq.LAYOUT,
        hff.LAYOUT,
    )
}


def names() -> list[str]:
    """The valid names of layouts, sorted."""
    return sorted(_LAYOUTS)


def create(name: str) -> Layout:
    """Looks a layout up.

    Raises:
        RequestError: There is none of that name.
    """
    if name not in _LAYOUTS:
        raise RequestError(f"`layout`: expected {', '.join(names())}, found {name!r}")
    return _LAYOUTS[name]

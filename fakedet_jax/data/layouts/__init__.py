# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layouts: how datasets lie in the folders that their authors hand out, by name.

A layout lists photographs and videos with their class, official split and identities
before any face is cropped. It downloads nothing and opens no picture. A new layout is a
module beside this one and a row here. Other packages add theirs with `register`.
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
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing, option
from fakedet_jax.runtime.registry import Registry

__all__ = [
    "Item",
    "Layout",
    "LayoutMismatch",
    "Listing",
    "create",
    "names",
    "option",
    "register",
    "unregister",
]

_LAYOUTS = Registry[Layout]("dataset")

create = _LAYOUTS.__getitem__
register = _LAYOUTS.add
unregister = _LAYOUTS.unregister


def names() -> list[str]:
    """The registered names, sorted."""
    return sorted(_LAYOUTS)


register(celeb_df_v2.LAYOUT)
register(celeba.LAYOUT)
register(class_folders.LAYOUT)
register(dfdc.LAYOUT)
register(exif_faces.LAYOUT)
register(faceforensics.LAYOUT)
register(fdf.LAYOUT)
register(ffhq.LAYOUT)
register(hff.LAYOUT)

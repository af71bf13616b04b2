# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layouts: how datasets lie in the folders that their authors hand out, by name.

A layout lists photographs and videos with their class, official split and identities
before any face is cropped. It downloads nothing and opens no picture. A new layout is a
module beside this one and a row here. Other packages add theirs with `register`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fakedet_jax.data.layouts import (
    celeb_df_pp,
    celeb_df_v2,
    celeba,
    class_folders,
    deepfakedetection,
    df40,
    dfdc,
    exif_faces,
    faceforensics,
    fdf,
    ffhq,
    hff,
)
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.runtime.registry import Registry
from fakedet_jax.settings import Settings

__all__ = [
    "Item",
    "Layout",
    "LayoutMismatch",
    "Listing",
    "all_options",
    "create",
    "names",
    "options_of",
    "register",
    "unregister",
]

_LAYOUTS = Registry[Layout]("dataset")

create = _LAYOUTS.__getitem__
register = _LAYOUTS.add
unregister = _LAYOUTS.unregister


def options_of(values: Mapping[str, Any]) -> type[Settings]:
    """The class of options of the layout that `values["dataset"]` names."""
    name = values.get("dataset", class_folders.LAYOUT.name)
    return _LAYOUTS[name].options_type if name in _LAYOUTS else Settings


def all_options() -> Iterator[type[Settings]]:
    """The classes of options of all layouts."""
    return (_LAYOUTS[name].options_type for name in _LAYOUTS)


def names() -> list[str]:
    """The registered names, sorted."""
    return sorted(_LAYOUTS)


register(celeb_df_pp.LAYOUT)
register(celeb_df_v2.LAYOUT)
register(celeba.LAYOUT)
register(class_folders.LAYOUT)
register(deepfakedetection.LAYOUT)
register(df40.LAYOUT)
register(dfdc.LAYOUT)
register(exif_faces.LAYOUT)
register(faceforensics.LAYOUT)
register(fdf.LAYOUT)
register(ffhq.LAYOUT)
register(hff.LAYOUT)

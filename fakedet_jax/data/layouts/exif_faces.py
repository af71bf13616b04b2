# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photographs of faces as cameras wrote them, in any folders; all are real.

    DIR/…/*.jpg

For training on camera settings: each photograph needs ISO, aperture, exposure time or
focal length, in its EXIF data or in a table of tags. Photographs without any of the
four are left out when faces are cropped, with the reason. Identities are unknown.
"""

from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.settings import Settings


def _list(root: Path, _: Settings) -> Listing:
    found = scan.find_files(root)
    photographs = [path for path in found if scan.kind_of(path) == scan.PHOTO]
    if not photographs:
        raise LayoutMismatch("photographs", root)
    videos = [
        scan.relative(path, root) for path in found if scan.kind_of(path) == scan.VIDEO
    ]
    items = [Item.of(path, root, "real_photographs") for path in photographs]
    return Listing(items, notes=scan.note("left out, videos", videos))


LAYOUT = Layout(
    "exif_faces",
    "name a folder with photographs at any depth that still have their EXIF data, or "
    "give the camera settings as `tags`",
    _list,
    needs_tags=True,
    has_protocol=False,
)

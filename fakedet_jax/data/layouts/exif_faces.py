# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photographs of faces as cameras wrote them, in folders of any kind: all are real.

    DIR/…/*.jpg

Whoever learns from the settings of the camera needs them: ISO, aperture, exposure time
or focal length in the EXIF data of a file, or in a table of tags. A photograph without
any of the four is left out when the faces are cut out, with the reason.
"""

from pathlib import Path

from fakedet_jax.data.layouts import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing


def _list(root: Path) -> Listing:
    """Lists a folder.

    Args:
        root: The folder; photographs may lie at any depth. Who is shown is unknown.
    """
    found = scan.find_files(root)
    photographs = [path for path in found if scan.kind_of(path) == scan.PHOTO]
    if not photographs:
        raise LayoutMismatch("photographs", root)
    videos = [
        scan.relative(path, root) for path in found if scan.kind_of(path) == scan.VIDEO
    ]
    items = [
        Item(
            path=scan.relative(path, root),
            kind=scan.PHOTO,
            class_name="real_photographs",
            is_fake=False,
        )
        for path in photographs
    ]
    return Listing(items, notes=scan.note("left out, they are videos", videos))


LAYOUT = Layout(
    "exif_faces",
    "name a folder with photographs whose EXIF data were not stripped, at any depth, "
    "or give the settings of their cameras as `tags`",
    _list,
    needs_tags=True,
)

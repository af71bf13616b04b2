# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small trees of empty files for the tests of layouts."""

from pathlib import Path


def grow(root: Path, *names: str) -> Path:
    """Makes empty files at `names`."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def write(root: Path, name: str, text: str) -> Path:
    """Writes a list of a dataset."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

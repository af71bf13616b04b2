# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a layout is, and what it says about the folder of a dataset."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fakedet_jax.data.layouts import scan
from fakedet_jax.errors import RequestError


@dataclasses.dataclass(frozen=True)
class Item:
    """A photograph or video of a dataset, not opened yet.

    Attributes:
        path: Relative to the data folder, with forward slashes; bytes that are not
            UTF-8 are kept as surrogate escapes.
        kind: `photo` or `video`.
        class_name: Name of the class. Names of real classes start with `real`, save
            where the user named the classes.
        is_fake: Whether the class is fake.
        split: `train`, `validation` or `test` where the dataset says so; `None` is to
            be assigned by `splits.assign`.
        video: Of which recording it is, the same in all its qualities; empty for
            photographs.
        identities: Everyone whose face or video is in it; empty where unknown.
        manipulation: How the face was made; empty for real ones and where unknown.
        quality: Compression of the file, such as `c23`, where there are several.
    """

    path: str
    kind: str
    class_name: str
    is_fake: bool
    split: str | None = None
    video: str = ""
    identities: tuple[str, ...] = ()
    manipulation: str = ""
    quality: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """What lies in the folder of a dataset.

    Attributes:
        items: Sorted by path; every path is there once.
        missing: Paths of files that the dataset's own lists name and that are absent,
            sorted.
        notes: What else a user should know, one line each.
    """

    items: list[Item]
    missing: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


class LayoutMismatch(Exception):  # noqa: N818 - becomes a `RequestError`.
    """A folder is not as expected.

    Attributes:
        expected: What should have been there.
        folder: Where.
    """

    def __init__(self, expected: str, folder: Path) -> None:
        super().__init__(expected)
        self.expected = expected
        self.folder = folder


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset lies in its folder.

    Attributes:
        name: Of the dataset.
        instructions: One line: where the data come from and which folder to name.
        list_fn: `(root, **options) → Listing`; raises `LayoutMismatch`. Its keywords
            are the options.
        needs_tags: Whether a photograph is of use only where the settings of its camera
            are known, one of `exif.TAGS` at least.
    """

    name: str
    instructions: str
    list_fn: Callable[..., Listing] = dataclasses.field(repr=False)
    needs_tags: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options of `list_items`."""
        parameters = inspect.signature(self.list_fn).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def list_items(self, root: str | Path, **options: Any) -> Listing:
        """Lists the dataset; nothing is opened but its lists.

        Args:
            root: The data folder.
            **options: Some of `options`; the module of the layout describes them.

        Returns:
            The items and what was noticed.

        Raises:
            RequestError: The folder or one of the dataset's lists is not as expected,
                or there is no such option.
        """
        root = Path(root)
        for option in options:
            if option not in self.options:
                raise RequestError(
                    f"`{option}`: {self.name} has no such option, it has "
                    f"{', '.join(self.options) or 'none'}; leave it out"
                )
        try:
            if not scan.is_folder(root):
                raise LayoutMismatch("a folder", root)
            listing = self.list_fn(root, **options)
            if not listing.items and not listing.missing:
                raise LayoutMismatch("photographs or videos", root)
        except LayoutMismatch as error:
            raise RequestError(
                f"`data_dir`: {self.name} needs {error.expected} in "
                f"{str(error.folder)!r}, found {scan.describe(error.folder)}; "
                f"{self.instructions}"
            ) from error
        if not listing.items:
            missing = scan.some(listing.missing)
            raise RequestError(
                f"`data_dir`: all files that the lists of {self.name} name are missing "
                f"in {str(root)!r}, such as {missing}; {self.instructions}"
            )
        items = sorted(listing.items, key=lambda item: item.path)
        if len({item.path for item in items}) != len(items):
            raise ValueError(f"layout {self.name!r} lists a path twice")
        return Listing(items, sorted(set(listing.missing)), listing.notes)


def check_choice(flag: str, value: object, choices: Sequence[object]) -> None:
    """Checks the value of an option.

    Raises:
        RequestError: It is none of `choices`.
    """
    if value not in choices:
        raise RequestError(
            f"`{flag}`: expected {' or '.join(map(str, choices))}, found {value!r}"
        )

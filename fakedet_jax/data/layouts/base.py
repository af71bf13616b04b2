# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The type of a layout, and what it finds in the folder of a dataset."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakedet_jax.data import scan
from fakedet_jax.data.dataset import is_real
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings


@dataclasses.dataclass(frozen=True)
class Item:
    """A photograph or video of a dataset that has not been opened yet.

    Attributes:
        path: Path relative to the data folder, with forward slashes; bytes that are not
            UTF-8 are kept as surrogate escapes.
        kind: `photo` or `video`.
        class_name: Name of the class. Names of real classes say so, see
            `dataset.is_real`, unless the user chose the names.
        is_fake: Whether the class is fake.
        split: Official split: `train`, `validation` or `test`; `None` leaves the choice
            to `splits.assign`.
        video: Recording that the file shows, the same for all its qualities; empty for
            photographs.
        identities: Everyone whose face or video is in the file; empty where unknown.
        manipulation: Method that made the face; empty for real faces and where unknown.
        quality: Compression of the file, such as `c23`, where there are several.
        folder: Folder within its class, whose files stay in one split; empty where they
            need not.
        mask: Path of the video of masks that tells which pixels were manipulated,
            relative to the data folder; empty where there is none.
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
    folder: str = ""
    # What was prepared without masks is found again, so they have no place here.
    mask: str = dataclasses.field(default="", repr=False)

    @classmethod
    def of(cls, path: Path, root: Path, class_name: str, **facts: Any) -> "Item":
        """Describes a photograph or video of a published dataset.

        Args:
            path: The file; its extension tells videos from photographs.
            root: The data folder.
            class_name: Name of the class, which says whether it is real.
            **facts: Further attributes.

        Returns:
            The description.
        """
        return cls(
            path=scan.relative(path, root),
            kind=scan.kind_of(path) or scan.PHOTO,
            class_name=class_name,
            is_fake=not is_real(class_name),
            **facts,
        )


@dataclasses.dataclass(frozen=True)
class Listing:
    """The content of the folder of a dataset.

    Attributes:
        items: The photographs and videos, sorted by path without repetitions.
        missing: Sorted paths of files that the dataset's own lists name and that do not
            exist.
        notes: Further observations for the user, one line each.
    """

    items: list[Item]
    missing: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


class LayoutMismatch(Exception):  # noqa: N818 - becomes a `RequestError`.
    """A folder does not have the expected content.

    Attributes:
        expected: The expected content, in words.
        folder: The folder.
    """

    def __init__(self, expected: str, folder: Path) -> None:
        super().__init__(expected)
        self.expected = expected
        self.folder = folder


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset lies in its folder.

    Attributes:
        name: Name of the dataset.
        instructions: One line: where to get the data and which folder to name.
        list_fn: `(root, options) → Listing`, with an instance of `options_type`; raises
            `LayoutMismatch`.
        options_type: Settings that only this layout has; `Settings` has none.
        hold_out_by: What stays together when validation items are taken out of a
            training split, `identity` or `video`; see `splits.hold_out`.
        needs_tags: Whether photographs are useless without camera settings, at least
            one of `exif.TAGS`.
        has_protocol: Whether its publishers say how it is split, or the pictures are
            the user's own.
    """

    name: str
    instructions: str
    list_fn: Callable[[Path, Any], Listing] = dataclasses.field(repr=False)
    options_type: type[Settings] = Settings
    hold_out_by: str = "identity"
    needs_tags: bool = False
    has_protocol: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options."""
        return tuple(field.name for field in dataclasses.fields(self.options_type))

    def list_items(self, root: str | Path, **options: Any) -> Listing:
        """Lists the files of the dataset; opens none of them except its lists.

        Args:
            root: The data folder.
            **options: Values for some of `options`.

        Returns:
            The items, missing files and notes.

        Raises:
            RequestError: The folder or a list of the dataset does not have the expected
                content, or an option is unknown or invalid.
        """
        root = Path(root)
        chosen = self._read_options(options)
        try:
            if not scan.is_folder(root):
                raise LayoutMismatch("a folder", root)
            listing = self.list_fn(root, chosen)
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

    def _read_options(self, options: dict[str, Any]) -> Any:
        for name in options:
            if name not in self.options:
                raise RequestError(
                    f"`{name}`: {self.name} has no such option, it has "
                    f"{', '.join(self.options) or 'none'}; leave it out"
                )
        return self.options_type(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in options.items()
            }
        )

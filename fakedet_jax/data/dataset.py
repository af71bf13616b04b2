# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The type of a labelled collection of pictures.

A `Dataset` has the names and labels of all its examples without opening a picture; its
`Source` reads the encoded bytes of one example at a time. Everything here has random
access and can be pickled, so that worker processes and resumed runs see one order.
"""

import dataclasses
import functools
import hashlib
import logging
import os
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fakedet_jax.errors import RequestError

if TYPE_CHECKING:
    from fakedet_jax.data.portraits import Portraits
    from fakedet_jax.data.prepared.facts import Facts

_LOGGER = logging.getLogger(__name__)

BINARY_CLASSES = ("real", "fake")

# Sides (real, fake) that a dataset must have; see `check_sides`.
NEEDS = ("both", "real", "either")


@dataclasses.dataclass(frozen=True)
class Record:
    """One example as it is stored.

    Attributes:
        encoded: Content of the picture file, not decoded.
        label: Index into the classes of the dataset.
        name: Path or dataset key, as shown to users; bytes of a file name that are not
            UTF-8 are kept as surrogate escapes.
    """

    encoded: bytes
    label: int
    name: str


class Source(Protocol):
    """Random access to the records of a dataset.

    A source must be picklable and its `repr` must be the same in every process and
    run (no memory addresses): Grain sends it to worker processes. `__getitem__` reads
    the bytes when it is called and raises `ImageError` where they cannot be read.
    """

    def __len__(self) -> int:
        """Number of records."""

    def __getitem__(self, index: int, /) -> Record:
        """Reads one record."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a labelled collection of pictures.

    Attributes:
        name: Name of the dataset, such as `folder`.
        split: `train`, `validation`, `test` or `all`.
        classes: Class names: the real ones first, each group in alphabetical order.
        is_fake: For every class, whether its pictures are fake.
        source: Reads the records.
        names: One name per example.
        labels: int32 `[num_examples]`, indices into `classes`.
        facts: Further facts of each example, such as its video; None for datasets that
            have only pictures.
        portraits: Face landmarks and camera settings; None for datasets that do not
            store them, see `inspection.read_portraits`.
        reading: Which classes count as real and which as fake, in words, also after
            they were merged.
        folders: The folder of each example within its class, empty for none; nothing
            for datasets that have no folders.
        sources: The class of each example before classes were merged; nothing where
            they were not.
        num_in_all: Number of examples in all splits; None where that was not counted,
            as where folders say which split a picture is in.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    is_fake: tuple[bool, ...]
    source: Source
    names: Sequence[str]
    labels: np.ndarray
    facts: "Facts | None" = None
    portraits: "Portraits | None" = None
    reading: str = ""
    folders: Sequence[str] = ()
    sources: Sequence[str] = ()
    num_in_all: int | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.source), len(self.names), len(self.labels)}
        for more in (self.facts, self.portraits):
            if more is not None:
                sizes.add(len(more))
        if len(sizes) != 1 or len(self.classes) != len(self.is_fake):
            raise ValueError(
                f"Dataset {self.name!r}: all columns must be equally long "
                f"(found {len(self.source)}, {len(self.names)}, {len(self.labels)}), "
                "and so must classes and is_fake "
                f"(found {len(self.classes)}, {len(self.is_fake)})"
            )
        if not self.reading:
            reading = describe_classes(self.classes, self.is_fake)
            object.__setattr__(self, "reading", reading)

    @property
    def num_examples(self) -> int:
        """Number of examples, readable or not."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Number of classes, including those without examples in this split."""
        return len(self.classes)

    @property
    def fake_labels(self) -> np.ndarray:
        """int32 `[num_examples]`: 1 where the example is fake, 0 where it is real."""
        return np.asarray(self.is_fake, np.int32)[self.labels]

    @property
    def num_fake(self) -> int:
        """Number of fake examples, readable or not."""
        return int(self.fake_labels.sum())

    @property
    def num_real(self) -> int:
        """Number of real examples, readable or not."""
        return self.num_examples - self.num_fake

    @functools.cached_property
    def digest(self) -> str:
        """Identifies the examples, their order and labels, but not their folder."""
        # A dataset that was moved has the same digest. Names need not be paths, so the
        # prefix is one of characters.
        common = len(os.path.commonprefix(list(self.names)))  # noqa: RUF071
        digest = digest_of(name[common:] for name in self.names)
        labels = np.ascontiguousarray(self.labels, np.int32).tobytes().hex()
        return digest_of([digest, labels, *self.classes])

    def as_binary(self) -> "Dataset":
        """The same examples with the classes `real` and `fake`."""
        mapping = tuple(int(fake) for fake in self.is_fake)
        return dataclasses.replace(
            self,
            classes=BINARY_CLASSES,
            is_fake=(False, True),
            source=_RelabelledSource(self.source, mapping),
            labels=self.fake_labels,
            sources=self.sources or [self.classes[label] for label in self.labels],
        )

    def subset(self, indices: Sequence[int] | np.ndarray) -> "Dataset":
        """The examples at `indices`, int `[n]`, in that order; the classes stay."""
        chosen = tuple(int(index) for index in indices)
        return dataclasses.replace(
            self,
            source=_SubsetSource(self.source, chosen),
            names=[self.names[index] for index in chosen],
            labels=np.asarray(self.labels, np.int32)[list(chosen)],
            facts=None if self.facts is None else self.facts.at(chosen),
            portraits=None if self.portraits is None else self.portraits.at(chosen),
            folders=[self.folders[index] for index in chosen] if self.folders else (),
            sources=[self.sources[index] for index in chosen] if self.sources else (),
        )


def check_sides(dataset: Dataset, where: str, needs: str) -> None:
    """Checks that a dataset has real and fake pictures.

    Args:
        dataset: The dataset.
        where: Its folder, for the message.
        needs: One of `NEEDS`: `both` requires both sides, as training does; `real`
            requires real pictures and accepts that there are no fake ones; `either`
            warns if a side is missing.

    Raises:
        RequestError: A required side is missing.
    """
    if needs not in NEEDS:
        raise ValueError(f"expected one of {', '.join(NEEDS)}, found {needs!r}")
    present = set(dataset.fake_labels.tolist())
    if len(present) == 2 or (needs == "real" and present == {0}):
        return
    kind = "fake"
    advice = "add a class of fakes, or list the one that there is in `fake_classes`"
    if 0 not in present:
        kind = "real"
        advice = (
            "name the folder of real pictures 'real', or 'real_' and more, or list it "
            "in `real_classes`"
        )
    part = (
        where if dataset.split == "all" else f"the split {dataset.split!r} of {where}"
    )
    message = (
        f"`data_dir`: {part} holds no {kind} pictures; "
        f"found the classes {', '.join(map(repr, dataset.classes))} "
        f"({dataset.reading})"
    )
    if needs != "either":
        raise RequestError(f"{message}; {advice}")
    _LOGGER.warning("%s", message)


def is_real(name: str) -> bool:
    """Whether the name of a class says that its pictures are real.

    It does if it is `real`, in upper or lower case, or `real` and something that is no
    letter, and then anything.

    >>> [is_real(name) for name in ("real", "Real_FFHQ", "real2", "realistic_vision")]
    [True, True, True, False]
    """
    return re.match(r"real(?![^\W\d_])", name, re.IGNORECASE) is not None


def class_of_label(text: str) -> str:
    """The class that a label in a table means: real, fake, or the class of that name.

    Args:
        text: The label as written; 0, 0.0 and False in any case mean real, 1, 1.0 and
            True mean fake.

    Raises:
        ValueError: It is another number, or empty.

    >>> [class_of_label(text) for text in ("0.0", "TRUE", "Real", "stylegan2")]
    ['real', 'fake', 'real', 'stylegan2']
    """
    plain = text.strip()
    if plain.lower() in BINARY_CLASSES:
        return plain.lower()
    if plain.lower() in ("true", "false"):
        return BINARY_CLASSES[plain.lower() == "true"]
    try:
        number = float(plain)
    except ValueError:
        number = None
    if not plain or number not in (None, 0, 1):
        raise ValueError(
            "expected the label 0, False or real, 1, True or fake, or the name of a "
            f"class, found {text!r}"
        )
    return plain if number is None else BINARY_CLASSES[int(number)]


def describe_classes(classes: Sequence[str], is_fake: Sequence[bool]) -> str:
    """Says which classes count as real and which as fake.

    >>> describe_classes(("real", "pggan"), (False, True))
    'real: real; fake: pggan'
    """
    sides = [
        ", ".join(
            name for name, fake in zip(classes, is_fake, strict=True) if fake == s
        )
        for s in (False, True)
    ]
    return f"real: {sides[0] or 'none'}; fake: {sides[1] or 'none'}"


def order_classes(
    names: Iterable[str],
    real_classes: Collection[str] = (),
    fake_classes: Collection[str] = (),
) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Sorts class names and determines which are fake.

    A class is real when its name says so, see `is_real`, or is listed in
    `real_classes`, unless it is listed in `fake_classes`. Real classes come first, each
    group in alphabetical order, so that the label of a class depends only on the names.

    Args:
        names: Class names in any order, possibly repeated.
        real_classes: Further names of real classes.
        fake_classes: Names of fake classes that look like names of real ones.

    Returns:
        The sorted names, and for each whether it is fake.

    Raises:
        RequestError: A name in `real_classes` or `fake_classes` is not among `names`,
            or is in both.

    >>> order_classes(["stylegan2", "Real_FFHQ", "photos"], ["photos"])
    (('Real_FFHQ', 'photos', 'stylegan2'), (False, False, True))
    """
    found = sorted(set(names))
    for field, given in (("real", real_classes), ("fake", fake_classes)):
        if unknown := sorted(set(given) - set(found)):
            raise RequestError(
                f"`{field}_classes`: no class is named "
                f"{', '.join(map(repr, unknown))}; "
                f"found {', '.join(map(repr, found)) or 'none'}"
            )
    if both := sorted(set(real_classes) & set(fake_classes)):
        raise RequestError(
            f"`fake_classes`: {', '.join(map(repr, both))} cannot be real and fake; "
            "take it out of `real_classes` or of `fake_classes`"
        )
    real = [
        name
        for name in found
        if name not in fake_classes and (is_real(name) or name in real_classes)
    ]
    fake = [name for name in found if name not in real]
    return (*real, *fake), (False,) * len(real) + (True,) * len(fake)


def digest_of(texts: Iterable[str]) -> str:
    """A short digest of a sequence of strings, the same on every machine."""
    digest = hashlib.blake2b(digest_size=12)
    for text in texts:
        encoded = text.encode("utf-8", "surrogateescape")
        # The length tells ["ab", "c"] from ["a", "bc"].
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class _RelabelledSource:
    """A source whose labels are mapped through a table."""

    source: Source
    mapping: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Record:
        record = self.source[index]
        return dataclasses.replace(record, label=self.mapping[record.label])


@dataclasses.dataclass(frozen=True, repr=False)
class _SubsetSource:
    """Some records of another source, in any order."""

    source: Source
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Record:
        return self.source[self.indices[index]]

    def __repr__(self) -> str:
        digest = digest_of(map(str, self.indices))
        return (
            f"{type(self).__name__}({self.source!r}, "
            f"num_records={len(self.indices)}, indices={digest})"
        )

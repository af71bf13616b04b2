# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Plans a dataset from staged files: splits, classes, shards and counts.

The plan depends on the inputs alone, not on the order in which they were staged.
"""

import dataclasses
import functools
import hashlib
import io
import itertools
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.data import layouts, splits
from fakedet_jax.data.dataset import digest_of
from fakedet_jax.data.folder import TEST_FRACTION
from fakedet_jax.data.layouts import Item
from fakedet_jax.data.prepared.contents import Contents
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.errors import RequestError
from fakedet_jax.faces.extraction import LEFT_OUT, NOTED, WRITTEN, Row
from fakedet_jax.media.exif import TAGS
from fakedet_jax.prepare.staging import Staged

NO_SPLIT = "belongs to no split: it shares identities with files of several"

# The writer holds a whole file of records in memory.
SHARD_BYTES = 128 * 2**20


@dataclasses.dataclass(frozen=True)
class Input:
    """An input file with its split and its staged file.

    Attributes:
        item: Description of the file, with its split.
        staged: Path of the staged file.
        held_out: Fractions of the frames, from the end, that become validation and
            test; `None` if the whole file is in the split of `item`.
    """

    item: Item
    staged: Path
    held_out: tuple[float, float] | None = None

    def read(self) -> tuple[Staged, list[Row]]:
        """Opens the staged file.

        Returns:
            The staged file and its final rows, in the same order. Where the input has
            no split, written rows become skipped ones.
        """
        staged = Staged(self.staged)
        rows = staged.rows
        if self.item.split is None:
            rows = [
                dataclasses.replace(row, status=LEFT_OUT, reason=NO_SPLIT)
                if row.status == WRITTEN
                else row
                for row in rows
            ]
        return staged, rows

    def items(self, rows: Sequence[Row]) -> list[Item]:
        """The item of each of `rows`, with the split of that row."""
        if self.held_out is None:
            return [self.item] * len(rows)
        frames = sorted({row.frame for row in rows if row.frame >= 0})
        place = {frame: (i + 0.5) / len(frames) for i, frame in enumerate(frames)}
        validation, test = self.held_out
        items = []
        for row in rows:
            at = place.get(row.frame, 0.0)
            split = "test" if at >= 1 - test else "train"
            if 1 - test - validation <= at < 1 - test:
                split = "validation"
            items.append(dataclasses.replace(self.item, split=split))
        return items


@dataclasses.dataclass(frozen=True, eq=False)
class Assembly:
    """The planned contents of a dataset.

    Attributes:
        inputs: Inputs, sorted by path.
        classes: Class names, the real ones first.
        is_fake: Whether each class is fake.
        facts: Facts of the examples, split by split.
        shards: For each split the files of records, and for each of these its
            examples as (index of the input, index of the row in it, label).
        tally: Counts of inputs, frames and faces.
        digest: Identifies the crops, their names, labels and tags.
        num_bytes: Total size of the crops as PNG.
    """

    inputs: Sequence[Input]
    classes: tuple[str, ...]
    is_fake: tuple[bool, ...]
    facts: Facts
    shards: dict[str, list[list[tuple[int, int, int]]]]
    tally: "Tally"
    digest: str
    num_bytes: int

    def contents(
        self,
        faces: dict[str, Any],
        count: Callable[[int], None] = lambda number: None,
    ) -> Contents:
        """Makes what the builder writes.

        Args:
            faces: How faces were found and cut out, JSON-able.
            count: Called with 1 for each crop that is written.
        """
        return Contents(
            classes=self.classes,
            metadata={
                "classes": list(self.classes),
                "is_fake": list(self.is_fake),
                "faces": faces,
                "digest": self.digest,
            },
            shards={
                split: [
                    functools.partial(self._examples, shard, count) for shard in shards
                ]
                for split, shards in self.shards.items()
            },
        )

    def _examples(
        self, shard: Sequence[tuple[int, int, int]], count: Callable[[int], None]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        key = itertools.count()
        # The examples of an input follow each other, so its file is opened once.
        for number, examples in itertools.groupby(shard, operator.itemgetter(0)):
            item = self.inputs[number].item
            with Staged(self.inputs[number].staged) as staged:
                for _, place, label in examples:
                    row, png = staged.rows[place], staged.png(place)
                    yield next(key), _features(item, row, label, png)
                    count(1)


class Tally:
    """Counts of inputs, frames and faces, each counted once.

    Attributes:
        rows: Number of rows by status.
        reasons: Number of skipped rows by reason; reasons that differ only in their
            numbers are one.
        oddities: Number of noted rows by reason, likewise.
        faces: Number of crops by class and split.
        num_with_tags: Number of pictures with at least one known camera setting.
    """

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.oddities: Counter[str] = Counter()
        self.faces: Counter[tuple[str, str]] = Counter()
        self.num_with_tags = 0
        self._files: Counter[tuple[str, bool]] = Counter()
        self._frames: Counter[bool] = Counter()

    def add(self, items: Sequence[Item], rows: Sequence[Row]) -> None:
        """Counts an input.

        Args:
            items: Item of each row.
            rows: Rows of the input, at least one.
        """
        frames: dict[int, bool] = {}
        for item, row in zip(items, rows, strict=True):
            is_written = row.status == WRITTEN
            self.rows[row.status] += 1
            if row.status == LEFT_OUT:
                self.reasons[_without_numbers(row.reason)] += 1
            elif row.status == NOTED:
                self.oddities[_without_numbers(row.reason)] += 1
            if is_written:
                self.faces[class_of(item), str(item.split)] += 1
            if row.frame >= 0:
                frames[row.frame] = frames.get(row.frame, False) or is_written
        self._frames.update(frames.values())
        self.num_with_tags += any(np.isfinite(row.tags).any() for row in rows)
        self._files[items[0].kind, any(row.status == WRITTEN for row in rows)] += 1

    def summary(self, num_missing: int) -> dict[str, Any]:
        """Returns all counts, JSON-able.

        Args:
            num_missing: Number of files that the dataset lists and that do not exist.

        Raises:
            RuntimeError: The counts do not add up.
        """
        files, frames, rows = self._files, self._frames, self.rows
        num_faces = sum(self.faces.values())
        by_class: dict[str, dict[str, int]] = {}
        for (class_name, split), count in sorted(self.faces.items()):
            by_class.setdefault(class_name, {})[split] = count
        if num_faces != rows[WRITTEN] or sum(self.reasons.values()) != rows[LEFT_OUT]:
            raise RuntimeError("the counts of the summary do not add up")
        return {
            "files": {
                "photographs": files["photo", True] + files["photo", False],
                "videos": files["video", True] + files["video", False],
                "with_faces": files["photo", True] + files["video", True],
                "without_faces": files["photo", False] + files["video", False],
                "with_tags": self.num_with_tags,
                "missing": num_missing,
            },
            "video_frames": {
                "chosen": frames[True] + frames[False],
                "with_faces": frames[True],
                "without_faces": frames[False],
            },
            "rows": {
                **{status: rows[status] for status in sorted(rows)},
                "missing": num_missing,
                "total": rows.total() + num_missing,
            },
            "faces": num_faces,
            "left_out": dict(sorted(self.reasons.items())),
            "noted": dict(sorted(self.oddities.items())),
            "classes": by_class,
        }


def split_frames(inputs: Sequence[Input], validation_fraction: float) -> list[Input]:
    """Divides the frames of each video: first training, then validation, then test.

    Every identity is then in all splits, so results say nothing about other people.
    This is meant for trials on a few videos. Pictures go to training.

    Args:
        inputs: Inputs; their splits are replaced.
        validation_fraction: Fraction of the frames that becomes `validation`.

    Returns:
        The inputs in the same order.
    """
    held_out = (validation_fraction, TEST_FRACTION)
    return [
        dataclasses.replace(
            entry,
            item=dataclasses.replace(entry.item, split="train"),
            held_out=held_out if entry.item.kind == "video" else None,
        )
        for entry in inputs
    ]


def assign_splits(
    inputs: Sequence[Input], *, validation_fraction: float, seed: int, dataset: str
) -> tuple[list[Input], list[str]]:
    """Assigns a split to every input that allows it, keeping identities together.

    Args:
        inputs: Inputs, with the official splits of the dataset if it has any.
        validation_fraction: Fraction that becomes `validation` if the dataset has no
            such split.
        seed: Seed of the random division.
        dataset: Name of the layout.

    Returns:
        The inputs in the same order, and notes for the user.
    """
    staged = {entry.item.path: entry.staged for entry in inputs}
    official = {entry.item.split for entry in inputs}

    def content_digest(item: Item) -> str:
        with Staged(staged[item.path]) as opened:
            return opened.content

    items = splits.assign(
        [entry.item for entry in inputs],
        validation_fraction=validation_fraction,
        seed=seed,
        content_digest=content_digest,
    )
    notes = []
    present = official | {item.split for item in items}
    if "train" in official and "validation" not in present and validation_fraction > 0:
        try:
            items = splits.hold_out(
                items,
                fraction=validation_fraction,
                seed=seed,
                group_by=layouts.create(dataset).hold_out_by,
                content_digest=content_digest,
            )
        except RequestError as error:
            notes.append(f"there is no split validation: {error}")
    notes += splits.find_leaks(items)
    return [
        dataclasses.replace(entry, item=item)
        for entry, item in zip(inputs, items, strict=True)
    ], notes


def assemble(inputs: Sequence[Input]) -> Assembly:
    """Plans the contents of a dataset without reading the crops.

    Args:
        inputs: Inputs with their splits, sorted by path.

    Returns:
        The plan.
    """
    is_fake = {class_of(entry.item): entry.item.is_fake for entry in inputs}
    classes = tuple(sorted(is_fake, key=lambda name: (is_fake[name], name)))
    label_of = {name: label for label, name in enumerate(classes)}
    planned = {split: _Plan() for split in splits.SPLITS}
    tally = Tally()
    for number, entry in enumerate(inputs):
        staged, rows = entry.read()
        with staged:
            items = entry.items(rows)
            tally.add(items, rows)
            label = label_of[class_of(entry.item)]
            for place, (item, row) in enumerate(zip(items, rows, strict=True)):
                if row.status == WRITTEN:
                    example = (number, place, label)
                    planned[str(item.split)].add(item, row, staged, example)
    plans = {split: plan for split, plan in planned.items() if plan.shards}
    return Assembly(
        inputs=inputs,
        classes=classes,
        is_fake=tuple(is_fake[name] for name in classes),
        facts=Facts.from_rows(row for plan in plans.values() for row in plan.facts),
        shards={split: plan.shards for split, plan in plans.items()},
        tally=tally,
        digest=digest_of(plan.digest.hexdigest() for plan in plans.values()),
        num_bytes=sum(plan.num_bytes for plan in plans.values()),
    )


def find_gaps(assembly: Assembly) -> list[str]:
    """Names the splits that lack real or fake faces, one line each."""
    notes = []
    for split in splits.SPLITS:
        labels = assembly.facts.of_split(split).labels.tolist()
        lacking = set(assembly.is_fake) - {assembly.is_fake[label] for label in labels}
        missing = [("real", "fake")[side] for side in sorted(lacking)]
        if missing:
            notes.append(f"the split {split} has no {' and no '.join(missing)} faces")
    return notes


def class_of(item: Item) -> str:
    """The class name as valid UTF-8, with other bytes as backslash escapes."""
    return item.class_name.encode("utf-8", "backslashreplace").decode()


def example_name(item: Item, row: Row) -> str:
    """Unique name of an example, made of its path, frame and face.

    >>> item = Item("a/004.mp4", "video", "real", False)
    >>> example_name(item, Row(WRITTEN, frame=12, face=1))
    'a/004.mp4 frame 12 face 1'
    """
    parts = [item.path]
    if row.frame >= 0:
        parts.append(f"frame {row.frame}")
    if row.face > 0:
        parts.append(f"face {row.face}")
    return " ".join(parts)


def tags_of(row: Row) -> tuple[float, ...]:
    """The camera settings of a row, in the order of `TAGS`; NaN where there are none.

    >>> tags_of(Row(WRITTEN))
    (nan, nan, nan, nan)
    """
    return row.tags or (math.nan,) * len(TAGS)


class _Plan:
    """Distributes the examples of a split over files of records, in order.

    Attributes:
        shards: The files, see `Assembly`.
        facts: A row of facts for each example.
        digest: Running digest of names, labels, crops and tags.
        num_bytes: Total size of the crops as PNG.
    """

    def __init__(self) -> None:
        self.shards: list[list[tuple[int, int, int]]] = []
        self.facts: list[tuple[Any, ...]] = []
        self.digest = hashlib.blake2b(digest_size=12)
        self.num_bytes = 0
        self._room = 0

    def add(
        self, item: Item, row: Row, staged: Staged, example: tuple[int, int, int]
    ) -> None:
        """Appends an example, given as in `Assembly.shards`."""
        _, place, label = example
        png, name = staged.png_info(place), example_name(item, row)
        if not self.shards or png.file_size > self._room:
            self.shards.append([])
            self._room = SHARD_BYTES
        self._room -= png.file_size
        self.num_bytes += png.file_size
        self.shards[-1].append(example)
        tags = tags_of(row)
        text = f"{name}\0{label}\0{png.CRC}\0{tags}\0"
        self.digest.update(text.encode("utf-8", "surrogateescape"))
        self.facts.append(
            (
                name,
                label,
                str(item.split),
                item.path,
                item.video,
                row.frame,
                row.face,
                ";".join(item.identities),
                item.manipulation,
                item.quality,
                row.landmarks,
                tags,
            )
        )


def _features(item: Item, row: Row, label: int, png: bytes) -> dict[str, Any]:
    texts = {
        "name": example_name(item, row),
        "path": item.path,
        "video": item.video,
        "identity": ";".join(item.identities),
        "manipulation": item.manipulation,
        "quality": item.quality,
    }
    return {
        # Encoded bytes are stored as they are; an array would need TensorFlow.
        "image": io.BytesIO(png),
        "label": label,
        "frame": row.frame,
        "time": row.time,
        "face": row.face,
        "box": np.array(row.box, np.float32),
        "crop_box": np.array(row.crop_box, np.float32),
        "landmarks": np.array(row.landmarks, np.float32),
        "exif": np.array(tags_of(row), np.float32),
        "detector_score": row.score,
        "source_width": row.width,
        "source_height": row.height,
        **{name: os.fsencode(text) for name, text in texts.items()},
    }


def _without_numbers(reason: str) -> str:
    """Replaces the numbers of a reason, which differ from file to file, by N."""
    return re.sub(r"(?<!JPEG )\b\d+(?:[.,]\d+)*", "N", reason)

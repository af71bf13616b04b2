# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From staged files to what a dataset holds, the same whatever happened on the way."""

import dataclasses
import functools
import hashlib
import io
import math
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

NO_SPLIT = "belongs to no split: it shares people with files of several"

# A file of records is held in memory once while it is written.
SHARD_BYTES = 128 * 2**20


@dataclasses.dataclass(frozen=True)
class Input:
    """A photograph or video, and what came of it.

    Attributes:
        item: With its split.
        staged: The staged file.
        held_out: The parts of the frames, from the end, that are for validation and
            test; None where the whole file is in the split of `item`.
    """

    item: Item
    staged: Path
    held_out: tuple[float, float] | None = None

    def read(self) -> tuple[Staged, list[Row]]:
        """Opens the staged file.

        Returns:
            The file, and its rows as they are final, at the same places.
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
        """The item of each of its rows, with the split of the row."""
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
    """What goes into a dataset.

    Attributes:
        inputs: Sorted by path.
        classes: Names of the classes: the real ones first.
        is_fake: For every class, whether it is fake.
        facts: Of the examples, split by split.
        shards: By split, the examples of each file: the place of the input, that of
            the row in it, and the label.
        tally: Counts everything.
        digest: Identifies the crops, their names, labels and tags.
        num_bytes: Of all crops.
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
        """What the builder writes.

        Args:
            faces: How they were found and cut out, JSON-able.
            count: Told of each crop when it is written.
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
        opened: tuple[int, Staged] | None = None
        try:
            for key, (number, place, label) in enumerate(shard):
                if opened is None or opened[0] != number:
                    if opened is not None:
                        opened[1].close()
                    opened = number, Staged(self.inputs[number].staged)
                staged, item = opened[1], self.inputs[number].item
                png = staged.png(place)
                yield key, _features(item, staged.rows[place], label, png)
                count(1)
        finally:
            if opened is not None:
                opened[1].close()


class Tally:
    """Counts inputs, frames and faces; each is counted once.

    Attributes:
        rows: By status.
        reasons: Rows that are left out, by reason; numbers in it count as equal.
        oddities: Likewise of what was used all the same.
        faces: By class and split.
        num_with_tags: Photographs of which the settings of the camera are known, one
            of them at least.
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
        """Counts what came of an input: its rows, and the item of each."""
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
        """What was counted, JSON-able.

        Args:
            num_missing: Files that the lists of the dataset name and that are absent.

        Raises:
            RuntimeError: It does not add up.
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
    """Divides the frames of every video: first training, then validation, then test.

    Whoever is in a video is then on all sides, so that results say nothing of other
    people; it is for trying things out on a few videos. Photographs are for training.
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
    """Gives every input a split, as far as people may be kept together.

    Args:
        inputs: With the splits that the dataset has by itself.
        validation_fraction: Part that becomes `validation` where the dataset has none.
        seed: Of the division.
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
    """Lays down what goes where; no crop is read.

    Args:
        inputs: Sorted by path, with their splits.
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
    """Says which splits lack real or fake faces, one line each."""
    notes = []
    for split in splits.SPLITS:
        labels = assembly.facts.of_split(split).labels
        sides = {assembly.is_fake[label] for label in labels.tolist()}
        wanted = {False: "real", True: "fake"}
        present = set(assembly.is_fake)
        missing = [wanted[side] for side in sorted(present - sides)]
        if missing:
            notes.append(f"the split {split} has no {' and no '.join(missing)} faces")
    return notes


def class_of(item: Item) -> str:
    """The class as files of names can hold it: valid UTF-8."""
    return item.class_name.encode("utf-8", "backslashreplace").decode()


def example_name(item: Item, row: Row) -> str:
    """The name of an example: unique, and told by its path, frame and face.

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


class _Plan:
    """Deals the examples of a split out to files, in the order in which they come.

    Attributes:
        shards: See `Assembly`.
        facts: A row for each example.
        digest: Of names, labels, crops and tags.
        num_bytes: Of all crops.
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
        """Appends an example: the places of input and row, and the label."""
        _, place, label = example
        size, name = staged.png_size(place), example_name(item, row)
        if not self.shards or size > self._room:
            self.shards.append([])
            self._room = SHARD_BYTES
        self._room -= size
        self.num_bytes += size
        self.shards[-1].append(example)
        tags = _tags_of(row)
        text = f"{name}\0{label}\0{staged.png_checksum(place)}\0{tags}\0"
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
        # Encoded bytes pass through untouched; an array would need TensorFlow.
        "image": io.BytesIO(png),
        "label": label,
        "frame": row.frame,
        "time": row.time,
        "face": row.face,
        "box": np.array(row.box, np.float32),
        "crop_box": np.array(row.crop_box, np.float32),
        "landmarks": np.array(row.landmarks, np.float32),
        "exif": np.array(_tags_of(row), np.float32),
        "detector_score": row.score,
        "source_width": row.width,
        "source_height": row.height,
        **{name: os.fsencode(text) for name, text in texts.items()},
    }


def _tags_of(row: Row) -> tuple[float, ...]:
    return row.tags or (math.nan,) * len(TAGS)


def _without_numbers(reason: str) -> str:
    """A reason that many files share: `is only 9×9 pixels` has N for both."""
    return re.sub(r"(?<!JPEG )\b\d+(?:[.,]\d+)*", "N", reason)

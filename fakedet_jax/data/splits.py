# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Splits items into training, validation and test, keeping each person in one split.

Items that share an identity, a video or a folder that is to stay whole, directly or
through other items, form a group and stay together. Items with none of these are
grouped by content, so that copies stay together. The split of a group depends only on
the seed and on a hash of its name: its smallest folder, else its smallest identity,
else its smallest video, else its content. Neither the order of the items nor other
groups matter; a group changes its split only when an item joins it with another group
or adds a smaller name.
"""

import dataclasses
import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from fakedet_jax.data import scan
from fakedet_jax.data.folder import TEST_FRACTION, check_validation_fraction
from fakedet_jax.data.layouts.base import Item
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Option

SPLITS = ("train", "validation", "test")

# Something that items share: its kind and its name.
_Key = tuple[str, str]

_logger = logging.getLogger(__name__)


def assign(
    items: Iterable[Item],
    *,
    validation_fraction: float = 0.05,
    seed: int = 0,
    content_digest: Callable[[Item], str] | None = None,
) -> list[Item]:
    """Assigns a split to each item that has none.

    A group with official members in one split joins that split. A group with official
    members in several splits gets none: its other items keep `None`, and `find_leaks`
    reports them. Official splits are never changed.

    Args:
        items: The items, in any order.
        validation_fraction: Fraction of the groups for validation. `TEST_FRACTION` of
            them are for test and the rest for training.
        seed: Seed of the division.
        content_digest: Identifies the content of an item's file. By default the path
            is used instead of the content.

    Returns:
        The items in the same order.

    Raises:
        RequestError: `validation_fraction` is not valid.

    >>> people = [("a.png", "Ann"), ("b.png", "Bob"), ("c.png", "Ann")]
    >>> items = [Item(p, "photo", "real", False, identities=(i,)) for p, i in people]
    >>> [item.split for item in assign(items, seed=2)]
    ['test', 'train', 'test']
    """
    check_validation_fraction(validation_fraction)
    items = list(items)
    pending = [index for index, item in enumerate(items) if item.split is None]
    if not pending:
        return items
    keys = [_keys(item, content_digest) for item in items]
    official: dict[_Key, set[str]] = defaultdict(set)
    for item, keys_of_item in zip(items, keys, strict=True):
        if item.split is not None:
            for key in keys_of_item:
                official[key].add(item.split)
    num_torn = 0
    for group in _group(pending, keys):
        names = {key for index in group for key in keys[index]}
        sides = set().union(*(official.get(name, ()) for name in names))
        side: str | None
        if len(sides) > 1:
            side = None
            num_torn += len(group)
        elif sides:
            side = sides.pop()
        else:
            # Test comes first, so that it does not depend on `validation_fraction`.
            place = _fraction(_name_of(names), seed)
            is_train = place >= TEST_FRACTION + validation_fraction
            side = "train" if is_train else "validation"
            side = "test" if place < TEST_FRACTION else side
        for index in group:
            items[index] = dataclasses.replace(items[index], split=side)
    if num_torn:
        _logger.warning(
            "Items linked with several official splits, which get none: %d", num_torn
        )
    return items


def hold_out(
    items: Iterable[Item],
    *,
    fraction: float = 0.05,
    seed: int = 0,
    group_by: str = "identity",
    content_digest: Callable[[Item], str] | None = None,
) -> list[Item]:
    """Moves a part of the training items to validation, for datasets without one.

    Args:
        items: The items, in any order.
        fraction: Fraction of the groups, between 0 and 1.
        seed: Seed of the choice.
        group_by: `identity` keeps people and videos together; `video` only videos, for
            datasets in which nearly all people are linked.
        content_digest: See `assign`.

    Returns:
        The items in the same order.

    Raises:
        RequestError: Validation items exist already, or no group or every group would
            be held out.
    """
    limits = Option("Share of the groups.", above=0, below=1)
    limits.check("validation_fraction", fraction)
    if group_by not in ("identity", "video"):
        raise ValueError(f"group_by: {group_by!r} is neither identity nor video")
    items = list(items)
    if any(item.split == "validation" for item in items):
        raise RequestError(
            "`validation_fraction`: the dataset has its own validation split; leave it "
            "out"
        )
    train = [index for index, item in enumerate(items) if item.split == "train"]
    keys: dict[int, list[_Key]] = {}
    for index in train:
        item = items[index]
        if group_by == "video" and item.video:
            item = dataclasses.replace(item, identities=())
        keys[index] = _keys(item, content_digest)
    groups = _group(train, keys)
    chosen = [
        group
        for group in groups
        if _fraction(_name_of(k for i in group for k in keys[i]), seed) < fraction
    ]
    if len(chosen) in (0, len(groups)):
        raise RequestError(
            f"`validation_fraction`: {fraction:g} would hold out {len(chosen)} of "
            f"{len(groups)} groups of linked items; choose another fraction or `seed`"
        )
    for index in (index for group in chosen for index in group):
        items[index] = dataclasses.replace(items[index], split="validation")
    return items


def groups(items: Iterable[Item], seed: int = 0) -> list[list[int]]:
    """Groups items that belong together, in an order that only the seed decides.

    Args:
        items: The items. Those without any link to others belong together where their
            paths are equal.
        seed: Of the order.

    Returns:
        The indices of the members of each group.

    >>> people = [("a.png", "Ann"), ("b.png", "Bob"), ("c.png", "Ann")]
    >>> items = [Item(p, "photo", "real", False, identities=(i,)) for p, i in people]
    >>> groups(items)
    [[0, 2], [1]]
    """
    keys = [_keys(item, None) for item in items]

    def place(group: list[int]) -> tuple[float, _Key]:
        name = _name_of(key for index in group for key in keys[index])
        return _fraction(name, seed), name

    return sorted(_group(range(len(keys)), keys), key=place)


def find_leaks(items: Iterable[Item]) -> list[str]:
    """Finds identities, videos and folders in several splits, and items in none.

    Args:
        items: The items, with their splits.

    Returns:
        Warnings of one line each; empty if there are none.
    """
    sides: dict[_Key, set[str]] = defaultdict(set)
    homeless = []
    for item in items:
        if item.split is None:
            homeless.append(item.path)
            continue
        for key in _shared(item):
            sides[key].add(item.split)
    warnings = []
    plurals = ("identity", "identities"), ("video", "videos"), ("folder", "folders")
    for kind, plural in plurals:
        torn: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for (kind_of_key, name), found in sides.items():
            if kind_of_key == kind and len(found) > 1:
                torn[tuple(sorted(found, key=_order))].append(name)
        for places, names in sorted(torn.items()):
            count = (
                f"1 {kind} is" if len(names) == 1 else f"{len(names):,} {plural} are"
            )
            warnings.append(
                f"{count} in {' and '.join(places)}: {scan.some(sorted(names))}"
            )
    if homeless:
        count = "1 item is" if len(homeless) == 1 else f"{len(homeless):,} items are"
        warnings.append(f"{count} in no split: {scan.some(sorted(homeless))}")
    return warnings


def _shared(item: Item) -> list[_Key]:
    """What links an item to others: its identities, its video, its folder."""
    keys = [("identity", name) for name in item.identities]
    keys += [("video", item.video)] if item.video else []
    return keys + ([("folder", item.folder)] if item.folder else [])


def _keys(item: Item, content_digest: Callable[[Item], str] | None) -> list[_Key]:
    keys = _shared(item)
    if keys:
        return keys
    if content_digest is None:
        return [("path", item.path)]
    return [("content", content_digest(item))]


def _name_of(keys: Iterable[_Key]) -> _Key:
    """The key that a group is hashed by; of the kinds, the first in the alphabet."""
    return min(keys)


def _group(
    indices: Iterable[int], keys: Mapping[int, list[_Key]] | Sequence[list[_Key]]
) -> list[list[int]]:
    """Groups the items that are linked by keys (union-find over the keys)."""
    parents: dict[_Key, _Key] = {}

    def root_of(key: _Key) -> _Key:
        top = parents.setdefault(key, key)
        while parents[top] != top:
            parents[top] = parents[parents[top]]
            top = parents[top]
        parents[key] = top
        return top

    indices = list(indices)
    for index in indices:
        first, *others = keys[index]
        for other in others:
            parents[root_of(other)] = root_of(first)
    groups: dict[_Key, list[int]] = defaultdict(list)
    for index in indices:
        groups[root_of(keys[index][0])].append(index)
    return list(groups.values())


def _fraction(key: _Key, seed: int) -> float:
    """Hashes a key to a number that is evenly distributed over [0, 1)."""
    text = "\0".join((str(seed), *key))
    encoded = text.encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(encoded, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _order(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)

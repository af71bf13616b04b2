# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Warns if the labels of a dataset can be predicted without looking at the faces.

If all fakes are PNG files, a detector learns the difference between PNG and JPEG. For
file format, size, JPEG quality, EXIF data and greyness, every rule on a single value
(is it v? is it at most v?) is tried on all splits together. There is a warning if the
best rule either

- separates real from fake with a balanced accuracy of at least `MIN_BALANCED_ACCURACY`,
- or holds for at least `MIN_SHARE` of one side and hardly ever for the other.
"""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from fakedet_jax.data import near_duplicates
from fakedet_jax.data.inspection import Facts

MIN_BALANCED_ACCURACY = 0.75
MIN_SHARE = 0.05
MAX_OTHER_RATIO = 0.05  # Of the shares of a one-sided value: other to own side.
MIN_PICTURES = 20  # Per side; with fewer pictures, rules often hold by chance.
MIN_EXPECTED = 10  # One-sided pictures, on the smaller side.

Labels = Mapping[str, Sequence[int] | np.ndarray]
_Value = str | int | bool


def find_leaks(
    facts: Mapping[str, Sequence[Facts]],
    labels: Labels,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> list[str]:
    """Finds attributes that predict labels, and pictures in two splits or classes.

    Args:
        facts: By split, the result of `inspection.inspect`.
        labels: By split, the label of each example, an index into `classes`.
        classes: Class names.
        is_fake: For every class, whether its pictures are fake.

    Returns:
        Warnings of one line each; empty if there are none.
    """
    pooled = [
        (fact, bool(is_fake[label]))
        for split, found in facts.items()
        for fact, label in zip(found, labels[split], strict=True)
        if fact.error is None
    ]
    return [
        *_attribute_warnings(pooled),
        *_split_warnings(facts),
        *_near_duplicate_warnings(facts),
        *_label_warnings(facts, labels, classes),
    ]


@dataclasses.dataclass(frozen=True)
class _Rule:
    """The shares of real and of fake pictures that a rule holds for."""

    text: str
    real: float
    fake: float

    @property
    def balanced_accuracy(self) -> float:
        return (1 + abs(self.real - self.fake)) / 2


# Subject of the warning, name of the value, and the value; `None` where it is missing.
# Width and height share a subject: one warning about the size is enough.
_ATTRIBUTES: tuple[tuple[str, str, Callable[[Facts], _Value | None]], ...] = (
    ("the file format", "format", lambda fact: fact.format),
    ("the size", "width", lambda fact: fact.width),
    ("the size", "height", lambda fact: fact.height),
    ("the JPEG quality", "JPEG quality", lambda fact: fact.jpeg_quality),
    ("EXIF data", "EXIF present", lambda fact: fact.has_exif),
    ("greyness", "grey picture", lambda fact: fact.is_grey),
)


def _attribute_warnings(pooled: Sequence[tuple[Facts, bool]]) -> list[str]:
    warnings: dict[str, str] = {}
    for subject, attribute, value_fn in _ATTRIBUTES:
        values: dict[bool, list[_Value]] = {False: [], True: []}
        for fact, fake in pooled:
            value = value_fn(fact)
            if value is not None:
                values[fake].append(value)
        warning = _judge(subject, attribute, values[False], values[True])
        if warning:
            warnings.setdefault(subject, warning)
    return list(warnings.values())


def _judge(
    subject: str, attribute: str, real: Sequence[_Value], fake: Sequence[_Value]
) -> str | None:
    """The warning about one attribute, if there is one."""
    if min(len(real), len(fake)) < MIN_PICTURES:
        return None
    rules = list(_rules(attribute, real, fake))
    if not rules:  # No picture has the attribute.
        return None
    best = max(rules, key=lambda rule: rule.balanced_accuracy)
    if best.balanced_accuracy >= MIN_BALANCED_ACCURACY:
        return (
            f"{subject} tells real from fake with balanced accuracy "
            f"{best.balanced_accuracy:.2f}: '{best.text}' holds for {best.real:.1%} of "
            f"the real and {best.fake:.1%} of the fake pictures"
        )
    one_sided = [rule for rule in rules if _is_one_sided(rule, len(real), len(fake))]
    if one_sided:
        rule = max(one_sided, key=lambda rule: rule.balanced_accuracy)
        side = "real" if rule.real > rule.fake else "fake"
        return (
            f"{subject} gives some {side} pictures away: '{rule.text}' holds for "
            f"{rule.real:.1%} of the real and {rule.fake:.1%} of the fake pictures"
        )
    return None


def _rules(
    attribute: str, real: Sequence[_Value], fake: Sequence[_Value]
) -> Iterator[_Rule]:
    """All rules on one attribute: equality, and thresholds for numbers."""
    names = sorted({*real, *fake})
    place = {name: position for position, name in enumerate(names)}
    shares = [
        np.bincount([place[value] for value in side], minlength=len(names)) / len(side)
        for side in (real, fake)
    ]
    for name, *share in zip(names, *shares, strict=True):
        if name is not False:  # Equivalent to the rule about True.
            text = attribute if name is True else f"{attribute} is {name}"
            yield _Rule(text, *map(float, share))
    if isinstance(names[0], bool | str):
        return
    below_real, below_fake = map(np.cumsum, shares)
    for name, low_real, low_fake in zip(names, below_real, below_fake, strict=True):
        yield _Rule(f"{attribute} is at most {name}", float(low_real), float(low_fake))
        yield _Rule(
            f"{attribute} is more than {name}", 1 - float(low_real), 1 - float(low_fake)
        )


def _is_one_sided(rule: _Rule, num_real: int, num_fake: int) -> bool:
    share, other = max(rule.real, rule.fake), min(rule.real, rule.fake)
    return (
        share >= MIN_SHARE
        and other <= MAX_OTHER_RATIO * share
        and share * min(num_real, num_fake) >= MIN_EXPECTED
    )


def _split_warnings(facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    """One warning per pair of splits that share pictures."""
    names = {split: _by_digest(found) for split, found in facts.items()}
    warnings = []
    for first, second in itertools.combinations(names, 2):
        shared = [digest for digest in names[first] if digest in names[second]]
        if shared:
            warnings.append(
                f"{_count(shared)} in both {first} and {second}, such as "
                f"{names[first][shared[0]]!r} and {names[second][shared[0]]!r}"
            )
    return warnings


def _near_duplicate_warnings(facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    """One warning per pair of splits with pictures that look the same."""
    hashes = {
        split: np.array([fact.perceptual_hash for fact in found], np.uint64)
        for split, found in facts.items()
    }
    pairs: dict[tuple[str, str], list[tuple[Facts, Facts]]] = defaultdict(list)
    for pair in near_duplicates.find_pairs(hashes):
        (first, second), (i, j) = pair.splits, pair.indices
        one, other = facts[first][i], facts[second][j]
        if one.digest != other.digest:  # Equal files have another warning.
            pairs[first, second].append((one, other))
    warnings = []
    for (first, second), alike in pairs.items():
        number = len({other.name for _, other in alike})
        what = "1 picture" if number == 1 else f"{number:,} pictures"
        verb = "looks" if number == 1 else "look"
        one, other = alike[0]
        warnings.append(
            f"{what} of {second} {verb} like some of {first}, such as {other.name!r} "
            f"like {one.name!r}"
        )
    return warnings


def _label_warnings(
    facts: Mapping[str, Sequence[Facts]], labels: Labels, classes: Sequence[str]
) -> list[str]:
    """One warning per pair of classes that share pictures."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for split, examples in facts.items():
        for fact, label in zip(examples, labels[split], strict=True):
            if fact.digest:
                found[fact.digest].setdefault(int(label), fact.name)
    pairs: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for digest, named in found.items():
        for pair in itertools.combinations(sorted(named), 2):
            pairs[pair].append(digest)
    return [
        f"{_count(shared)} under two labels, {classes[first]!r} and "
        f"{classes[second]!r}, such as {found[shared[0]][first]!r} and "
        f"{found[shared[0]][second]!r}"
        for (first, second), shared in sorted(pairs.items())
    ]


def _by_digest(facts: Sequence[Facts]) -> dict[str, str]:
    names: dict[str, str] = {}
    for fact in facts:
        if fact.digest:
            names.setdefault(fact.digest, fact.name)
    return names


def _count(shared: Sequence[str]) -> str:
    if len(shared) == 1:
        return "1 picture lies"
    return f"{len(shared)} pictures lie"

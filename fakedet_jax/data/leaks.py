# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Warns where a dataset gives its labels away by something other than the content.

A detector trained where all fakes are PNG files learns the difference between PNG and
JPEG. For format, size, JPEG quality, EXIF and greyness, every rule that looks at one
value (is it v? is it at most v?) is tried on all splits together. There is a warning
where the best rule either

- tells real from fake with a balanced accuracy of at least `MIN_BALANCED_ACCURACY`, or
- holds for at least `MIN_SHARE` of one side and hardly ever for the other: such
  pictures can be labelled without looking at the face.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from fakedet_jax.data import near_duplicates
from fakedet_jax.data.inspection import Facts

MIN_BALANCED_ACCURACY = 0.75
MIN_SHARE = 0.05
MAX_OTHER_RATIO = 0.05  # How much rarer a one-sided value is on the other side.
MIN_PICTURES = 20  # Per side; rules over fewer pictures are often chance.
MIN_EXPECTED = 10  # One-sided pictures, found here and expected on the other side.

Labels = Mapping[str, Sequence[int] | np.ndarray]
_Value = str | int | bool


def find_leaks(
    facts: Mapping[str, Sequence[Facts]],
    labels: Labels,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> list[str]:
    """Finds what gives labels away, and pictures that lie in two places.

    Args:
        facts: By split, what `inspect` found.
        labels: By split, the label of each example, an index into `classes`.
        classes: Class names.
        is_fake: For every class, whether its pictures are fake.

    Returns:
        Warnings of one line each; empty where nothing was found.
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
    """How often one rule holds for real and for fake pictures."""

    text: str
    real: float
    fake: float

    @property
    def balanced_accuracy(self) -> float:
        return (1 + abs(self.real - self.fake)) / 2


# What is looked at; `None` means that the picture has no such value. Width and height
# share a name: one warning about the size is enough.
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
    """Words the warning about one attribute, if it deserves one."""
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
    """All rules about one value: equality, and for numbers thresholds."""
    names = sorted({*real, *fake})
    is_number = not isinstance(names[0], bool | str)
    place = {name: position for position, name in enumerate(names)}
    shares = [
        np.bincount([place[value] for value in side], minlength=len(names)) / len(side)
        for side in (real, fake)
    ]
    if not is_number:
        for name, *share in zip(names, *shares, strict=True):
            if name is not False:  # It says what the rule about True says.
                text = attribute if name is True else f"{attribute} is {name}"
                yield _Rule(text, *map(float, share))
        return
    for name, *share in zip(names, *shares, strict=True):
        yield _Rule(f"{attribute} is {name}", *map(float, share))
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
    splits = list(names)
    warnings = []
    for position, first in enumerate(splits):
        for second in splits[position + 1 :]:
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
        if one.digest != other.digest:  # Equal files are told of above.
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
        ordered = sorted(named)
        for position, first in enumerate(ordered):
            for second in ordered[position + 1 :]:
                pairs[first, second].append(digest)
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

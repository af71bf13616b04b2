# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.settings."""

import dataclasses
import json
from pathlib import Path

import pytest

from fakedet_jax import settings
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option, part


@dataclasses.dataclass(frozen=True)
class Inner(Settings):
    size: int = option(8, "A size.", minimum=1)
    mode: str = option("plain", "A mode.", choices=("plain", "fancy"))


@dataclasses.dataclass(frozen=True)
class Other(Settings):
    share: float = option(0.5, "A share.", above=0, below=1)


@dataclasses.dataclass(frozen=True)
class Recipe(Settings):
    rate: float = option(0.1, "A rate.", above=0)
    steps: int = option(3, "Steps.")


KINDS = {"inner": Inner, "other": Other}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Settings):
    path: Path = option(help="A path.", is_stored=False)
    kind: str = option("inner", "A kind.", choices=lambda: list(KINDS))
    names: tuple[str, ...] = option((), "Names.")
    numbers: tuple[int, ...] = option((1,), "Numbers.", minimum=0)
    limit: float | None = option(None, "A limit.", may_change=True)
    renamed: int = option(1, "Known by another name.", name="public")
    recipe: dict = part(Recipe, is_partial=True)
    extra: Other | None = part(
        Other, is_optional=True, triggers=("share",), reason="or not"
    )
    chosen: object = part(
        select=lambda values: KINDS[values.get("kind", "inner")],
        every=lambda: KINDS.values(),
    )


def test_values_find_their_place():
    made = settings.build(
        Whole,
        {"path": Path("p"), "kind": "inner", "size": 3, "rate": 0.5, "public": 7},
    )
    assert made.chosen == Inner(size=3)
    assert made.recipe == {"rate": 0.5}
    assert made.renamed == 7
    assert made.extra is None
    other = settings.build(Whole, {"path": Path("p"), "kind": "other", "share": 0.25})
    assert other.extra == other.chosen == Other(0.25)


@pytest.mark.parametrize(("kind", "chosen"), [("inner", Inner()), ("other", Other())])
def test_a_selected_part_has_its_defaults_however_the_whole_is_made(kind, chosen):
    made = Whole(path=Path("p"), kind=kind)
    assert made.chosen == chosen
    assert made == settings.build(Whole, {"path": Path("p"), "kind": kind})
    assert made.extra is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"`path`: this setting is required \(A path\), found none"),
        ({"path": Path(), "gone": 1}, "`gone`: there is no such setting here"),
        ({"path": Path(), "kind": "odd"}, "odd"),
        ({"path": Path(), "size": 0}, "`size`: expected at least 1, found 0"),
        ({"path": Path(), "mode": "x"}, "`mode`: expected plain, fancy, found 'x'"),
        ({"path": Path(), "numbers": (1, -2)}, "`numbers`: expected at least 0"),
        ({"path": Path(), "kind": "other", "size": 3}, "`size`: there is no such"),
        (
            {"path": Path(), "kind": "other", "share": 1.0},
            "`share`: expected a number between 0 and 1, found 1",
        ),
        (
            {"path": Path(), "limit": float("nan")},
            "`limit`: expected a finite number, found nan",
        ),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_their_names(values, message):
    with pytest.raises((RequestError, KeyError), match=message):
        settings.build(Whole, values)


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "words"),
    [
        ({"minimum": 0, "maximum": 1}, (0, 1, 0.5), (-0.1, 1.1), "from 0 to 1"),
        ({"minimum": 0, "below": 1}, (0, 0.9), (1, -1), "from 0 to less than 1"),
        ({"above": 0}, (0.1, 9), (0, -1, float("inf")), "a number above 0"),
        ({"above": 0, "maximum": 4}, (4,), (0, 5), "a number above 0 up to 4"),
    ],
    ids=str,
)
def test_bounds_hold_and_are_told(bounds, good, bad, words):
    known = settings.Option("Help.", **bounds)
    for value in good:
        known.check("x", value)
    for value in bad:
        with pytest.raises(RequestError, match=words):
            known.check("x", value)


def test_json_is_flat_and_comes_back():
    made = settings.build(
        Whole,
        {
            "path": Path("p"),
            "names": ("a", "b"),
            "limit": 2.5,
            "size": 4,
            "public": 2,
            "steps": 9,
        },
    )
    found = settings.to_json(made)
    assert found == {
        "kind": "inner",
        "names": ["a", "b"],
        "numbers": [1],
        "limit": 2.5,
        "public": 2,
        "steps": 9,
        "size": 4,
        "mode": "plain",
    }
    again = settings.from_json(Inner, json.loads(json.dumps(found)), "here", "mend it")
    assert again == made.chosen


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"size": "many"}, "here: size: expected a whole number such as 10, found"),
        ({"size": 1.5}, "here: size: expected a whole number .* found 1.5"),
        ({"size": True}, "here: size: expected a whole number .* found True"),
        ({"size": 0}, "here: `size`: expected at least 1, found 0"),
        ({"mode": ["plain"]}, "here: mode: expected text"),
    ],
    ids=str,
)
def test_json_of_another_kind_is_refused(found, message):
    with pytest.raises(RequestError, match=message):
        settings.from_json(Inner, found, "here", "mend it")


def test_what_is_missing_in_json_has_its_default():
    assert (
        settings.from_json(Inner, {"unknown": 1, "size": None}, "here", "mend it")
        == Inner()
    )


def test_leaves_of_a_choice_are_those_of_all_or_of_the_chosen():
    names = {leaf.name for leaf in settings.leaves(Whole)}
    assert {"size", "share", "rate", "public"} <= names
    chosen = [leaf.name for leaf in settings.leaves(Whole, {"kind": "other"})]
    assert "size" not in chosen


def test_differences_leave_out_what_may_change():
    earlier, now = {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "c": 6}
    assert settings.differences(earlier, now, {"c"}) == ["b=2 (now 5)"]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the reader of JSON."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import records


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()
    file: Path | None = None

    def __post_init__(self):
        if not self.name:
            raise ValueError("name: expected a name, found none")


@dataclasses.dataclass(frozen=True)
class Whole:
    scale: float
    parts: tuple[Part, ...]
    pair: tuple[str, float] = ("a", 1.0)
    is_open: bool = False
    limit: int | None = None
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    paper: dict[str, float] = dataclasses.field(default_factory=dict)


SOUND = {"scale": 2, "parts": [{"name": "x", "sizes": [1, 2], "file": "a/b"}]}


def convert(value, kind=Whole, **options):
    return records.convert(value, kind, source="'f'", advice="mend it", **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.json"


def refused(path, kind=Whole, **options):
    with pytest.raises(RequestError) as caught:
        records.read(path, kind, advice="mend it", **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert message.endswith("mend it")
    return message.removesuffix("; mend it").removeprefix(repr(str(path)))


def test_objects_become_dataclasses(path):
    path.write_text(json.dumps(SOUND))
    whole = records.read(path, Whole, advice="mend it")
    assert whole == Whole(2.0, (Part("x", (1, 2), Path("a/b")),))
    assert isinstance(whole.scale, float)


def test_what_is_written_is_read_back(path):
    whole = Whole(0.5, (Part("\udcff", (3,), Path("c")),), limit=4, more={"a": [None]})
    path.write_text(json.dumps(records.as_json(whole)))
    kept = records.read(path, Whole, advice="mend it", forbid_unknown=True)
    assert kept == whole


def test_absent_fields_have_their_defaults():
    assert vars(convert({"name": "x"}, Part)) == {
        "name": "x",
        "sizes": (),
        "file": None,
    }
    whole = convert({"scale": 1, "parts": [{"name": "x"}]})
    part = {"name": "x", "sizes": [], "file": None}
    assert records.as_json(whole)["parts"] == [part]


def test_what_json_cannot_hold_is_not_written():
    with pytest.raises(TypeError):
        records.as_json({"a": object()})


def test_other_fields_are_passed_over(path):
    assert convert({**SOUND, "colour": 3}) == convert(SOUND)


def test_a_byte_order_mark_does_no_harm(path):
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert records.read(path, dict[str, Any], advice="mend it") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": expected JSON, found otherwise (Expecting value"),
        (b"{", ": expected JSON, found otherwise"),
        (b"{} {}", ": expected JSON, found otherwise (Extra data"),
        (b'{"\xff": 1}', ": expected JSON, found otherwise"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": 1e999}', "1e999 is no number of JSON"),
        (b'{"a": 1' + b"0" * 5000 + b"}", ": expected JSON, found otherwise"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice in one object"),
        (b'{"a": ' * 100_000, ": expected JSON, found otherwise"),
        (b" " * 5200 + b"{}", ": expected at most 5200 bytes, found more"),
        (b"[]", ": expected an object, found []"),
        (b"null", ": expected an object, found None"),
    ],
)
def test_other_content_is_refused(path, monkeypatch, content, message):
    path.write_bytes(content)
    if "at most" in message:
        monkeypatch.setattr(records, "MAX_BYTES", 5200)
    assert message in refused(path, dict[str, Any])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": "2"}, "scale: expected a number, found '2'"),
        ({"scale": True}, "scale: expected a number, found True"),
        ({"limit": 2.5}, "limit: expected a whole number or null, found 2.5"),
        ({"limit": True}, "limit: expected a whole number or null, found True"),
        ({"is_open": 1}, "is_open: expected true or false, found 1"),
        ({"parts": {}}, "parts: expected a list, found {}"),
        ({"parts": ["x"]}, "parts[0]: expected an object, found 'x'"),
        ({"parts": [{}]}, "parts[0].name: expected a value, found none"),
        ({"parts": [{"name": 3}]}, "parts[0].name: expected a text, found 3"),
        ({"parts": [{"name": ""}]}, "parts[0].name: expected a name, found none"),
        (
            {"parts": [{"name": "x", "sizes": [1, None]}]},
            "parts[0].sizes[1]: expected a whole number, found None",
        ),
        (
            {"parts": [{"name": "x", "file": 7}]},
            "parts[0].file: expected a text, found 7",
        ),
        ({"pair": ["a"]}, "pair: expected a list of length 2, found ['a']"),
        ({"more": [1]}, "more: expected an object, found [1]"),
        ({"paper": {"a": "9"}}, "paper[...]: expected a number, found {'a': '9'}"),
        ({"scale": "long\n" * 1000}, "scale: expected a number, found 'long"),
        ({"scale": 10**400}, "scale: Number out of range"),
    ],
)
def test_wrong_types_are_named_with_their_place(path, changes, message):
    path.write_text(json.dumps({**SOUND, **changes}))
    assert refused(path).startswith(f": {message}")


def test_a_missing_field_is_named(path):
    path.write_text('{"parts": []}')
    assert refused(path) == ": scale: expected a value, found none"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**SOUND, "colour": 3}, "'f': expected only scale, parts, .*found 'colour'"),
        (
            {**SOUND, "parts": [{"name": "x", "nmae": 3}]},
            r"'f': parts\[0\]: expected only name, sizes, file, found 'nmae'; mend it",
        ),
    ],
)
def test_unknown_fields_are_refused_if_asked_for(value, message):
    with pytest.raises(RequestError, match=message):
        convert(value, forbid_unknown=True)


def test_objects_with_arbitrary_keys_have_no_unknown_fields():
    value = {"x": {"name": "a"}}
    assert convert(value, dict[str, Part], forbid_unknown=True) == {"x": Part("a")}
    with pytest.raises(RequestError, match="'f': x: expected only name"):
        convert({"x": {"name": "a", "b": 1}}, dict[str, Part], forbid_unknown=True)


def test_a_missing_folder_is_named_instead_of_its_file(tmp_path):
    with pytest.raises(RequestError) as caught:
        records.read(
            tmp_path / "nowhere" / "a.json", Whole, field="workdir", advice="mend it"
        )
    folder = str(tmp_path / "nowhere")
    assert str(caught.value) == f"`workdir`: {folder!r} does not exist; mend it"


def test_a_missing_file_is_named_with_its_setting(path):
    assert refused(path) == " is missing"
    message = f"`data_dir`: {str(path)!r} is missing; make it; mend it"
    assert (
        refused(path, field="data_dir", if_missing="make it; mend it") + ("; mend it")
        == message
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert refused(tmp_path) == " cannot be read (Is a directory)"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.review and of its page, without a browser."""

import base64
import dataclasses
import functools
import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.evaluation.predictions import FileResult
from fakedet_jax.report import review_page
from fakedet_jax.report.review import Review, thin
from tests.data.pictures import colourful, encode
from tests.report import reviews, samples

OTHER_NAMES = ["quo\"te's & <b>.jpg", "a\u202egpj.exe", "f\udcff\udcfe.jpg", "שלום.jpg"]


def _maps(pictures):
    """Maps as a function of pictures, with two layers."""
    num, height, width = pictures.shape[:3]
    assert num
    return Maps(
        occlusion=np.ones((num, 8, 8), np.float32),
        gradient=np.ones((num, height, width), np.float32),
        layers=np.tile(np.array([1.0, -2.0], np.float32), (num, 1)),
        layer_names=("one", "two"),
        layers_of="some faces",
    )


def _open(path):
    with Image.open(path) as image:
        return np.asarray(image, float)


@pytest.fixture
def photo(tmp_path):
    """A photograph of which a part is a face."""
    path = tmp_path / "photo.png"
    path.write_bytes(encode(colourful(800, 1000, 3)))
    return path


def test_each_row_tells_what_the_table_tells(tmp_path):
    files = [
        ("folder/a.png", [(reviews.face(note="is large"), [2.0])]),
        ("b.png", [(dataclasses.replace(reviews.no_face(), width=20), None)]),
    ]
    reviews.write(tmp_path / "review", files)
    first, second = reviews.read(tmp_path / "review")
    assert first["path"] == "folder/a.png"
    assert first["note"] == "is large"
    (row,) = first["faces"]
    assert row["decision"] == "fake"
    assert row["score"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert row["log_odds"] == 2
    assert "range" not in row
    saved = _open(tmp_path / "review" / row["image"])
    assert saved.shape == (reviews.SIDE, reviews.SIDE, 3)
    assert second["faces"] == [{"face": 0, "reason": "shows no face"}]


def test_the_least_and_the_most_after_changes_are_told(tmp_path):
    files = [("a.png", [(reviews.face(), [-1.0, 1.0, -2.0, -1.5])])]
    reviews.write(tmp_path / "review", files)
    (row,) = reviews.read(tmp_path / "review")[0]["faces"]
    low, high = 1 / (1 + np.exp(2)), 1 / (1 + np.exp(-1))
    assert row["range"] == pytest.approx([low, high], abs=1e-6)
    assert row["changed"][0] == row["range"][1]
    assert row["decision"] == "unsure"
    assert row["note"] == "unsure: fake after JPEG 75"


def test_the_picture_around_a_face_is_copied_smaller(tmp_path, photo):
    row = reviews.face(
        box=(100, 200, 300, 500),
        crop_box=(50, 200, 350, 500),
        crop_side=300.0,
        width=1000,
        height=800,
    )
    reviews.write(tmp_path / "review", [(photo, [(row, [1.0])])])
    (found,) = reviews.read(tmp_path / "review")[0]["faces"]
    assert found["face_pixels"] == 300
    with Image.open(tmp_path / "review" / found["picture"]) as copy:
        assert copy.size == (640, 512)
        near = np.asarray(copy.resize((1000, 800)), float)
    original = _open(photo)
    assert np.abs(near - original).mean() < 12
    assert found["size"] == [1000, 800]
    assert found["box"] == [100, 200, 300, 500]
    assert found["seen"] == [50, 200, 350, 500]


def test_a_photograph_without_a_face_is_shown_too(tmp_path, photo):
    row = dataclasses.replace(reviews.no_face(), width=1000, height=800)
    reviews.write(tmp_path / "review", [(photo, [(row, None)])])
    (found,) = reviews.read(tmp_path / "review")[0]["faces"]
    assert (tmp_path / "review" / found["picture"]).is_file()
    assert "image" not in found


def test_a_picture_that_has_gone_is_not_shown(tmp_path, photo, caplog):
    row = reviews.face(box=(100, 200, 300, 500), width=1000, height=800)
    photo.unlink()
    reviews.write(tmp_path / "review", [(photo, [(row, [1.0])])])
    (found,) = reviews.read(tmp_path / "review")[0]["faces"]
    assert "picture" not in found
    assert "image" in found
    assert "no copy of" in caplog.text


def test_a_video_has_scores_of_each_face_over_time(tmp_path):
    rows = [
        (reviews.face(face, frame=25 * second), [odds])
        for second, pair in enumerate([(0.0, 1.0), (2.0, -1.0), (-3.0, 0.5)])
        for face, odds in enumerate(pair)
    ]
    start = functools.partial(FileResult, all_faces=True)
    reviews.write(tmp_path / "review", [("v.mp4", rows)], start_file=start)
    (video,) = reviews.read(tmp_path / "review")
    assert [track["face"] for track in video["tracks"]] == [0, 1]
    assert video["tracks"][0]["points"] == [
        [0, 0.5],
        [1, pytest.approx(0.880797)],
        [2, pytest.approx(0.0474259)],
    ]
    assert [row["face"] for row in video["faces"]] == [0, 1, "all"]
    # What is shown is the frame of the highest score, and of all faces that of the one
    # whose score they have, although the other is higher in one frame.
    frames = [row["frame"] for row in video["faces"]]
    assert frames == [25, 0, 0]
    assert video["faces"][2]["leading"] == 1
    assert video["faces"][2]["score"] == video["faces"][1]["score"]
    assert video["faces"][2]["image"] == video["faces"][1]["image"]
    expected = reviews.picture(2)
    saved = _open(tmp_path / "review" / video["faces"][0]["image"])
    assert np.abs(saved - expected).max() < 5


def test_a_face_without_a_row_has_no_curve(tmp_path):
    rows = [(reviews.face(0, frame=number), [0.0]) for number in range(20)]
    rows.append((reviews.face(1, frame=19), [0.0]))
    start = functools.partial(FileResult, all_faces=True)
    reviews.write(tmp_path / "review", [("v.mp4", rows)], start_file=start)
    (video,) = reviews.read(tmp_path / "review")
    assert [track["face"] for track in video["tracks"]] == [0]


def test_thin_curves_keep_their_peaks():
    points = [(float(one), np.sin(one / 50)) for one in range(5000)]
    points[1234] = (1234.0, 7.0)
    points[4321] = (4321.0, -7.0)
    kept = thin(points, 100)
    assert len(kept) <= 100
    assert kept == sorted(kept)
    assert {(1234.0, 7.0), (4321.0, -7.0)} <= set(kept)


def test_maps_and_layers_are_drawn_where_they_are_asked_for(tmp_path):
    files = [(f"{n}.png", [(reviews.face(), [float(n)])]) for n in range(40)]
    files.insert(7, ("x.png", [(reviews.no_face(), None)]))
    folder = tmp_path / "review"
    reviews.write(folder, files, maps_fn=_maps, layers_of="some faces")
    found = reviews.read(folder)
    assert [one["path"] for one in found] == [path for path, _ in files]
    for one in found:
        (row,) = one["faces"]
        if "image" not in row:
            assert "maps" not in row
            continue
        assert [(folder / drawn["image"]).is_file() for drawn in row["maps"]] == [
            True,
            True,
        ]
        assert row["layers"] == [["two", -2], ["one", 1]]
    about = reviews.Rows((folder / "report.html").read_text()).scripts["about"]
    assert "some faces" in json.loads(about)["layers_note"]
    assert "not of the picture" in json.loads(about)["maps_note"]


@pytest.mark.parametrize("name", [samples.HOSTILE, "</script>", *OTHER_NAMES])
def test_names_from_files_are_data_and_nothing_else(tmp_path, name):
    row = reviews.face(note=name, provenance=name)
    files = [(name, [(row, [1.0])]), (name, [(reviews.no_face(), None)])]
    info = dataclasses.replace(reviews.INFO, threshold_origin=name)
    folder = tmp_path / "review"
    reviews.write(folder, files, info=info, detector=name, facts={name: name})
    raw = (folder / "report.html").read_bytes()
    page = raw.decode("utf-8")
    parsed = reviews.Rows(page)
    # Three scripts are ours, and only one of them is code.
    assert [attrs.get("type") for tag, attrs in parsed.tags if tag == "script"] == [
        "application/json",
        "application/json",
        None,
    ]
    shown = json.loads(parsed.scripts["rows"])[0]
    for text in (shown["path"], shown["note"], shown["origin"]):
        assert text.isprintable()
        assert "\u202e" not in text
    if name.isprintable():
        assert shown["path"] == name
    assert "alert(" not in page.replace(parsed.scripts["rows"], "").replace(
        "alert(&#34;", ""
    )


def test_no_address_leads_outside(tmp_path):
    folder = tmp_path / "review"
    reviews.write(folder, [("a.png", [(reviews.face(), [1.0])])], maps_fn=_maps)
    page = (folder / "report.html").read_text("utf-8")
    addresses = set(re.findall(r"\w+://[^\s\"'<>`]*", page))
    # The name of SVG is no address: nothing is loaded from there.
    assert addresses == {"http://www.w3.org/2000/svg"}
    for tag, attrs in reviews.Rows(page).tags:
        assert not {"src", "href", "action"} & attrs.keys(), tag


def test_the_content_policy_knows_our_script_alone(tmp_path):
    folder = tmp_path / "review"
    reviews.write(folder, [("a.png", [(reviews.face(), [1.0])])])
    parsed = reviews.Rows((folder / "report.html").read_text("utf-8"))
    (policy,) = [
        attrs["content"] for tag, attrs in parsed.tags if "http-equiv" in attrs
    ]
    digest = hashlib.sha256(parsed.scripts["code"].encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'; img-src 'self' file:;")


def test_json_in_a_page_is_ascii_without_markup():
    value = {"<&>": "</script><!--\u2028\udcff"}
    text = review_page.to_json(value)
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == value


def test_a_new_and_an_empty_folder_are_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        reviews.write(tmp_path / name, [("a.png", [(reviews.face(), [1.0])])])
        assert (tmp_path / name / "report.html").is_file()


def test_a_folder_that_holds_anything_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(RequestError, match=r"`report`: expected a new or an empty"):
            Review(folder, [], reviews.INFO, detector="", facts={})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("is_new", [True, False])
def test_nothing_is_left_of_a_run_that_failed(tmp_path, is_new):
    folder = tmp_path / "review"
    if not is_new:
        folder.mkdir()
    files = [(f"{n}.png", [(reviews.face(), [1.0])]) for n in range(70)]
    files.append(("last.png", [(None, [1.0])]))
    with pytest.raises(AttributeError):
        reviews.write(folder, files)
    assert folder.exists() != is_new
    assert not is_new or not folder.exists()
    if not is_new:
        assert not any(folder.iterdir())


def test_a_failure_to_write_is_one_line(tmp_path):
    folder = tmp_path / "review"

    def fail(pictures):
        raise OSError(28, "No space left on device")

    files = [("a.png", [(reviews.face(), [1.0])])]
    with pytest.raises(RequestError, match=r"`report`: .* \(No space left on device\)"):
        reviews.write(folder, files, maps_fn=fail)
    assert not folder.exists()


def test_a_page_without_rows_is_a_page(tmp_path):
    reviews.write(tmp_path / "review", [])
    assert reviews.read(tmp_path / "review") == []

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the page of a review in a browser, Chromium without a window.

They need the extra `review-test` and Chromium; `FAKEDET_CHROMIUM` names another place
of its program.
"""

import functools
import math
import os
import shutil
import time

import numpy as np
import pytest

from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.evaluation.predictions import FileResult
from tests.data.pictures import colourful, encode
from tests.report import reviews, samples

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs the extra review-test", exc_type=ImportError
)

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NUM_MANY = 5000
# Of the longest time that a person waits without a thought.
MAX_SECONDS = 2.0
WIDE, NARROW = (1200, 900), (400, 800)


@pytest.fixture(scope="module")
def browser():
    program = os.environ.get("FAKEDET_CHROMIUM") or next(
        filter(None, map(shutil.which, _PROGRAMS)), None
    )
    if program is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        # The sandbox does not start in most containers; the page is our own.
        opened = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"]
        )
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """From a folder and the size of a window to its page; ends without any error."""
    problems, requests = [], []
    contexts = []

    def start(folder, size=WIDE):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.wait_for_selector("tbody tr")
        return page

    yield start
    for context in contexts:
        context.close()
    assert problems == []
    assert all(url.startswith("file:") for url in requests)


def _maps(pictures):
    num, height, width = pictures.shape[:3]
    return Maps(
        occlusion=np.ones((num, 8, 8), np.float32),
        gradient=np.ones((num, height, width), np.float32),
        layers=np.tile(np.array([1.0, -2.0], np.float32), (num, 1)),
        layer_names=("one", "two"),
        layers_of="some faces",
    )


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    """Few files of every kind."""
    root = tmp_path_factory.mktemp("review")
    photo = root / "holiday in a folder with a long name" / "group photograph.png"
    photo.parent.mkdir()
    photo.write_bytes(encode(colourful(300, 400, 3)))
    large = {"width": 400, "height": 300, "crop_box": (90, 50, 210, 190)}
    faces = [
        (
            reviews.face(0, box=(100, 60, 200, 180), score=0.9, **large),
            [2.0, 1.5, 2.5, 1.0],
        ),
        (reviews.face(1, box=(250, 60, 300, 120), **large), [-1.0, 1.0, -1.5, -1.0]),
    ]
    hostile = reviews.face(note=samples.HOSTILE, provenance=samples.HOSTILE)
    video = [
        (reviews.face(face, frame=25 * second), [math.sin(second + face)] * 4)
        for second in range(8)
        for face in range(2)
    ]
    files = [
        (photo, faces),
        (f"x/{samples.HOSTILE}.png", [(hostile, [-3.0] * 4)]),
        ("clip.mp4", video),
        ("empty.jpg", [(reviews.no_face(), None)]),
        ("a\u202egpj.exe", [(reviews.face(), [-4.0] * 4)]),
    ]
    reviews.write(
        root / "out",
        files,
        maps_fn=_maps,
        layers_of="some faces",
        start_file=functools.partial(FileResult, all_faces=True),
    )
    return root / "out"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A face of each of very many photographs."""
    folder = tmp_path_factory.mktemp("many") / "out"
    rng = np.random.default_rng(0)
    files = [
        (
            f"photographs/of a journey/{number:05}.jpg",
            [(reviews.face(provenance='camera: "A B", with settings'), [odds])],
        )
        for number, odds in enumerate(rng.normal(0, 2, NUM_MANY).tolist())
    ]
    reviews.write(folder, files)
    return folder


def _names(page):
    return page.locator("tbody .name button").all_inner_texts()


def _scores(page):
    shown = page.locator("tbody td.score").all_inner_texts()
    return [float(text.lstrip("<> ")) for text in shown if text]


def _is_not_wider(page):
    return page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_rows_are_sorted_by_each_column(visit, review):
    page = visit(review)
    assert _names(page)[:2] == ["group photograph.png"] * 2
    page.get_by_role("button", name="Score").click()
    assert _scores(page) == sorted(_scores(page), reverse=True)
    assert _names(page)[-1] == "empty.jpg"
    page.get_by_role("button", name="Score").click()
    assert _scores(page) == sorted(_scores(page))
    assert _names(page)[-1] == "empty.jpg"
    header = page.locator("th[data-key=score]")
    assert header.get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Decision").click()
    kinds = page.locator("tbody .kind").all_inner_texts()
    order = ["fake", "unsure", "real", "skipped"]
    assert kinds == sorted(kinds, key=order.index)


def test_faces_are_counted_and_the_rows_of_videos_are_not(visit, review):
    page = visit(review)
    kinds = page.locator("tbody .kind").all_inner_texts()
    names = page.locator("tbody .name").all_inner_texts()
    (of_video,) = (
        kind for kind, name in zip(kinds, names, strict=True) if "all faces" in name
    )
    told = page.locator("#kinds button").all_inner_texts()
    assert told[0] == f"All {len(kinds) - 1}"
    assert f"{of_video} {kinds.count(of_video) - 1}" in told


def test_rows_are_filtered_by_decision_and_words(visit, review):
    page = visit(review)
    num_all = page.locator("tbody tr").count()
    page.locator("#kinds [data-kind=skipped]").click()
    assert _names(page) == ["empty.jpg"]
    page.locator("#kinds [data-kind='']").click()
    assert page.locator("tbody tr").count() == num_all
    page.fill("#search", "HOLIDAY group")
    assert _names(page) == ["group photograph.png"] * 2
    page.fill("#search", "no face")
    assert _names(page) == ["empty.jpg"]
    page.fill("#search", "nothing of the kind")
    assert page.locator("tbody tr").count() == 0
    assert page.inner_text("#shown") == "No row has all of this."


def _wait(page, expression):
    """Waits until an expression holds.

    Playwright's own waiting evaluates it inside the page, whose policy forbids that.
    """
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def test_a_detail_shows_face_box_changes_maps_and_layers(visit, review):
    page = visit(review)
    page.locator("tbody tr").first.click()
    detail = page.locator("#detail")
    text = detail.inner_text()
    for words in ("group photograph.png, face 0", "JPEG 75", "confidence 0.90"):
        assert words in text
    assert "evidence of the network, not of the picture" in text
    assert "two" in detail.locator(".layers").inner_text()
    _wait(
        page,
        "[...document.querySelectorAll('#detail img')]"
        ".every((image) => image.loading === 'lazy' || image.naturalWidth > 0)",
    )
    picture = detail.locator(".boxed").bounding_box()
    box = detail.locator(".boxed .box").bounding_box()
    for place, start, length, expected in (
        ("x", "x", "width", 100 / 400),
        ("y", "y", "height", 60 / 300),
    ):
        share = (box[place] - picture[start]) / picture[length]
        assert share == pytest.approx(expected, abs=0.01)
    assert box["width"] / picture["width"] == pytest.approx(100 / 400, abs=0.01)
    unsure = page.locator("tbody tr").nth(1)
    page.keyboard.press("Escape")
    unsure.click()
    assert "mild changes of the picture turn the decision" in detail.inner_text()


def test_a_video_has_a_curve_for_each_face(visit, review):
    page = visit(review)
    page.fill("#search", "clip")
    page.locator("tbody tr").first.click()
    assert page.locator("#detail .timeline polyline").count() == 2
    assert page.locator("#detail .timeline circle").count() == 16
    svg = page.locator("#detail .timeline svg").bounding_box()
    for circle in page.locator("#detail .timeline circle").all():
        place = circle.bounding_box()
        assert svg["x"] <= place["x"] <= svg["x"] + svg["width"]
        assert svg["y"] <= place["y"] <= svg["y"] + svg["height"]


def test_the_row_of_all_faces_shows_the_one_whose_score_it_has(visit, review):
    video = next(one for one in reviews.read(review) if one["name"] == "clip.mp4")
    scores = {row["face"]: row["score"] for row in video["faces"]}
    leading = max((0, 1), key=scores.get)
    assert scores["all"] == scores[leading]
    page = visit(review)
    page.fill("#search", "all faces")
    page.locator("tbody tr").first.click()
    text = page.locator("#detail").inner_text()
    assert f"saw of face {leading}, which has the highest score of all" in text
    thick = page.locator("#detail .timeline polyline[stroke-width='2.5']")
    assert thick.count() == 1


def test_the_scale_has_no_colour_at_the_threshold(visit, review):
    page = visit(review)
    page.locator("tbody tr").first.click()
    line = page.locator("#detail .scale .line").get_attribute("style")
    assert "50%" in line


def test_hostile_names_are_text(visit, review):
    page = visit(review)
    page.fill("#search", "alert")
    # What follows the last slash is the name.
    assert _names(page) == [f"{samples.HOSTILE}.png".rpartition("/")[2]]
    page.locator("tbody tr").first.click()
    assert samples.HOSTILE in page.locator("#detail").inner_text()
    assert page.locator("#detail script").count() == 0
    page.keyboard.press("Escape")
    page.fill("#search", "exe")
    assert _names(page) == ["a\\u202egpj.exe"]


def test_all_is_done_with_the_keyboard(visit, review):
    page = visit(review)
    page.locator("#search").focus()
    page.keyboard.type("group")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('td.name') !== null"):
            break
    page.keyboard.press("Enter")
    title = page.locator("#detail-title")
    assert title.inner_text() == "group photograph.png, face 0"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == "group photograph.png, face 1"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == "group photograph.png, face 1"
    page.keyboard.press("Escape")
    assert not page.locator("#detail").is_visible()
    # A dialog tells a moment later that it was closed.
    _wait(page, "document.activeElement.closest('tr')?.dataset.number === '1'")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_is_wider_than_the_window(visit, review, size):
    page = visit(review, size)
    assert _is_not_wider(page)
    for number in range(page.locator("tbody tr").count()):
        page.locator("tbody tr").nth(number).click()
        widths = (
            "(d => d.scrollWidth <= d.clientWidth)(document.querySelector('#detail'))"
        )
        assert page.evaluate(widths)
        assert _is_not_wider(page)
        page.keyboard.press("Escape")
    sizes = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => one.textContent"
        " && one.checkVisibility() && !one.children.length)"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 12
    if size == NARROW:
        page.select_option("#sort", "score")
        assert _scores(page) == sorted(_scores(page), reverse=True)
        page.click("#turn")
        assert _scores(page) == sorted(_scores(page))


def test_thousands_of_rows_open_at_once(visit, many):
    visit(many)  # The browser itself has started.
    start = time.perf_counter()
    page = visit(many)
    seconds = time.perf_counter() - start
    assert page.inner_text("#shown") == "Rows 1 to 100 of 5,000"
    assert seconds < MAX_SECONDS
    page.get_by_role("button", name="Score").click()
    assert _scores(page) == sorted(_scores(page), reverse=True)
    page.get_by_role("button", name="Next page").first.click()
    assert page.inner_text("#shown") == "Rows 101 to 200 of 5,000"
    page.fill("#search", "04321.jpg")
    assert _names(page) == ["04321.jpg"]
    # Only what is looked at is loaded.
    loaded = page.evaluate("performance.getEntriesByType('resource').length")
    assert loaded < 300

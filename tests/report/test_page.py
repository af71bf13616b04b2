# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.page and its template."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import report
from fakedet_jax.faces import colours
from fakedet_jax.report import page
from tests.report import samples
from tests.report.samples import HOSTILE, evaluation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    samples.write(folder)
    return folder


@pytest.fixture(scope="module")
def reader(folder):
    return samples.read(folder)


def _written(folder, found, **others):
    report.write_evaluation(folder, found, title="t", **others)
    return samples.read(folder)


def test_every_name_is_escaped(reader):
    assert "script" not in reader.tags
    # Title and heading, threshold, example, panel twice, skipped twice and its reason,
    # the name of a fact, name and value of a setting.
    assert reader.content.count(HOSTILE) == 12
    alternatives = [value for name, value in reader.attributes if name == "alt"]
    assert alternatives.count(HOSTILE) == 2


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ['"><b>', "' onerror='x", "a&lt;b", "{{ title }}"])
def test_names_cannot_become_markup(tmp_path, name):
    picture = np.zeros((2, 2, 3), np.uint8)
    reader = _written(
        tmp_path,
        evaluation(names=[name, "b", "c", "d"], skipped=[(name, name)]),
        examples=[report.Example(name, "real", 0.1, picture)],
        config={name: name},
    )
    assert reader.open == []
    assert ("alt", name) in reader.attributes
    assert {"onerror", "x"}.isdisjoint(key for key, _ in reader.attributes)
    # The example, the skipped file with its reason twice, and the setting.
    assert reader.content.count(name) == 6


def test_what_cannot_be_printed_is_shown_as_escapes(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert r"x\udcff\u202e" in text
    assert "\u202e" not in text


def test_every_tag_is_closed(reader):
    assert reader.open == []


def test_nothing_is_loaded(reader):
    assert not {"link", "iframe", "object", "a"} & set(reader.tags)
    sources = [value for name, value in reader.attributes if name in {"src", "href"}]
    assert len(sources) == 5 + 1 + 2
    for source in sources:
        start, png = source.split(",")
        assert start == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(png))).format == "PNG"
    policy = dict(reader.attributes)["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_decisions_have_the_colours_of_annotated_copies(folder):
    text = (folder / "report.html").read_text("utf-8")
    for decision, colour in colours.DECISIONS.items():
        assert f"--{decision}: {colour};" in text


def test_warnings_stand_above_the_numbers(tmp_path):
    reader = _written(tmp_path, evaluation(), warnings=[f"mind {HOSTILE}"])
    assert "script" not in reader.tags
    assert reader.content.index(f"Mind {HOSTILE}.") < reader.content.index("Accuracy")


def test_the_headline_counts_decisions(reader):
    assert "2 of 4 pictures were decided correctly (50.0\xa0%)." in reader.content
    assert "Of 100 real faces about 50 would be called fake" in reader.content
    assert "2 real · 2 fake · 2 without a score · threshold 0.5" in reader.content


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0"), (1e-4, "fewer than 1"), (0.0096, "1"), (1.0, "100")],
)
def test_a_rate_is_counted_of_a_hundred(share, words):
    assert page._of_hundred(share) == words


def test_threshold_and_skipped_files_are_stated(reader):
    assert "scores 0.5 or more is called fake. Chosen by hand." in reader.content
    assert "2 files have no score" in reader.content


def test_further_results_and_settings_are_listed(reader):
    assert "tau 0.123457" in reader.content
    assert reader.content.index("Further results") < reader.content.index("Settings")


def test_examples_are_sorted_into_mistakes_and_successes(reader):
    mistakes = reader.content.index("False alarms Real pictures called fake")
    successes = reader.content.index("Clear successes")
    assert mistakes < reader.content.index("score 0.700") < successes
    assert successes < reader.content.index("score 0.900")


def test_only_the_first_skipped_files_are_listed(tmp_path):
    skipped = [(f"file {number}.png", f"reason {number % 2}") for number in range(61)]
    content = _written(tmp_path, evaluation(skipped=skipped)).content
    assert "61 files have no score" in content
    assert "file 49.png" in content and "file 50.png" not in content
    assert "and 11 more, listed in skipped.csv" in content
    assert content.index("reason 0 31") < content.index("reason 1 30")


def test_no_skipped_file_is_stated(tmp_path):
    content = _written(tmp_path, evaluation(skipped=())).content
    assert "None. Every file has a score." in content


@pytest.mark.slow
def test_manipulations_have_rows(tmp_path):
    reader = _written(tmp_path, evaluation(manipulations=["", HOSTILE, "", "swap"]))
    assert "script" not in reader.tags
    assert reader.open == []
    rows = reader.content.split("Manipulation by manipulation")[1]
    assert rows.index(HOSTILE) < rows.index("swap")


def test_intervals_are_beside_numbers(tmp_path):
    result = report.write_evaluation(tmp_path, evaluation(), title="t", num_resamples=9)
    low, high = result["auc_interval"]
    expected = f"{100 * low:.1f}\xa0% to {100 * high:.1f}\xa0%"
    assert expected in samples.read(tmp_path).content


@pytest.mark.parametrize("is_video", [True, False])
def test_frames_are_named_where_there_are_videos(tmp_path, is_video):
    found = evaluation(facts=samples.facts("abcd", is_video=is_video))
    content = _written(tmp_path, found).content
    assert ("AUC (frames)" in content) == ("AUC (videos)" in content) == is_video
    assert f"measured on 2 {'videos' if is_video else 'pictures'}" in content


def test_precision_where_fakes_are_rare():
    summary = {"recall": 0.8, "fpr": 0.04, "num_examples": 150}
    found = page._precision_where_rare(summary, 50)
    assert found["likely"] == pytest.approx(0.008 / (0.008 + 0.04 * 0.99))
    assert found["worst"] < found["likely"] < found["best"]
    assert found["basis"] == 100


@pytest.mark.slow
def test_no_fakes_found_leave_the_precision_undefined(tmp_path):
    content = _written(tmp_path, evaluation(threshold=0.95)).content
    assert "No fake was found, so the precision is not defined." in content


def test_classes_have_their_shares(tmp_path):
    found = evaluation(
        labels=np.array([0, 1, 2, 1]),
        classes=("real", "gan", "glow"),
        is_fake=(False, True, True),
    )
    reader = _written(tmp_path, found)
    widths = [value for name, value in reader.attributes if name == "style"]
    assert widths == ["width:100.0%", "width:50.0%", "width:100.0%"]

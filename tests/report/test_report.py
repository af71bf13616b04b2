# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report: tables, figures and the page."""

import csv
import html.parser
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import report
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.evaluation import metrics
from fakedet_jax.report import canvas, figures
from fakedet_jax.runtime import storage
from tests import tiny

HOSTILE = '<script>alert("1")</script>'
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _evaluation(**changes):
    values = {
        "names": ["a.png", "b,c.png", 'd"e.png', "f\udcff.png"],
        "labels": np.array([0, 1, 0, 1]),
        "scores": np.array([0.1, 0.9, 0.7, 0.2], np.float32),
        "threshold": 0.5,
        "skipped": [("g.png", "the file is empty"), ("h.png", "the file is empty")],
    }
    return report.Evaluation(**(values | changes))


def _open_png(content):
    assert content.startswith(PNG_SIGNATURE)
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


class _Reader(html.parser.HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.content = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.content += data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with an evaluation of everything the page can show."""
    folder = tmp_path_factory.mktemp("report") / "evaluations" / "test"
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    report.write_evaluation(
        folder,
        _evaluation(skipped=[(HOSTILE, HOSTILE), ("x\udcff\u202e", "empty")]),
        title=f"meso4 {HOSTILE}",
        threshold_origin=f"Chosen by hand. {HOSTILE}",
        config={HOSTILE: HOSTILE},
        examples=[
            report.Example(HOSTILE, "real", 0.7, picture),
            report.Example("fine.png", "fake", 0.9, picture),
        ],
        panels={"drawn": report.Panel(HOSTILE, PNG_SIGNATURE, HOSTILE)},
        facts={"tau": 0.123456789, HOSTILE: None},
    )
    return folder


def test_all_files_are_written_and_no_temporary_one_stays(written):
    assert {path.name for path in written.iterdir()} == {
        "metrics.json",
        "scores.csv",
        "skipped.csv",
        "roc.png",
        "precision_recall.png",
        "confusion_matrix.png",
        "scores.png",
        "drawn.png",
        "report.html",
    }


def test_metrics_are_strict_json_of_the_summary(written):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    read = json.loads((written / "metrics.json").read_text(), parse_constant=refuse)
    summary = metrics.summarize(
        [0, 1, 0, 1], np.float32([0.1, 0.9, 0.7, 0.2]), 0.5, num_skipped=2
    )
    facts = {"tau": 0.123456789, HOSTILE: None}
    assert read == {**summary, "fake_classes": ["fake"], **facts}


def test_scores_are_rfc_4180(written):
    assert (written / "scores.csv").read_bytes() == (
        b"path,label,score,predicted\r\n"
        b"a.png,real,0.10000000149011612,real\r\n"
        b'"b,c.png",fake,0.8999999761581421,fake\r\n'
        b'"d""e.png",real,0.699999988079071,fake\r\n'
        b"f\\udcff.png,fake,0.20000000298023224,real\r\n"
    )


def test_skipped_files_are_listed_with_their_reasons(written):
    with (written / "skipped.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "reason"],
            [HOSTILE, HOSTILE],
            ["x\\udcff\u202e", "empty"],
        ]


def test_page_escapes_every_name(written):
    reader = _Reader((written / "report.html").read_text(encoding="utf-8"))
    assert "script" not in reader.tags
    assert reader.content.count(HOSTILE) >= 8


def test_page_lists_further_results(written):
    reader = _Reader((written / "report.html").read_text(encoding="utf-8"))
    assert "Further results" in reader.content
    assert "tau0.123457" in reader.content


def test_page_closes_every_tag(written):
    reader = _Reader((written / "report.html").read_text(encoding="utf-8"))
    assert reader.open == []


def test_page_shows_what_cannot_be_printed_as_escapes(written):
    assert "x\\udcff\\u202e" in (written / "report.html").read_text(encoding="utf-8")


def test_page_loads_nothing(written):
    reader = _Reader((written / "report.html").read_text(encoding="utf-8"))
    assert not {"link", "iframe", "object", "a"} & set(reader.tags)
    sources = [value for name, value in reader.attributes if name in {"src", "href"}]
    assert len(sources) == 4 + 1 + 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_page_states_threshold_and_skips(written):
    content = _Reader((written / "report.html").read_text(encoding="utf-8")).content
    assert "scores 0.5 or more is called fake. Chosen by hand." in content
    assert "2 files have no score" in content


def test_page_sorts_examples_into_mistakes_and_successes(written):
    content = _Reader((written / "report.html").read_text(encoding="utf-8")).content
    mistakes = content.index("Most confident mistakes")
    successes = content.index("Clear successes")
    assert mistakes < content.index("score 0.700") < successes
    assert successes < content.index("score 0.900")


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        report.write_evaluation(tmp_path / name, _evaluation(), title="t")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_evaluation_that_fails_is_not_complete(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    storage.write_text(tmp_path / "metrics.json", "{}")
    monkeypatch.setattr(storage, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_evaluation(tmp_path, _evaluation(), title="t")
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"names": [], "labels": np.zeros(0, int), "scores": np.zeros(0)},
        {"names": ["a"], "labels": np.array([0]), "scores": np.array([0.0])},
        {"names": ["a"], "labels": np.array([1]), "scores": np.array([1.0])},
        {"scores": np.full(4, 0.5), "skipped": ()},
    ],
    ids=["nothing", "one real", "one fake", "all alike"],
)
def test_degenerate_evaluations_are_written(tmp_path, changes):
    result = report.write_evaluation(tmp_path, _evaluation(**changes), title="t")
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    reader = _Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "nan" not in reader.content.lower().replace("balanced", "")


def test_predicted_classes_are_named_in_the_scores(tmp_path):
    evaluation = _evaluation(
        labels=np.array([0, 1, 2, 1]),
        classes=("real", "gan", "diffusion"),
        is_fake=(False, True, True),
        predicted=np.array([0, 2, 2, 0]),
    )
    report.write_evaluation(tmp_path, evaluation, title="t")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["real", "gan", "diffusion", "gan"]
    predicted = [row["predicted"] for row in rows]
    assert predicted == ["real", "diffusion", "diffusion", "real"]


def _facts(paths, *, is_video=True):
    rows = []
    for number, path in enumerate(paths):
        video = path if is_video else ""
        place = (f"{path} {number}", 0, "test", path, video, number, 0)
        rows.append((*place, "", "", "", *tiny.UNKNOWN_PORTRAIT))
    return Facts.from_rows(rows)


def test_scores_of_videos_are_means(tmp_path):
    evaluation = _evaluation(
        labels=np.array([0, 0, 1, 1]),
        scores=np.array([0.25, 0.75, 0.75, 0.125]),
        facts=_facts(["a\udcff", "a\udcff", "b", "c"]),
    )
    report.write_evaluation(tmp_path, evaluation, title="t")
    assert (tmp_path / "video_scores.csv").read_bytes() == (
        b"path,label,score,predicted,num_frames\r\n"
        b"a\\udcff,real,0.5,fake,2\r\n"
        b"b,fake,0.75,fake,1\r\n"
        b"c,fake,0.125,real,1\r\n"
    )


def test_photographs_have_no_scores_of_videos(tmp_path):
    facts = _facts("abcd", is_video=False)
    result = report.write_evaluation(tmp_path, _evaluation(facts=facts), title="t")
    assert not (tmp_path / "video_scores.csv").exists()
    assert "num_videos" not in result


def test_page_shows_manipulations_and_escapes_their_names(tmp_path):
    evaluation = _evaluation(manipulations=["", HOSTILE, "", "swap"])
    report.write_evaluation(tmp_path, evaluation, title="t")
    reader = _Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in reader.tags
    assert reader.open == []
    assert HOSTILE in reader.content


def test_page_shows_intervals_beside_numbers(tmp_path):
    result = report.write_evaluation(
        tmp_path, _evaluation(), title="t", num_resamples=9
    )
    low, high = result["auc_interval"]
    content = _Reader((tmp_path / "report.html").read_text(encoding="utf-8")).content
    assert f"{100 * low:.1f}\xa0% to {100 * high:.1f}\xa0%" in content


@pytest.mark.parametrize("is_video", [True, False])
def test_page_names_frames_where_there_are_videos(tmp_path, is_video):
    evaluation = _evaluation(facts=_facts("abcd", is_video=is_video))
    report.write_evaluation(tmp_path, evaluation, title="t")
    content = _Reader((tmp_path / "report.html").read_text(encoding="utf-8")).content
    assert ("AUC (frames)" in content) == ("AUC (videos)" in content) == is_video


def test_facts_of_other_pictures_are_refused():
    with pytest.raises(ValueError, match="4 names but 3 facts"):
        _evaluation(facts=_facts("abc"))


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="4 names but 3 scores"):
        _evaluation(scores=np.zeros(3))


def test_telling_indices_put_confident_mistakes_first():
    evaluation = _evaluation(
        names=list("abcdefg"),
        labels=np.array([0, 0, 1, 1, 1, 0, 0]),
        scores=np.array([0.6, 0.95, 0.1, 0.99, 0.7, 0.01, 0.3]),
    )
    chosen = report.telling_indices(evaluation, num_mistakes=2, num_correct=3)
    assert chosen == [1, 2, 3, 4, 5]


def test_telling_indices_of_nothing():
    empty = _evaluation(names=[], labels=np.zeros(0, int), scores=np.zeros(0))
    assert report.telling_indices(empty) == []


@pytest.mark.parametrize("num_classes", [2, 8, 20])
def test_figures_of_many_classes(num_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes - 1, 50)
    classes = [f"class_{index}" for index in range(num_classes)]
    is_fake = [index > 0 for index in range(num_classes)]
    matrix = metrics.confusion_matrix(labels, labels, num_classes)
    _open_png(figures.confusion(matrix, classes))
    scores = rng.random(50)
    _open_png(figures.score_histogram(labels, scores, 0.5, classes, is_fake))


def test_curves_of_many_scores():
    rng = np.random.default_rng(0)
    fake, scores = rng.random(200_000) < 0.5, rng.random(200_000)
    assert _open_png(figures.roc(fake, scores, 0.5)).size == (921, 720)
    assert _open_png(figures.precision_recall(fake, scores, 0.5)).size == (921, 720)


def test_thinned_points_keep_both_ends():
    kept = canvas.thin(1_000_000)
    assert (kept[0], kept[-1], kept.size) == (0, 999_999, 4000)


def test_foreign_names_can_be_drawn():
    names = ["_hidden", "$\\frac{$", "\u672c\u7269\udcff\n" + "x" * 99]
    _open_png(figures.confusion(np.eye(3, dtype=np.int64), names))


def test_one_dollar_and_two_are_drawn_as_they_are():
    assert [canvas.plain(name) for name in ("a$", "$a$")] == [r"a\$", r"\$a\$"]


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1.0, 1e4])
def test_traces_figure(scale):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 24, 3), np.uint8)
    traces = scale * rng.normal(size=picture.shape).astype(np.float32)
    assert _open_png(report.traces_figure(picture, traces, HOSTILE)).width == 1296


@pytest.mark.parametrize(
    ("traces", "message"),
    [(np.zeros((4, 5, 3)), "must both be"), (np.full((4, 4, 3), np.inf), "not finite")],
)
def test_traces_figure_refuses_what_it_cannot_draw(traces, message):
    with pytest.raises(ValueError, match=message):
        report.traces_figure(np.zeros((4, 4, 3), np.uint8), traces, "t")


@pytest.mark.parametrize("num_rows", [0, 1, 41])
def test_training_curves(num_rows):
    rows = [
        {"step": step, "loss": None if step == 3 else 1 / (1 + step), "auc": 0.9}
        for step in range(num_rows)
    ]
    _open_png(report.training_curves(rows))


def _curves():
    return [{"step": step, "loss": 1 / (1 + step), "auc": 0.9} for step in range(9)]


def test_training_curves_mark_the_chosen_step():
    plain = report.training_curves(_curves())
    marked = [report.training_curves(_curves(), best_step=step) for step in (3, 5)]
    assert len({plain, *marked}) == 3


@pytest.mark.parametrize("best_step", [0, 5, 100])
def test_the_chosen_step_of_nothing_is_drawn(best_step):
    _open_png(report.training_curves([], best_step=best_step))


def test_atomic_file_keeps_the_old_content_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), storage.atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [
        ("file", b"old")
    ]


def test_atomic_file_shows_nothing_before_it_is_complete(tmp_path):
    path = tmp_path / "file"
    with storage.atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(tmp_path / "file", {"auc": float("nan")})


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys; from fakedet_jax import report;"
        "assert 'matplotlib' not in sys.modules;"
        "report.training_curves([]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

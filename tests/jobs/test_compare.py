# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.compare."""

import csv
import json

import numpy as np
import pytest

from fakedet_jax import report
from fakedet_jax.config import CompareConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs.compare import compare
from fakedet_jax.report.comparison import comparison_table

TEXT = "path,label,score\na.png,real,0.1\nb.png,fake,0.9\nc.png,real,0.6\n"


def _write_evaluation(folder, *, scores=(0.1, 0.2, 0.9), **changes):
    """An evaluation of three pictures in two real classes and one of fakes."""
    evaluation = report.Evaluation(
        names=["a.png", "b.png", "c.png"],
        labels=np.array([0, 1, 2]),
        scores=np.array(scores),
        threshold=0.25,
        classes=("real_ffhq", "photos", "stylegan2"),
        is_fake=(False, False, True),
    )
    report.write_evaluation(folder, evaluation, title="test", has_page=False)
    _edit(folder, fake_classes=["stylegan2"])
    if changes:
        _edit(folder, **changes)
    return folder


def _edit(folder, **changes):
    path = folder / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _write(path, text=TEXT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _compare(tmp_path, *paths, names=()):
    """The text, and the rows of the table by name."""
    output = tmp_path / "output"
    summary = compare(
        CompareConfig(paths=tuple(map(str, paths)), output=output, names=names)
    )
    with (output / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return comparison_table(summary), {
            row["name"]: row for row in csv.DictReader(file)
        }


def _refused(tmp_path, *paths, names=()):
    """The message, after a look at what was written."""
    with pytest.raises(RequestError) as caught:
        _compare(tmp_path, *paths, names=names)
    assert not (tmp_path / "output").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_evaluations_keep_classes_and_threshold(tmp_path):
    folders = [
        _write_evaluation(tmp_path / name / "evaluations" / "test", scores=scores)
        for name, scores in (("one", (0.1, 0.2, 0.9)), ("two", (0.1, 0.3, 0.4)))
    ]
    _, rows = _compare(tmp_path, *folders)
    found = {name: (row["fpr"], row["threshold"]) for name, row in rows.items()}
    assert found == {"one": ("0.0", "0.25"), "two": ("0.5", "0.25")}


def test_an_evaluation_gives_its_own_metrics(tmp_path):
    folder = _write_evaluation(tmp_path / "one", scores=(0.5, 0.2, 0.4))
    expected = json.loads((folder / "metrics.json").read_text())
    row = _compare(tmp_path, folder)[1]["one"]
    for name in ("precision", "recall", "f1", "accuracy", "auc", "fpr", "fnr"):
        assert float(row[name]) == expected[name]


def test_rates_of_errors_have_intervals(tmp_path):
    folder = _write_evaluation(tmp_path / "one", scores=(0.1, 0.3, 0.9))
    row = _compare(tmp_path, folder)[1]["one"]
    # Wilson's of 1 of 2: ½ ± 1.96 √(1 / 8 + z² / 16) / (1 + z² / 2)
    ends = float(row["fpr_low"]), float(row["fpr_high"])
    assert ends == pytest.approx((0.09453, 0.90547), abs=1e-5)


def test_frames_keep_the_intervals_over_videos(tmp_path):
    known = {"auc_interval": [0.5, 1.0], "fpr_interval": None}
    folder = _write_evaluation(tmp_path / "one", num_videos=2, **known)
    row = _compare(tmp_path, folder)[1]["one"]
    assert (row["auc_low"], row["auc_high"]) == ("0.5", "1.0")
    assert row["fpr_low"] == row["fnr_low"] == ""


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("real", "0").replace("fake", "1")])
def test_a_csv_file_is_decided_at_one_half(tmp_path, text):
    row = _compare(tmp_path, _write(tmp_path / "x.csv", text))[1]["x"]
    found = row["recall"], row["fpr"], row["threshold"], row["num_fake"]
    assert found == ("1.0", "0.5", "0.5", "1")


def test_other_columns_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    text = "\ufeffscore,x,label,path\r\n0.1,,real,a\r\n\r\n0.9,,fake,b\r\n"
    row = _compare(tmp_path, _write(tmp_path / "x.csv", text))[1]["x"]
    assert row["num_examples"] == "2"


def test_text_has_a_line_for_each_run(tmp_path):
    paths = [_write(tmp_path / name) for name in ("x.csv", "y.csv")]
    text, _ = _compare(tmp_path, *paths)
    words = [line.split()[0] for line in text.splitlines() if line]
    assert words == 2 * ["run", "x", "y"]


def test_names_are_taken(tmp_path):
    paths = [_write(tmp_path / name) for name in ("x.csv", "y.csv")]
    assert list(_compare(tmp_path, *paths, names=("B", "A"))[1]) == ["B", "A"]


def test_a_path_within_another_has_a_name(tmp_path):
    paths = [_write(tmp_path / "x" / "y.csv"), _write_evaluation(tmp_path / "x")]
    assert list(_compare(tmp_path, *paths)[1]) == ["y", "x"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("A",), "`names`: expected 2 names, one for each path, found 1"),
        (
            ("A", "A"),
            "`names`: expected every run once, found 'A' twice; leave one out",
        ),
    ],
)
def test_unfit_names(tmp_path, names, message):
    paths = [_write(tmp_path / name) for name in ("x.csv", "y.csv")]
    assert _refused(tmp_path, *paths, names=names) == message


def test_no_paths(tmp_path):
    assert "found none" in _refused(tmp_path)


def test_too_many_paths(tmp_path):
    assert "at most 21 runs, found 22" in _refused(tmp_path, *["x.csv"] * 22)


def test_the_same_path_twice(tmp_path):
    path = _write(tmp_path / "x.csv")
    assert "found 'x' twice" in _refused(tmp_path, path, path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no path and no label and no score"),
        ("path,score\na,0.5\n", "found no label"),
        (TEXT + "d.png,fake\n", "line 5: expected 3 cells, found 2"),
        (
            TEXT + "d.png,fake,1.5\n",
            "line 5: expected a score from 0 to 1, found '1.5'",
        ),
        (TEXT + "d.png,fake,nan\n", "found 'nan'"),
        (TEXT + "d.png,fake,\n", "found ''"),
        (TEXT + "d.png,stylegan2,0.5\n", "or False and True, found 'stylegan2'"),
        (TEXT + 'd.png,fake,"0.5\n', "expected a CSV file in UTF-8"),
        (TEXT.replace("fake", "real"), "found no fake ones"),
        (TEXT.replace("real", "fake"), "found only fake ones"),
        ("path,label,score\n", "found no fake ones"),
    ],
)
def test_unusable_csv_files(tmp_path, text, message):
    path = _write(tmp_path / "x.csv", text)
    found = _refused(tmp_path, path)
    assert message in found
    assert str(path) in found


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"path,label,score\n\xff\xfe,real,0\n")
    assert "expected a CSV file in UTF-8" in _refused(tmp_path, path)


def test_a_path_without_anything(tmp_path):
    assert "found nothing of that name" in _refused(tmp_path, tmp_path / "absent")


def test_a_folder_without_an_evaluation(tmp_path):
    assert "metrics.json' is missing; name WORKDIR" in _refused(tmp_path, tmp_path)


def test_an_evaluation_without_scores(tmp_path):
    folder = _write_evaluation(tmp_path / "one")
    (folder / "scores.csv").unlink()
    assert "is missing; run `mode=evaluate` again" in _refused(tmp_path, folder)


def test_an_evaluation_that_lost_rows(tmp_path):
    folder = _write_evaluation(tmp_path / "one", num_examples=5)
    assert "expected 5 rows" in _refused(tmp_path, folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": None},
        {"threshold": "NaN"},
        {"num_examples": [1]},
        {"fake_classes": None},
        {"fake_classes": []},
        {"auc_interval": [0.5]},
    ],
    ids=str,
)
def test_damaged_metrics(tmp_path, changes):
    folder = _write_evaluation(tmp_path / "one", **changes)
    assert str(folder) in _refused(tmp_path, folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"threshold": 0.5}'])
def test_metrics_that_are_none(tmp_path, text):
    folder = _write_evaluation(tmp_path / "one")
    (folder / "metrics.json").write_text(text)
    assert "metrics.json': " in _refused(tmp_path, folder)


def test_an_output_that_is_a_file(tmp_path):
    path = _write(tmp_path / "x.csv")
    with pytest.raises(RequestError, match=r"`output`: .*name another folder"):
        compare(CompareConfig(paths=(str(path),), output=path))


def test_different_pictures_are_named_in_a_warning(tmp_path, caplog):
    paths = [
        _write(tmp_path / "x.csv"),
        _write(tmp_path / "y.csv", TEXT.replace("c.png", "d.png")),
    ]
    _compare(tmp_path, *paths)
    (record,) = caplog.records
    assert record.getMessage() == (
        "x and y were measured on different pictures: 1 only in x, 1 only in y, such "
        "as 'c.png'"
    )


def test_contrary_labels_are_named_in_a_warning(tmp_path, caplog):
    paths = [
        _write(tmp_path / "x.csv"),
        _write(tmp_path / "y.csv", TEXT.replace("c.png,real", "c.png,fake")),
    ]
    _compare(tmp_path, *paths)
    (record,) = caplog.records
    assert "disagree" in record.getMessage()


def test_equal_pictures_need_no_warning(tmp_path, caplog):
    reordered = "path,label,score\nb.png,fake,0.4\na.png,real,0\nc.png,real,1\n"
    paths = [_write(tmp_path / "x.csv"), _write(tmp_path / "y.csv", reordered)]
    _compare(tmp_path, *paths)
    assert not caplog.records

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.cross_dataset."""

import csv
import json

import pytest

from fakedet_jax.report import canvas, cross_dataset
from tests.report import samples


def _row(name, auc=0.8, **changes):
    return {
        "name": name,
        "dataset": "folder",
        "data_dir": f"/data/{name}",
        "split": "test",
        "trained_on": "home",
        "in_domain": name == "home",
        "num_examples": 1234,
        "num_skipped": 0,
        "accuracy": 0.75,
        "accuracy_interval": [0.7, 0.8],
        "auc": auc,
        "auc_interval": auc and [auc - 0.1, auc + 0.1],
        "average_precision": 0.7,
        "average_precision_interval": None,
        "confusion_matrix": [[1, 2], [3, 4]],
        **changes,
    }


VIDEOS = {"num_videos": 40, "video_auc": 0.9, "video_auc_interval": [0.85, 0.95]}
FACTS = {"trained_on": "home", "num_resamples": 1000}
REASON = "`split`: nothing"


def _failed(name):
    keys = ("name", "data_dir", "split", "trained_on", "in_domain")
    row = _row(name)
    return {**{key: row[key] for key in keys}, "reason": REASON}


def _write(folder, *rows, facts=FACTS):
    return cross_dataset.write_cross_dataset(folder, rows, title="tiny", facts=facts)


def test_files_hold_the_same_numbers(tmp_path):
    rows = [_row("home"), _row("a|b", **VIDEOS), _failed("bad")]
    summary = _write(tmp_path, *rows)
    assert json.loads((tmp_path / "cross_dataset.json").read_text()) == summary
    with (tmp_path / "cross_dataset.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file, strict=True))
    assert [row["auc_low"] for row in found] == [str(0.8 - 0.1)] * 2 + [""]
    assert [row["video_auc"] for row in found] == ["", "0.9", ""]
    assert [row["reason"] for row in found] == ["", "", REASON]
    assert "confusion_matrix" not in summary["rows"][0]


def test_the_table_shows_intervals_marks_and_failures(tmp_path):
    summary = _write(tmp_path, _row("home"), _row("away", **VIDEOS), _failed("bad"))
    lines = cross_dataset.cross_dataset_table(summary).split("\n")
    assert lines[0].split("  ")[0] == "dataset"
    assert lines[2].startswith("home*")
    assert "0.800 [0.700, 0.900]" in lines[2]
    assert "0.900 [0.850, 0.950]" in lines[3]
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[-1] == f"bad was not evaluated: {REASON}"


def test_without_videos_there_are_no_columns_for_them(tmp_path):
    summary = _write(tmp_path, _row("home"))
    assert "videos" not in cross_dataset.cross_dataset_table(summary).split("\n")[0]


def test_a_foreign_training_set_is_named(tmp_path):
    summary = _write(tmp_path, _row("away"))
    assert "trained on home" in cross_dataset.cross_dataset_table(summary)


def test_markdown_has_as_many_cells_in_every_line(tmp_path):
    _write(tmp_path, _row("home"), _row("a|b", **VIDEOS), _failed("bad"))
    text = (tmp_path / "cross_dataset.md").read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def _draw(folder, *rows, facts=FACTS):
    figure = cross_dataset.cross_dataset_figure(_write(folder, *rows, facts=facts))
    return figure, figure.axes[0]


def _marks(axes, marker):
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() == marker and len(line.get_xdata())
    ]


def test_the_figure_has_a_row_for_each_dataset(tmp_path):
    rows = (_row("home"), _row("away", **VIDEOS), _failed("bad"))
    figure, axes = _draw(tmp_path, *rows)
    assert samples.ticks(axes.yaxis) == ["home\n(trained on it)", "away", "bad"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.5, 1), (2.5, -0.5))
    assert _marks(axes, "o") == [(0.8, 0), (0.8, pytest.approx(0.87))]
    assert _marks(axes, "D") == [(0.9, pytest.approx(1.13))]
    assert samples.texts(axes) == ["0.800", "0.800", "0.900", "not evaluated"]
    assert samples.legend(figure) == ["AUC (frames)", "AUC (videos)"]
    assert axes.get_xlabel() == "AUC, with 95 % intervals"


def test_intervals_are_lines_at_the_height_of_their_marks(tmp_path):
    _, axes = _draw(tmp_path, _row("a"), _row("b", auc_interval=None))
    (line,) = [line for line in axes.lines if line.get_linewidth() == 2.4]
    assert list(line.get_xdata()) == pytest.approx([0.7, 0.9])
    assert list(line.get_ydata()) == [0, 0]


def test_without_videos_and_intervals_none_are_named(tmp_path):
    figure, axes = _draw(tmp_path, _row("a"), facts={})
    assert samples.legend(figure) == ["AUC (frames)"]
    assert axes.get_xlabel() == "AUC"


def test_an_auc_that_is_undefined_has_a_sentence(tmp_path):
    _, axes = _draw(tmp_path, _row("one class", auc=None))
    assert samples.texts(axes) == ["real and fake are needed"]
    assert not _marks(axes, "o")


def test_an_auc_below_chance_widens_the_axis(tmp_path):
    name = "$a_b$\udcff" + 40 * "x"
    figure, axes = _draw(tmp_path, _row("low", auc=0.3), _row(name))
    assert axes.get_xlim() == (0, 1)
    assert samples.ticks(axes.yaxis)[1].startswith(r"\$a_b\$\udcff")
    canvas.render(figure)


def test_the_figure_grows_with_the_number_of_datasets(tmp_path):
    heights = [
        _draw(tmp_path, *map(_row, "abcdefgh"[:number]))[0].get_figheight()
        for number in (1, 8)
    ]
    assert heights[1] - heights[0] == pytest.approx(7 * 0.62)


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        _write(tmp_path / name, _row("home"), _row("away", **VIDEOS))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_table_that_fails_is_not_complete(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    _write(tmp_path, _row("home"))
    monkeypatch.setattr(cross_dataset.storage, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        _write(tmp_path, _row("home"))
    assert not (tmp_path / "cross_dataset.json").exists()

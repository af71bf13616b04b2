# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.study and of its tables."""

import csv
import json

import numpy as np
import pytest

from fakedet_jax.report import canvas, study, study_tables
from tests.report import samples


def _metrics(accuracy, **changes):
    return {
        "accuracy": accuracy,
        "multiclass_accuracy": accuracy,
        "auc": 0.5,
        "num_examples": 100,
        "num_skipped": 1,
        "classes": ["real", "gan", "glow"],
        "confusion_matrix": [[8, 2, 0], [0, 5, 0], [1, 1, 2]],
        **changes,
    }


def _done(seed, seconds=60.0, **accuracies):
    tests = {
        test: {"metrics": _metrics(value) if isinstance(value, float) else value}
        for test, value in accuracies.items()
    }
    return {
        "seed": seed,
        "status": "done",
        "reason": "",
        "seconds": seconds,
        "tests": tests,
    }


def _failed(seed, reason="ran out of memory"):
    return {
        "seed": seed,
        "status": "failed",
        "reason": reason,
        "seconds": 5.0,
        "tests": {},
    }


def _training(name, *runs, paper=None):
    return {"name": name, "flags": [], "paper": paper or {}, "runs": list(runs)}


def _results(*trainings, tests=("Raw",), **changes):
    return {
        "title": "A table",
        "source": "nowhere",
        "note": "",
        "metric": "multiclass_accuracy",
        "baseline": None,
        "confusion": False,
        "seeds": [0, 1],
        "tests": [{"name": test, "perturb": ""} for test in tests],
        "trainings": list(trainings),
        **changes,
    }


@pytest.fixture
def compared():
    """Two trainings of two seeds under two tests; one run failed."""
    return _results(
        _training(
            "base", _done(0, Raw=0.90, JP60=0.5), _done(1, 120.0, Raw=0.94, JP60=0.7)
        ),
        _training("new", _done(0, Raw=0.96, JP60=0.8), _failed(1), paper={"Raw": 98.5}),
        tests=("Raw", "JP60"),
        baseline="base",
    )


def test_mean_and_deviation_are_those_of_the_sample(compared):
    base = study.summarize(compared)["trainings"][0]
    assert base["tests"]["Raw"]["mean"] == pytest.approx(92)
    # The root of (2² + 2²) / (2 − 1).
    assert base["tests"]["Raw"]["deviation"] == pytest.approx(8**0.5)
    assert base["seconds"] == 90


def test_a_failed_run_is_in_no_mean(compared):
    new = study.summarize(compared)["trainings"][1]
    assert new["tests"]["Raw"]["values"] == {"0": 96.0}
    assert new["tests"]["Raw"]["deviation"] is None
    assert new["seconds"] == 60


def test_the_reduction_of_error_is_relative_to_the_baseline(compared):
    base, new = study.summarize(compared)["trainings"]
    # Errors of 8 and 4, and of 40 and 20 per cent.
    assert new["tests"]["Raw"]["rer"] == pytest.approx(0.5)
    assert new["tests"]["JP60"]["rer"] == pytest.approx(0.5)
    assert base["tests"]["Raw"]["rer"] is None


def test_no_error_cannot_be_reduced():
    summary = study.summarize(
        _results(
            _training("base", _done(0, Raw=1.0)),
            _training("new", _done(0, Raw=0.9)),
            baseline="base",
        )
    )
    assert summary["trainings"][1]["tests"]["Raw"]["rer"] is None


def test_of_two_classes_the_accuracy_counts():
    binary = _metrics(0.75, classes=["real", "fake"])
    del binary["multiclass_accuracy"]
    summary = study.summarize(_results(_training("a", _done(0, Raw=binary))))
    assert summary["trainings"][0]["tests"]["Raw"]["mean"] == 75


def test_an_undefined_metric_is_in_no_mean():
    undefined = _metrics(0.75, auc=None)
    summary = study.summarize(
        _results(_training("a", _done(0, Raw=undefined)), metric="auc")
    )
    cell = summary["trainings"][0]["tests"]["Raw"]
    assert (cell["mean"], cell["values"]) == (None, {"0": None})
    assert "—" in study_tables.study_table(summary)


def test_confusion_matrices_are_means_of_shares():
    other = _metrics(0.5, confusion_matrix=[[4, 0, 0], [0, 9, 1], [0, 0, 0]])
    run = _training("a", _done(0, Raw=0.9), _done(1, Raw=other))
    cell = study.summarize(_results(run, confusion=True))["trainings"][0]["tests"]
    assert cell["Raw"]["confusion_matrix"] == [
        [pytest.approx(90), pytest.approx(10), 0],
        [0, pytest.approx(95), pytest.approx(5)],
        [12.5, 12.5, 25],
    ]
    assert cell["Raw"]["classes"] == ["real", "gan", "glow"]


def test_the_table_is_as_it_should_be(compared):
    table = study_tables.study_table(study.summarize(compared))
    assert table.splitlines() == [
        "A table",
        "accuracy (multi-class) in %, mean ± sample standard deviation over the seeds "
        "0, 1",
        "",
        "training           Raw  paper  Raw RER %           JP60  JP60 RER %  minutes",
        "----------------------------------------------------------------------------",
        "base      92.00 ± 2.83      —          —  60.00 ± 14.14           —      1.5",
        "new              96.00  98.50       50.0          80.00        50.0      1.0",
        "",
        "Source: nowhere",
        "paper: the published number, — if none is known.",
        "RER: relative error reduction against base, (E1 − E2)/E1 of the mean errors, "
        "in %.",
        "minutes: training time, mean over the completed runs.",
        "failed: new, seed 1: ran out of memory",
    ]


def test_markdown_marks_the_best(compared):
    text = study_tables.study_markdown(study.summarize(compared))
    assert "| new | **96.00** | 98.50 | 50.0 | **80.00** | 50.0 | 1.0 |" in text
    assert "|---|---:|---:|---:|---:|---:|---:|" in text
    assert "Bold: the best of each test." in text
    assert "![the same numbers as a figure](study.png)" in text


def test_nothing_is_said_of_bold_where_nothing_is():
    summary = study.summarize(_results(_training("a", _done(0, Raw=0.9))))
    assert "old" not in study_tables.study_markdown(summary)


def test_a_loss_has_a_real_minus_sign():
    trainings = (_training("a", _done(0, Raw=0.8)), _training("b", _done(0, Raw=0.7)))
    summary = study.summarize(_results(*trainings, baseline="a"))
    assert "| −50.0 |" in study_tables.study_markdown(summary)


def test_a_wide_table_is_cut_into_blocks():
    tests = [f"test_{number}" for number in range(8)]
    values = dict.fromkeys(tests, 0.9)
    run = _training("a" * 40, _done(0, **values), _done(1, **values))
    table = study_tables.study_table(study.summarize(_results(run, tests=tests)))
    assert max(map(len, table.splitlines())) <= study_tables.MAX_WIDTH
    assert all(table.count(test) == 1 for test in tests)
    assert sum(line.startswith("training ") for line in table.splitlines()) == 3


def test_many_tests_become_the_rows():
    tests = [f"test_{number}" for number in range(9)]
    run = _training("a", _done(0, **dict.fromkeys(tests, 0.9)))
    summary = study.summarize(_results(run, tests=tests))
    lines = study_tables.study_table(summary).splitlines()
    assert lines[3].split() == ["test", "a"]
    assert lines[5].split() == ["test_0", "90.00"]
    assert lines[14].split() == ["minutes", "1.0"]


def test_a_confusion_matrix_stands_below_the_table():
    run = _training("a", _done(0, Raw=0.9))
    table = study_tables.study_table(study.summarize(_results(run, confusion=True)))
    lines = table.splitlines()
    place = lines.index("a, test Raw: per cent of each true class")
    assert lines[place + 1].split() == ["true", "class", "real", "gan", "glow"]
    assert lines[place + 3].split() == ["real", "80.00", "20.00", "0.00"]


def test_classes_without_room_for_their_names_have_numbers():
    names = [f"class_of_a_long_name_{number}" for number in range(8)]
    matrix = [[int(row == column) for column in range(8)] for row in range(8)]
    own = _metrics(0.9, classes=names, confusion_matrix=matrix)
    results = _results(_training("a", _done(0, Raw=own)), confusion=True)
    table = study_tables.study_table(study.summarize(results))
    assert " 8 class_of_a_long_name_7" in table
    assert max(map(len, table.splitlines())) <= study_tables.MAX_WIDTH


def test_names_of_classes_cannot_break_a_table():
    own = _metrics(0.9, classes=["a|b", "\udcff", "c"])
    results = _results(_training("a", _done(0, Raw=own)), confusion=True)
    text = study_tables.study_markdown(study.summarize(results))
    assert "| a\\|b | 80.00 |" in text
    assert "| \\udcff |" in text


def test_the_files_are_complete(compared, tmp_path):
    summary = study.write_study(tmp_path, compared)
    assert {path.name for path in tmp_path.iterdir()} == {
        "study.csv",
        "study.json",
        "study.md",
        "study.png",
    }
    assert json.loads((tmp_path / "study.json").read_text()) == summary
    with (tmp_path / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["multiclass_accuracy"] for row in rows] == [
        *("0.9", "0.5", "0.94", "0.7", "0.96", "0.8", "", "")
    ]
    assert rows[-1]["reason"] == "ran out of memory"


def test_one_test_has_no_figure(tmp_path):
    (tmp_path / "study.png").write_bytes(b"of an earlier study")
    study.write_study(tmp_path, _results(_training("a", _done(0, Raw=0.9))))
    assert not (tmp_path / "study.png").exists()


def _draw(results):
    figure = study.study_figure(study.summarize(results))
    axes, bar = figure.axes
    return figure, axes, bar


def test_the_figure_shows_the_means(compared):
    figure, axes, bar = _draw(compared)
    means = axes.collections[0].get_array()
    np.testing.assert_allclose(means, [[92, 60], [96, 80]])
    assert samples.ticks(axes.yaxis) == ["base", "new"]
    assert samples.ticks(axes.xaxis) == ["Raw", "JP60"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("training", "test")
    assert axes.collections[0].get_clim() == (60, 100)
    assert samples.texts(axes) == ["92.0", "60.0", "96.0", "80.0"]
    assert [text.get_color() for text in axes.texts] == [
        *("white", canvas.INK, "white", canvas.INK)
    ]
    assert bar.get_ylabel() == "accuracy (multi-class), %"
    assert figure.get_suptitle() == "A table"
    assert canvas.render(figure) == canvas.render(_draw(compared)[0])


def test_many_tests_are_the_rows_of_the_figure(compared):
    tests = [f"test_{number}" for number in range(20)]
    values = dict.fromkeys(tests, 0.9)
    many = _results(_training("a", _done(0, **values)), tests=tests)
    figure, axes, _ = _draw(many)
    assert samples.ticks(axes.yaxis) == tests
    assert samples.ticks(axes.xaxis) == ["a"]
    assert axes.get_ylim() == (20, 0)
    assert figure.get_figheight() > _draw(compared)[0].get_figheight()


def test_a_long_title_is_broken_into_lines(compared):
    figure, _, _ = _draw({**compared, "title": "word " * 30})
    lines = figure.get_suptitle().split("\n")
    assert len(lines) > 2
    assert max(map(len, lines)) <= canvas.letters(figure)


def test_a_study_of_failures_can_be_drawn():
    results = _results(_training("a", _failed(0)), tests=("Raw", "JP60"))
    assert study.failures(study.summarize(results)) == ["a, seed 0: ran out of memory"]
    figure, axes, _ = _draw(results)
    assert samples.texts(axes) == ["—", "—"]
    assert canvas.render(figure)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.robustness."""

import json

import numpy as np
import pytest

from fakedet_jax import report
from fakedet_jax.evaluation import delong, metrics
from fakedet_jax.perturb import suites
from fakedet_jax.perturb.perturbation import OPERATIONS
from fakedet_jax.report import canvas, robustness
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.report.wording import minus
from tests.report import samples

SUITE = suites.create("fakespotter")


def _evaluation(noise, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    scores = np.clip(labels + noise * rng.normal(size=40), 0, 1)
    names = [f"{row}.png" for row in range(40)]
    return report.Evaluation(
        names, labels, scores, threshold=0.5, skipped=[("x.png", "is empty (0 bytes)")]
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    evaluations = [_evaluation(0.3 + 0.1 * (row % 5), row) for row in range(20)]
    summary = robustness.write_robustness(
        folder, SUITE, _evaluation(0.2), evaluations, title="tiny on $pictures_"
    )
    return summary, folder, evaluations


def test_every_condition_has_the_metrics_of_its_evaluation(written):
    summary, _, evaluations = written
    for row, evaluation in zip(summary["conditions"], evaluations, strict=True):
        assert row["auc"] == metrics.auc(evaluation.labels, evaluation.scores)
        expected = evaluation.summarize()
        assert {name: row[name] for name in metrics.BINARY_METRICS} == {
            name: expected[name] for name in metrics.BINARY_METRICS
        }


def test_the_files_are_complete(written):
    summary, folder, _ = written
    assert {path.name for path in folder.iterdir()} == {
        "robustness.csv",
        "robustness.json",
        "robustness.png",
        "report.html",
        "robustness_heatmap.png",
        "skipped.csv",
    }
    assert json.loads((folder / "robustness.json").read_text()) == summary
    assert len((folder / "robustness.csv").read_text().splitlines()) == 22
    assert "is empty" in (folder / "skipped.csv").read_text()


def test_missing_evaluations_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        robustness.write_robustness(
            tmp_path, SUITE, _evaluation(0.2), [_evaluation(0.3)], title=""
        )
    assert not (tmp_path / "robustness.json").exists()


def test_a_repetition_is_incomplete_until_it_is_done(tmp_path):
    (tmp_path / "robustness.json").write_text("{}")
    with pytest.raises(ValueError, match="zip"):
        robustness.write_robustness(tmp_path, SUITE, _evaluation(0.2), [], title="")
    assert not (tmp_path / "robustness.json").exists()


def _aucs(summary, operation):
    rows = summary["conditions"]
    return [row["auc"] for row in rows if row["operation"] == operation]


def test_each_operation_has_a_panel_with_its_aucs(written):
    summary, _, _ = written
    figure = robustness.robustness_figure(summary, title="tiny on $pictures_")
    assert figure.get_suptitle() == r"AUC under perturbation: tiny on \$pictures_"
    for axes, operation in zip(figure.axes, SUITE.operations, strict=True):
        kind = OPERATIONS[operation]
        assert axes.get_title(loc="left") == kind.title
        assert axes.get_xlabel() == kind.strength_name
        curve, level = axes.lines
        assert list(curve.get_ydata()) == _aucs(summary, operation)
        assert list(level.get_ydata()) == [summary["baseline"]["auc"]] * 2
        drop = summary["mean_auc_drop_by_operation"][operation]
        assert axes.get_title(loc="right") == minus(
            f"mean change {-100 * drop:+.1f} points"
        )
        assert axes.get_ylim() == (0.5, 1.01)
    assert samples.ticks(figure.axes[0].xaxis) == ["90", "70", "50", "30", "10"]
    baseline = f"unperturbed {summary['baseline']['auc']:.3f}"
    assert samples.legend(figure) == ["one strength", baseline]


def test_mixes_are_apart_from_single_strengths(mixed):
    summary, _ = mixed
    figure = robustness.robustness_figure(summary, title="tiny")
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == 8
    curve, mix, _, overall = visible[0].lines
    assert [*curve.get_ydata(), *mix.get_ydata()] == _aucs(summary, "mean_filter")
    assert mix.get_linestyle() == "None"
    assert list(overall.get_ydata()) == _aucs(summary, "mix") * 2
    assert samples.legend(figure)[1] == "mix of the strengths"
    assert samples.legend(figure)[-1].startswith("mix of everything 0.")


def test_an_auc_below_chance_widens_the_axis(written):
    conditions = [{**row, "auc": 0.4} for row in written[0]["conditions"]]
    summary = {**written[0], "conditions": conditions}
    figure = robustness.robustness_figure(summary, title="bad")
    assert figure.axes[0].get_ylim() == (0, 1.01)


def _heatmap(summary):
    figure = robustness.robustness_heatmap(summary, title="tiny")
    axes, bar = figure.axes
    return axes, axes.collections[0], bar


def test_the_heatmap_shows_the_change_of_each_condition(written):
    summary, _, _ = written
    axes, mesh, bar = _heatmap(summary)
    aucs = np.array([_aucs(summary, operation) for operation in SUITE.operations])
    changes = 100 * (aucs - summary["baseline"]["auc"])
    np.testing.assert_allclose(mesh.get_array(), changes)
    assert mesh.get_clim() == (-20, 5)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 5), (4, 0))
    assert "points of AUC" in bar.get_xlabel()


def test_the_cells_of_the_heatmap_have_strength_and_auc(written):
    summary, _, _ = written
    axes, _, _ = _heatmap(summary)
    cells = {}
    for text in axes.texts:
        cells.setdefault(text.xy, []).append(text)
    labels = {place: own for place, own in cells.items() if place[0] == 0}
    assert [own[0].get_text() for own in labels.values()] == [
        OPERATIONS[operation].title for operation in SUITE.operations
    ]
    assert len(cells) == len(labels) + 20
    row = summary["conditions"][6]
    shown = {text.get_text() for text in cells[1.5, 1.5]}
    assert shown == {f"{row['strength']:g}", f"{100 * row['auc']:.1f}"}
    dark = 100 * (summary["baseline"]["auc"] - row["auc"]) >= 12
    expected = "white" if dark else canvas.INK
    assert {text.get_color() for text in cells[1.5, 1.5]} == {expected}


@pytest.mark.parametrize(("change", "is_blue"), [(-0.1, False), (0.04, True)])
def test_drops_are_orange_and_gains_are_blue(written, change, is_blue):
    baseline = {**written[0]["baseline"], "auc": 0.9}
    conditions = [
        {**row, "auc": 0.9 + change, "auc_change": change}
        for row in written[0]["conditions"]
    ]
    summary = {**written[0], "baseline": baseline, "conditions": conditions}
    _, mesh, _ = _heatmap(summary)
    red, _, blue, _ = mesh.to_rgba(mesh.get_array())[0, 0]
    assert (blue - red > 0.2) == is_blue
    assert (red - blue > 0.2) != is_blue


def test_mixes_have_the_last_column_of_the_heatmap(mixed):
    summary, _ = mixed
    axes, mesh, _ = _heatmap(summary)
    changes = np.ma.filled(mesh.get_array(), np.nan)
    # 12 strengths of scaling, a gap, and the mixes; the last row mixes everything.
    assert changes.shape == (9, 14)
    assert np.isfinite(changes[:, -1]).all()
    assert np.isnan(changes[-1, :-1]).all()
    mix = 100 * (_aucs(summary, "mix")[0] - summary["baseline"]["auc"])
    assert changes[-1, -1] == pytest.approx(mix)
    assert "Everything" in samples.texts(axes)


def _part(summary, number, strengths):
    """The first operations of a summary, and of each the first strengths."""
    operations = list(summary["mean_auc_drop_by_operation"])[:number]
    conditions = []
    for name in operations:
        own = [row for row in summary["conditions"] if row["operation"] == name]
        conditions += own[:strengths]
    return {**summary, "conditions": conditions}


@pytest.mark.few(1)
@pytest.mark.parametrize(("number", "strengths"), [(1, 1), (1, 5), (3, 5)])
def test_a_small_suite_fills_a_figure(written, number, strengths):
    summary = _part(written[0], number, strengths)
    figure = robustness.robustness_figure(summary, title="few")
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == number
    assert {len(axes.lines[0].get_ydata()) for axes in visible} == {strengths}
    _, mesh, _ = _heatmap(summary)
    assert mesh.get_array().shape == (number, strengths)
    assert canvas.render(figure)
    assert canvas.render(robustness.robustness_heatmap(summary, title="few"))


def test_the_files_are_the_figures(mixed):
    summary, folder = mixed
    for name, draw in (
        ("robustness", robustness.robustness_figure),
        ("robustness_heatmap", robustness.robustness_heatmap),
    ):
        drawn = canvas.render(draw(summary, title="tiny"))
        assert drawn == (folder / f"{name}.png").read_bytes()


def test_the_table_has_a_line_for_each_condition(written):
    summary, _, _ = written
    lines = robustness.robustness_table(summary).splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[2].split()[:2] == ["jpeg", "90"]
    assert f"{-summary['mean_auc_drop']:+.4f}" in lines[-1]
    assert len({len(line) for line in lines[:-1]}) == 1


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    suite = suites.create("amten")
    evaluations = [_evaluation(0.6, row % 4) for row in range(len(suite.conditions))]
    folder = tmp_path_factory.mktemp("report")
    summary = robustness.write_robustness(
        folder, suite, _evaluation(0.2), evaluations, title="tiny"
    )
    return summary, folder


def test_mixes_are_rows_but_not_in_the_means(mixed):
    summary, folder = mixed
    jpeg = [row for row in summary["conditions"] if row["operation"] == "jpeg"]
    assert [row["strength"] for row in jpeg] == [90, 85, 80, 75, 70, 65, 60, "mix"]
    baseline = summary["baseline"]["auc"]
    drops = [baseline - row["auc"] for row in jpeg[:-1]]
    found = summary["mean_auc_drop_by_operation"]
    assert found["jpeg"] == pytest.approx(np.mean(drops))
    assert "mix" not in found
    assert "\nmix,mix," in (folder / "robustness.csv").read_text()


def test_the_table_names_the_mixes(mixed):
    lines = robustness.robustness_table(mixed[0]).splitlines()
    assert lines[-2].split()[:2] == ["mix", "mix"]
    assert len({len(line) for line in lines[:-1]}) == 1


def test_the_table_says_what_is_in_the_mean(mixed, written):
    lines = [robustness.robustness_table(one[0]) for one in (mixed, written)]
    assert ["without mixes" in text for text in lines] == [True, False]


def test_a_change_has_the_interval_of_pairs(written):
    summary, _, evaluations = written
    baseline = _evaluation(0.2)
    for row, evaluation in zip(summary["conditions"], evaluations, strict=True):
        change, ends = delong.difference_interval(
            baseline.fake, baseline.scores, evaluation.scores
        )
        assert row["auc_change"] == pytest.approx(change)
        assert row["auc_change_interval"] == list(ends)
        assert row["auc_interval"][0] <= row["auc"] <= row["auc_interval"][1]


def test_the_page_shows_figures_and_conditions(written):
    summary, folder, _ = written
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert "tiny on $pictures_: robustness" in page
    worst = min(row["auc_change"] for row in summary["conditions"])
    assert minus(f"most by {100 * worst:+.1f}") in page
    assert page.count("<tr><td>") == 21


def test_frames_of_videos_have_no_intervals(tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluation, "videos", property(lambda _: object()))
    evaluations = [_evaluation(0.3)] * 20
    summary = robustness.write_robustness(
        tmp_path, SUITE, _evaluation(0.2), evaluations, title="films"
    )
    assert not any("auc_interval" in row for row in summary["conditions"])
    assert "frames have no intervals" in (tmp_path / "report.html").read_text()

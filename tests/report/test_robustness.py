# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.robustness."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import report
from fakedet_jax.evaluation import metrics
from fakedet_jax.perturb import suites
from fakedet_jax.report import robustness

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


def test_the_figure_is_the_same_each_time(written):
    summary, folder, _ = written
    drawn = robustness.robustness_figure(summary, title="tiny on $pictures_")
    assert drawn == (folder / "robustness.png").read_bytes()
    picture = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"))
    assert picture.std() > 5


def _part(summary, number, strengths=5):
    """The first operations of a summary, and of each the first strengths."""
    operations = list(summary["mean_auc_drop_by_operation"])[:number]
    conditions = [
        row
        for name in operations
        for row in [row for row in summary["conditions"] if row["operation"] == name][
            :strengths
        ]
    ]
    return {**summary, "conditions": conditions}


@pytest.mark.parametrize(("number", "strengths"), [(1, 1), (1, 5), (3, 5)])
@pytest.mark.parametrize(
    "draw", [robustness.robustness_figure, robustness.robustness_heatmap]
)
def test_a_small_suite_fills_a_figure(written, draw, number, strengths):
    drawn = draw(_part(written[0], number, strengths), title="few")
    picture = np.asarray(Image.open(io.BytesIO(drawn)).convert("L"))
    # Something was drawn in the middle and at the bottom of a page of legible size.
    height, width = picture.shape
    assert width > 700
    for part in (picture[height // 4 : height // 2], picture[-height // 4 :]):
        assert part.std() > 5


def test_the_table_has_a_line_for_each_condition(written):
    summary, _, _ = written
    lines = robustness.robustness_table(summary).splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[2].split()[:2] == ["jpeg", "90"]
    assert f"{summary['mean_auc_drop']:.4f}" in lines[-1]
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
    assert ["mixes not counted" in text for text in lines] == [True, False]


def _share_of(colour, picture):
    """The share of pixels in which a channel is far above the other end's."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.int64)
    # Not the colour bar at the bottom, which has all colours.
    pixels = pixels[: len(pixels) * 2 // 3]
    red, blue = pixels[..., 0], pixels[..., 2]
    return np.mean((blue - red if colour == "blue" else red - blue) > 20)


@pytest.mark.parametrize(("change", "colour"), [(-0.1, "orange"), (0.04, "blue")])
def test_drops_and_gains_have_colours_of_their_own(written, change, colour):
    baseline = {**written[0]["baseline"], "auc": 0.9}
    conditions = [{**row, "auc": 0.9 + change} for row in written[0]["conditions"]]
    summary = {**written[0], "baseline": baseline, "conditions": conditions}
    drawn = robustness.robustness_heatmap(summary, title="one change")
    other = "orange" if colour == "blue" else "blue"
    assert _share_of(colour, drawn) > 0.3
    assert _share_of(other, drawn) < 0.01


@pytest.mark.parametrize("name", ["robustness.png", "robustness_heatmap.png"])
def test_the_figures_of_a_large_suite_grow_with_it(mixed, written, name):
    heights = []
    for folder in (mixed[1], written[1]):
        with Image.open(folder / name) as figure:
            heights.append(figure.height)
    assert heights[0] > heights[1]


def test_the_heatmap_is_the_same_each_time(mixed):
    summary, folder = mixed
    drawn = robustness.robustness_heatmap(summary, title="tiny")
    assert drawn == (folder / "robustness_heatmap.png").read_bytes()

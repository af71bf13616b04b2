# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.training."""

import numpy as np
import pytest

from fakedet_jax import report
from fakedet_jax.report import canvas
from tests.report import samples


def _rows(number):
    return [
        {
            "step": 10 * step,
            "train_loss": None if step == 3 else 1 / (1 + step),
            "validation_auc": 0.9,
            "_accuracy": 0.8,
        }
        for step in range(number)
    ]


def test_losses_are_above_and_metrics_below():
    figure = report.training_curves(_rows(9))
    above, below = figure.axes
    (drawn,) = [line for line in above.lines if len(line.get_xdata())]
    np.testing.assert_array_equal(drawn.get_xdata(), [0, 10, 20, *range(40, 90, 10)])
    np.testing.assert_allclose(
        drawn.get_ydata(), [1 / (1 + step) for step in range(9) if step != 3]
    )
    assert drawn.get_marker() == "o"
    names = ["train_loss", "validation_auc", "\N{NO-BREAK SPACE}_accuracy"]
    assert samples.legend(figure) == names
    assert len({line.get_color() for line in below.lines}) == 2
    assert (above.get_ylabel(), below.get_xlabel()) == ("Loss", "Training step")
    canvas.render(figure)


def test_the_first_spike_does_not_flatten_the_losses():
    losses = [40.0, 9.0, *(0.7 - 0.01 * step for step in range(40))]
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    (above, _) = report.training_curves(rows).axes
    assert above.get_ylim()[0] < min(losses)
    assert 0.7 < above.get_ylim()[1] < 2
    assert above.get_ylabel() == "Loss (up to 40, cut off)"


def test_a_long_series_is_drawn_with_its_running_average():
    figure = report.training_curves(_rows(150))
    raw, average, _ = figure.axes[0].lines
    assert len(raw.get_xdata()) == len(average.get_xdata()) == 149
    losses = raw.get_ydata()
    # A window of 2 steps to each side, which ends at the first step.
    assert average.get_ydata()[0] == pytest.approx(losses[:3].mean())
    assert average.get_ydata()[50] == pytest.approx(losses[48:53].mean())
    assert raw.get_alpha() < 1


def test_the_average_of_a_constant_is_constant():
    rows = [{"step": step, "auc": 0.9} for step in range(150)]
    average = report.training_curves(rows).axes[1].lines[1]
    assert set(average.get_ydata()) == {0.9}


@pytest.mark.parametrize("best_step", [0, 50])
def test_the_chosen_step_is_marked_in_both_axes(best_step):
    for axes in report.training_curves(_rows(9), best_step=best_step).axes:
        assert list(axes.lines[-1].get_xdata()) == [best_step, best_step]
        assert axes.get_title(loc="right") == f"dashed: the chosen step, {best_step}"


@pytest.mark.parametrize("best_step", [None, 5])
def test_nothing_recorded_is_said(best_step):
    for axes in report.training_curves([], best_step=best_step).axes:
        assert samples.texts(axes) == ["nothing recorded yet"]
        assert not axes.lines

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.traces."""

import io

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import report
from fakedet_jax.report import canvas
from fakedet_jax.report.traces import draw_traces
from tests.report import samples


def _data(scale=1.0, mean=0.0):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 24, 3), np.uint8)
    return picture, mean + scale * rng.normal(size=picture.shape)


def test_the_panels_show_the_picture_and_its_traces():
    picture, traces = _data(2.0, mean=7.0)
    figure = draw_traces(picture, traces, samples.HOSTILE)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "Photograph",
        "Traces, channels averaged",
        "Spectrum of the traces",
        "Traces, red",
        "Traces, green",
        "Traces, blue",
    ]
    assert figure.get_suptitle() == samples.HOSTILE
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], picture)
    for channel, plane in enumerate(shown[3:]):
        centred = traces[..., channel] - traces[..., channel].mean()
        scale = np.quantile(np.abs(centred), 0.99)
        np.testing.assert_allclose(plane, np.clip(centred / scale, -1, 1))
        axes = figure.axes[3 + channel]
        assert axes.images[0].get_clim() == (-1, 1)
        mean = traces[..., channel].mean()
        assert axes.get_xlabel() == (
            f"black is {mean - scale:.3g}, grey {mean:.3g}, white {mean + scale:.3g}"
        )


def test_the_spectrum_has_a_peak_at_the_frequency_of_the_traces():
    picture, _ = _data()
    wave = np.sin(2 * np.pi * 4 * np.arange(24) / 24)
    traces = np.broadcast_to(wave[None, :, None], picture.shape)
    spectrum = draw_traces(picture, traces, "wave").axes[2].images[0].get_array()
    # Frequency 0 is in the middle, at row 16 and column 12.
    peaks = np.argwhere(spectrum > 0.5 * spectrum.max())
    assert {tuple(peak) for peak in peaks} == {(16, 8), (16, 16)}


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e4])
def test_traces_of_any_size_are_drawn(scale):
    png = report.traces_figure(*_data(scale), "t")
    assert Image.open(io.BytesIO(png)).width == 9 * 144


def test_traces_without_detail_are_grey():
    figure = draw_traces(*_data(0.0, mean=3.0), "t")
    assert figure.axes[3].get_xlabel() == "3 everywhere"
    assert not figure.axes[3].images[0].get_array().any()
    canvas.render(figure)


@pytest.mark.parametrize(
    ("traces", "message"),
    [(np.zeros((4, 5, 3)), "must both be"), (np.full((4, 4, 3), np.inf), "not finite")],
)
def test_what_cannot_be_drawn_is_refused(traces, message):
    with pytest.raises(ValueError, match=message):
        draw_traces(np.zeros((4, 4, 3), np.uint8), traces, "t")

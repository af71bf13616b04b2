# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.canvas."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colors
from PIL import Image

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas
from tests.report import samples


def test_a_figure_becomes_a_png_file_of_its_size(tmp_path):
    figure, axes = canvas.titled_axes("Title", (3, 2))
    axes.plot([0, 1], [0, 1])
    canvas.save(tmp_path / "a.png", figure)
    content = (tmp_path / "a.png").read_bytes()
    assert content == canvas.render(figure)
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (432, 288))
        assert np.asarray(picture.convert("L")).min() < 100


def test_thinned_points_keep_both_ends():
    kept = canvas.thin(1_000_000)
    assert (kept[0], kept[-1], kept.size) == (0, 999_999, 4000)


def test_few_points_are_all_kept():
    np.testing.assert_array_equal(canvas.thin(3), [0, 1, 2])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a$", r"a\$"),
        ("$a$", r"\$a\$"),
        ("_a", "\N{NO-BREAK SPACE}_a"),
        ("a\n\udcff\u672c", "a" + 3 * "\N{WHITE SQUARE}"),
        ("x" * 30, "x" * 21 + "…"),
    ],
)
def test_foreign_names_can_be_drawn(name, shown):
    assert canvas.plain(name) == shown


def test_text_is_shifted_from_its_place():
    figure, axes = canvas.titled_axes("", (3, 2))
    canvas.write(axes, "a", (0.25, 0.5), shift=(72, 0), ha="left", colour="red")
    canvas.render(figure)
    (text,) = axes.texts
    place = axes.transData.transform((0.25, 0.5))
    # 72 points are an inch.
    assert text.get_window_extent().x0 == pytest.approx(place[0] + figure.dpi, abs=2)
    assert (text.get_text(), text.get_color()) == ("a", "red")


def test_the_legend_beneath_is_outside_the_axes():
    figure, axes = canvas.titled_axes("", (5, 3))
    axes.plot([0, 1], label="one")
    axes.plot([1, 0], label="two")
    canvas.legend_beneath(figure, axes)
    canvas.render(figure)
    assert samples.legend(figure) == ["one", "two"]
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.y0 < box.y1 < axes.get_window_extent().y0


def test_colours_are_at_their_places():
    found = canvas.colours((0.0, "white"), (0.25, colours.REAL), (1.0, "black"))
    assert colors.to_hex(found(0.25), keep_alpha=False).upper() == colours.REAL
    assert colors.to_hex(found(1.0)) == "#000000"


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys; from fakedet_jax import report;"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules);"
        "report.training_curves([]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

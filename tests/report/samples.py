# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluations to report, and a reader of HTML pages."""

import dataclasses
import html.parser
import re

import numpy as np

from fakedet_jax import report
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.report import canvas
from tests import tiny

HOSTILE = '<script>alert("it\'s 1")</script>'


def evaluation(**changes):
    values = {
        "names": ["a.png", "b,c.png", 'd"e.png', "f\udcff.png"],
        "labels": np.array([0, 1, 0, 1]),
        "scores": np.array([0.1, 0.9, 0.7, 0.2], np.float32),
        "threshold": 0.5,
        "skipped": [("g.png", "the file is empty"), ("h.png", "the file is empty")],
    }
    return report.Evaluation(**(values | changes))


def run(seed, separation=1.0, size=60, threshold=0.5):
    """An evaluation whose classes overlap the less, the larger `separation` is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    scores = 1 / (1 + np.exp(-rng.normal(separation * (2 * labels - 1), 1)))
    names = [f"{number}.png" for number in range(size)]
    return report.Evaluation(names, labels, scores, threshold)


def named_runs(*names):
    """Runs on the same pictures."""
    return {name: run(7, 0.2 * number) for number, name in enumerate(names, 1)}


def moved(one, name="elsewhere.png"):
    """The same run but for the name of its last picture."""
    return dataclasses.replace(one, names=[*one.names[:-1], name])


def facts(paths, *, is_video=True):
    """Facts of pictures that are frames of the videos with these paths."""
    rows = []
    for number, path in enumerate(paths):
        video = path if is_video else ""
        place = (f"{path} {number}", 0, "test", path, video, number, 0)
        rows.append((*place, "", "", "", *tiny.UNKNOWN_PORTRAIT))
    return Facts.from_rows(rows)


def write(folder):
    """Writes an evaluation with hostile names wherever names are shown."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    drawn, _ = canvas.titled_axes("drawn", (2, 2))
    return report.write_evaluation(
        folder,
        evaluation(skipped=[(HOSTILE, HOSTILE), ("x\udcff\u202e", "empty")]),
        title=f"a detector {HOSTILE}",
        threshold_origin=f"Chosen by hand. {HOSTILE}",
        config={HOSTILE: HOSTILE},
        examples=[
            report.Example(HOSTILE, "real", 0.7, picture),
            report.Example("fine.png", "fake", 0.9, picture),
        ],
        panels={"drawn": report.Panel(HOSTILE, drawn, HOSTILE)},
        facts={"tau": 0.123456789, HOSTILE: None},
    )


class Reader(html.parser.HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.attributes, self.content = [], [], [], ""
        self.feed(text)
        self.content = re.sub("[ \n]+", " ", self.content)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        # Cells stand apart on the screen, but their text need not.
        self.content += " " if tag in {"td", "th"} else ""

    def handle_data(self, data):
        self.content += data


def read(folder):
    """Reads the page of an evaluation."""
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def legend(figure):
    """The labels of all legends of a figure."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for one in legends if one for text in one.get_texts()]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reviews of invented results, and a reader of their rows."""

import functools
import html.parser
import json
import math
from pathlib import Path

import numpy as np

from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.predictions import FileResult
from fakedet_jax.faces.extraction import LEFT_OUT, NO_FACE, WRITTEN, Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media.framing import Framing
from fakedet_jax.report.review import Review

SIDE = 16
INFO = DetectorInfo(
    detector="plain",
    classes=("real", "fake"),
    is_fake=(False, True),
    task="binary",
    framing=Framing.square(SIDE),
    threshold=0.5,
    threshold_origin="The threshold was given.",
    step=1,
)


class Rows(html.parser.HTMLParser):
    """Collects the scripts of a page by their ids, and all tags."""

    def __init__(self, page):
        super().__init__()
        self.scripts = {}
        self.tags = []
        self._current = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._current = dict(attrs).get("id", "code")
            self.scripts[self._current] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._current = None

    def handle_data(self, data):
        if self._current:
            self.scripts[self._current] += data


def read(folder):
    """The files of a review, as its page has them."""
    page = (folder / "report.html").read_text("utf-8")
    return json.loads(Rows(page).scripts["rows"])


def picture(seed):
    """A picture of one colour, which JPEG keeps."""
    colour = np.random.default_rng(seed).integers(0, 256, 3, np.uint8)
    return np.full((SIDE, SIDE, 3), colour)


def face(number=0, frame=-1, **changes):
    """A face that fills its picture."""
    whole = (0.0, 0.0, 20.0, 20.0)
    time = math.nan if frame < 0 else frame / 25
    values = {"box": whole, "crop_box": whole, "width": 20, "height": 20}
    return Row(WRITTEN, frame=frame, time=time, face=number, **(values | changes))


def no_face(**changes):
    return Row(LEFT_OUT, NO_FACE, **changes)


def write(folder, files, *, info=INFO, start_file=FileResult, **settings):
    """Writes a review.

    Args:
        folder: Where.
        files: Paths, each with rows and their log-odds; None for a row without any.
        info: Of the detector.
        start_file: Collects the rows of a file.
        **settings: Of `Review`.
    """
    settings = {"detector": "Scored by a detector", "facts": {}} | settings
    named = [FaceFile(Path(path), Path(path).name) for path, _ in files]
    with Review(folder, named, info, **settings) as review:
        for number, (_, rows) in enumerate(files):
            add(review, number, named[number], rows, info, start_file)


def add(review, number, file, rows, info=INFO, start_file=FileResult):
    """Adds a file to a review, as `PredictionOutput` does."""
    result = start_file(file.kind == "video")
    for seed, (row, odds) in enumerate(rows):
        result.add(row, odds)
        if odds is not None:
            review.see(row, odds[0], picture(100 * number + seed))
    decide = functools.partial(map, lambda one: _decide(one, info))
    faces = result.faces()
    review.finish(number, result, [*zip(faces, decide(faces), strict=True)])


def _decide(found, info):
    return info.point.decide_together(found.scores) if found.scores else ""

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turns an evaluation into one HTML page that loads nothing.

The page is written for readers who decide, not only for those who train. Its text and
its layout are in `page.html.j2`. Every value that goes into it is escaped.
"""

import collections
import functools
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakedet_jax.evaluation import metrics
from fakedet_jax.report import html

if TYPE_CHECKING:
    from fakedet_jax.report.evaluation import Evaluation

_MAX_SKIPPED_LISTED = 50
# A share of fakes as low as this is common where people upload their own pictures.
_RARE = 0.01


class Example(NamedTuple):
    """A picture of the page.

    Attributes:
        name: the path or key of the picture.
        label: the name of its true class.
        score: evidence of being fake, in [0, 1].
        picture: uint8 `[height, width, 3]`, RGB.
    """

    name: str
    label: str
    score: float
    picture: NDArray[np.uint8]


def render(
    evaluation: "Evaluation",
    summary: Mapping[str, Any],
    *,
    title: str,
    threshold_origin: str,
    unsure_origin: str,
    calibration: str,
    panels: Sequence[tuple[html.Panel, bytes]],
    examples: Sequence[Example],
    facts: Mapping[str, object],
    config: Mapping[str, object],
) -> str:
    """Writes the page.

    Args:
        evaluation: the results.
        summary: the content of `metrics.json`.
        title: the heading.
        threshold_origin: a sentence that says how the threshold was chosen.
        unsure_origin: a sentence that says which pictures are not decided.
        calibration: a sentence that says how scores were calibrated.
        panels: the figures in order, each with its PNG file.
        examples: pictures to show; their scores tell which were decided correctly.
        facts: further results to list, name to value.
        config: settings to list, name to value.

    Returns:
        The text of a complete HTML document.
    """
    left_out = [(entry.path, entry.reason) for entry in evaluation.left_out]
    skipped = [*evaluation.skipped, *left_out]
    num_fake = int(evaluation.fake.sum())
    cards = [_card(one, summary) for one in examples]
    reasons = collections.Counter(reason for _, reason in skipped)
    return html.render(
        "page.html.j2",
        title=title,
        summary=summary,
        has_videos="num_videos" in summary,
        num_fake=num_fake,
        num_real=summary["num_examples"] - num_fake,
        interval=functools.partial(_interval, summary),
        rare=_precision_where_rare(summary, num_fake),
        threshold_origin=threshold_origin,
        unsure_origin=unsure_origin,
        calibration=calibration,
        class_rows=_class_rows(evaluation),
        needed_for=needed_for,
        of_hundred=_of_hundred,
        panels=html.embed(panels),
        alarms=[card for card in cards if not (card["is_right"] or card["is_fake"])],
        misses=[card for card in cards if not card["is_right"] and card["is_fake"]],
        successes=[card for card in cards if card["is_right"]],
        skipped=skipped,
        without_score=evaluation.without_score,
        # By number, then by name: the order of the files does not matter.
        reasons=sorted(reasons.items(), key=lambda item: (-item[1], item[0])),
        max_skipped=_MAX_SKIPPED_LISTED,
        facts=facts,
        config=config,
    )


def needed_for(rate: float) -> str:
    """Says how many real pictures a rate of false alarms needs at least.

    >>> needed_for(0.001)
    'needs at least 1,000 real pictures'
    """
    return f"needs at least {math.ceil(1 / rate):,} real pictures"


def _of_hundred(share: float) -> str:
    """Formats a rate as people count; only a rate of 0 is shown as 0."""
    count = 100 * share
    return "fewer than 1" if 0 < count < 0.95 else f"{count:.0f}"


def _interval(
    summary: Mapping[str, Any], key: str, total: int
) -> Sequence[float] | None:
    """Returns the confidence interval of a metric, None if it has none.

    Args:
        summary: the content of `metrics.json`.
        key: the name of the metric.
        total: the denominator of the metric, 0 if it is not a proportion.
    """
    value, ends = summary[key], summary.get(f"{key}_interval")
    # Frames of one video are not independent trials; videos are.
    has_trials = "num_videos" not in summary or key == "video_accuracy"
    if ends is None and value is not None and total and has_trials:
        ends = metrics.wilson_interval(round(value * total), total)
    return ends


def _precision_where_rare(
    summary: Mapping[str, Any], num_fake: int
) -> dict[str, float] | None:
    """Computes what the precision would be if few pictures were fake.

    Args:
        summary: the content of `metrics.json`.
        num_fake: the number of fakes in it.

    Returns:
        The precision at the measured false positive rate and at both ends of its
        interval, and the number of independent trials that it rests on; None if it is
        undefined.
    """
    recall, fpr = summary["recall"], summary["fpr"]
    if not recall or fpr is None:
        return None
    # Frames of one video are alike and count as one trial.
    num_real = summary.get("num_real_videos", summary["num_examples"] - num_fake)
    bounds = metrics.wilson_interval(round(fpr * num_real), num_real)
    if bounds is None:
        return None
    best, likely, worst = (
        recall * _RARE / (recall * _RARE + rate * (1 - _RARE))
        for rate in (bounds[0], fpr, bounds[1])
    )
    return {"likely": likely, "worst": worst, "best": best, "basis": num_real}


def _class_rows(evaluation: "Evaluation") -> list[dict[str, Any]]:
    rows = []
    pairs = zip(evaluation.classes, evaluation.is_fake, strict=True)
    for label, (name, is_fake) in enumerate(pairs):
        own = evaluation.decided[evaluation.labels == label]
        rows.append(
            {
                "name": name,
                "is_fake": is_fake,
                "num_examples": own.size,
                "num_decided_fake": int(own.sum()),
                "share_correct": float(np.mean(own == is_fake)) if own.size else None,
            }
        )
    return rows


def _card(example: Example, summary: Mapping[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture = np.ascontiguousarray(example.picture)
    Image.fromarray(picture).save(buffer, format="PNG")
    is_fake = example.label in summary["fake_classes"]
    decided = bool(metrics.decide([example.score], summary["threshold"])[0])
    return {
        **example._asdict(),
        "url": html.data_url(buffer.getvalue()),
        "is_fake": is_fake,
        "is_decided_fake": decided,
        "is_right": is_fake == decided,
    }

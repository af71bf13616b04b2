# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turns an evaluation into one HTML page that needs nothing but itself.

Pictures are embedded, nothing is loaded from anywhere and no script runs, which the
page also forbids by its own content policy. Every name that comes from outside is
escaped. The page is written for readers who decide, not only for those who train.
"""

import base64
import collections
import html
import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakedet_jax.evaluation import metrics
from fakedet_jax.report import style
from fakedet_jax.report.markup import code, escape, percent, pictures
from fakedet_jax.report.tiles import ClassRow, manipulation_table, metric_tiles

VALIDATION_THRESHOLD = (
    "It was chosen on the validation split so that the balanced accuracy there (the "
    "mean of the shares of real and of fake pictures decided correctly) is highest."
)

_MAX_SKIPPED_LISTED = 50
# A share of fakes as low as this is common where people upload their own pictures.
_RARE = 0.01


class Panel(NamedTuple):
    """A figure of the page: its heading, the PNG file, and a sentence or two."""

    title: str
    png: bytes
    caption: str


class Example(NamedTuple):
    """A picture of the page, uint8 `[height, width, 3]`, with its class and score."""

    name: str
    label: str
    score: float
    picture: NDArray[np.uint8]


def render(
    *,
    title: str,
    summary: Mapping[str, Any],
    class_rows: Sequence[ClassRow],
    threshold_origin: str,
    skipped: Sequence[tuple[str, str]],
    panels: Sequence[Panel],
    examples: Sequence[Example],
    fake_classes: Collection[str],
    facts: Mapping[str, object],
    config: Mapping[str, object],
) -> str:
    """Writes the page.

    Args:
        title: the heading.
        summary: what `metrics.summarize` returned.
        class_rows: one row for every class.
        threshold_origin: a sentence that says how the threshold was chosen.
        skipped: path and reason of every file that has no score.
        panels: the figures, in order.
        examples: pictures; whether each was decided correctly follows from its score.
        fake_classes: the classes that are fake.
        facts: further results to list, name to value.
        config: settings to list, name to value.

    Returns:
        The text of a complete HTML document.
    """
    sections = (
        _headline(title, summary, class_rows),
        metric_tiles(summary, class_rows),
        _guide(summary, class_rows, threshold_origin),
        _classes(class_rows),
        manipulation_table(summary),
        _figures(panels),
        _gallery(examples, fake_classes, summary["threshold"]),
        _skipped(skipped),
        _table("Further results", facts),
        _table("Settings", config),
    )
    body = "\n".join(section for section in sections if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{style.SHEET}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _headline(
    title: str, summary: Mapping[str, Any], class_rows: Sequence[ClassRow]
) -> str:
    total, skipped = summary["num_examples"], summary["num_skipped"]
    if not total:
        lead = "No picture could be scored."
    else:
        right = round(summary["accuracy"] * total)
        lead = (
            f"{right:,} of {pictures(total)} were decided correctly "
            f"({percent(summary['accuracy'])})."
        )
    if summary["fpr"] is not None:
        lead += (
            f" Of 100 real faces about {_of_hundred(summary['fpr'])} would be called "
            "fake by mistake."
        )
    if summary["fnr"] is not None:
        lead += f" Of 100 fakes about {_of_hundred(summary['fnr'])} would be missed."
    num_fake = sum(row.num_examples for row in class_rows if row.is_fake)
    facts = (
        f"{total - num_fake:,} real · {num_fake:,} fake · {skipped:,} skipped · "
        f"threshold {summary['threshold']:.4g}"
    )
    return (
        f"<header><h1>{escape(title)}</h1>\n"
        f'<p class="lead">{lead}</p>\n<p class="facts">{facts}</p></header>'
    )


def _guide(
    summary: Mapping[str, Any], class_rows: Sequence[ClassRow], origin: str
) -> str:
    threshold = f"{summary['threshold']:.4g}"
    has_videos = "num_videos" in summary
    items = [
        (
            "Score",
            "Each picture gets a score from 0 to 1. Higher means more evidence that "
            "the face is synthetic or manipulated. It is evidence, not proof, and not "
            "the share of the picture that was changed.",
        ),
        (
            "Threshold",
            f"A picture that scores {threshold} or more is called fake. {origin}",
        ),
        (
            "AUC (frames)" if has_videos else "AUC",
            "Take one fake and one real picture at random: the AUC is how often the "
            "fake scores higher. 50 % is a coin toss, 100 % is perfect. It does not "
            "depend on the threshold.",
        ),
        (
            "AUC (videos)",
            "The same for whole videos, each with the mean of the scores of its frames."
            if has_videos
            else "",
        ),
        (
            "False alarms and misses",
            "The false positive rate is the share of real pictures called fake. The "
            "false negative rate is the share of fakes that pass as real. A higher "
            "threshold lowers the first and raises the second.",
        ),
        ("Precision where fakes are rare", _base_rate(summary, class_rows)),
        (
            "What this does not say",
            "The numbers hold for pictures like these. Other generators, other "
            "cameras, compression, resizing and screenshots can change them a lot.",
        ),
    ]
    rows = "".join(
        f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in items if text
    )
    return (
        f'<section><h2>How to read this</h2>\n<dl class="guide">{rows}</dl></section>'
    )


def _base_rate(summary: Mapping[str, Any], class_rows: Sequence[ClassRow]) -> str:
    """Says what the precision would be where few pictures are fake."""
    recall, fpr = summary["recall"], summary["fpr"]
    if recall is None or fpr is None:
        return ""
    num_fake = sum(row.num_examples for row in class_rows if row.is_fake)
    share = num_fake / summary["num_examples"]
    # Frames of one video are alike: they make no more than one sure.
    num_real = summary.get("num_real_videos", summary["num_examples"] - num_fake)
    basis = f"{num_real:,} videos" if "num_videos" in summary else pictures(num_real)
    bounds = metrics.wilson_interval(round(fpr * num_real), num_real)
    text = f"In this set {percent(share)} of the pictures are fake. "
    if not recall or bounds is None:
        return text + "No fake was found, so there is no precision to speak of."
    best, likely, worst = (
        recall * _RARE / (recall * _RARE + rate * (1 - _RARE))
        for rate in (bounds[0], fpr, bounds[1])
    )
    return text + (
        f"Where only 1 in 100 is, the same detector would be right in about "
        f"{percent(likely)} of its alarms ({percent(worst)} to {percent(best)}, as "
        f"the false positive rate rests on {basis}). Plan the review of "
        "alarms accordingly."
    )


def _classes(class_rows: Sequence[ClassRow]) -> str:
    rows = []
    for row in class_rows:
        kind = "fake" if row.is_fake else "real"
        right = (
            row.num_decided_fake
            if row.is_fake
            else (row.num_examples - row.num_decided_fake)
        )
        share = right / row.num_examples if row.num_examples else None
        width = 100 * (share or 0)
        rows.append(
            f'<tr><td>{code(row.name)}</td><td><span class="kind {kind}">{kind}</span>'
            f'</td><td class="number">{row.num_examples:,}</td>'
            f'<td class="number">{row.num_decided_fake:,}</td>'
            f'<td class="number">{percent(share)}</td>'
            f'<td class="bar"><i class="{kind}" style="width:{width:.1f}%"></i></td>'
            "</tr>"
        )
    return (
        "<section><h2>Class by class</h2>\n"
        '<div class="scroll"><table class="classes"><thead><tr>'
        '<th>Class</th><th>Kind</th><th class="number">Pictures</th>'
        '<th class="number">Called fake</th>'
        '<th class="number">Correct</th><th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _figures(panels: Sequence[Panel]) -> str:
    if not panels:
        return ""
    cells = "\n".join(
        f'<figure><h3>{escape(title)}</h3><img src="{_data_url(png)}" '
        f'alt="{escape(title)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for title, png, caption in panels
    )
    return f'<section><h2>Figures</h2>\n<div class="figures">{cells}</div></section>'


def _gallery(
    examples: Sequence[Example], fake_classes: Collection[str], threshold: float
) -> str:
    groups: dict[bool, list[str]] = {False: [], True: []}
    for name, label, score, picture in examples:
        fake = label in fake_classes
        decided = bool(metrics.decide([score], threshold)[0])
        groups[fake == decided].append(
            _card(name, label, score, picture, fake=fake, decided=decided)
        )
    headings = (
        (
            False,
            "Most confident mistakes",
            "Wrong by the widest margin: the first place to look for a pattern, a "
            "wrong label or a kind of picture the detector has never seen.",
        ),
        (True, "Clear successes", "Correct by a wide margin."),
    )
    return "\n".join(
        f'<section><h2>{title}</h2>\n<p class="note">{note}</p>\n'
        f'<div class="gallery">{"".join(groups[correct])}</div></section>'
        for correct, title, note in headings
        if groups[correct]
    )


def _card(
    name: str,
    label: str,
    score: float,
    picture: NDArray[np.uint8],
    *,
    fake: bool,
    decided: bool,
) -> str:
    kind = "fake" if fake else "real"
    verdict = f"called {'fake' if decided else 'real'}"
    mark = "right" if fake == decided else "wrong"
    return (
        f'<figure class="card {mark}"><img src="{_data_url(_png(picture))}" '
        f'alt="{escape(name)}"><figcaption><span class="kind {kind}">{escape(label)}'
        f"</span><br><b>{verdict}</b><br>score {score:.3f}"
        f'<span class="path">{code(name)}</span></figcaption></figure>'
    )


def _skipped(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return (
            "<section><h2>Skipped files</h2>\n<p>None. Every file has a score."
            "</p></section>"
        )
    reasons = collections.Counter(reason for _, reason in skipped)
    # By number, then by name: an order that does not depend on that of the files.
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    counts = "".join(
        f'<tr><td>{escape(reason)}</td><td class="number">{count:,}</td></tr>'
        for reason, count in ordered[:_MAX_SKIPPED_LISTED]
    )
    listed = "".join(
        f"<tr><td>{code(name)}</td><td>{escape(reason)}</td></tr>"
        for name, reason in skipped[:_MAX_SKIPPED_LISTED]
    )
    rest = len(skipped) - _MAX_SKIPPED_LISTED
    more = f"<p>and {rest:,} more, listed in skipped.csv</p>" if rest > 0 else ""
    have = "file has" if len(skipped) == 1 else "files have"
    return (
        "<section><h2>Skipped files</h2>\n"
        f"<p>{len(skipped):,} {have} no score and no part in any number above.</p>\n"
        '<div class="scroll"><table><thead><tr><th>Reason</th>'
        f'<th class="number">Files</th></tr></thead><tbody>{counts}</tbody></table>'
        "</div>\n<details><summary>Which files</summary>"
        '<div class="scroll"><table><thead><tr><th>File</th><th>Reason</th></tr>'
        f"</thead><tbody>{listed}</tbody></table></div>{more}</details></section>"
    )


def _table(title: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{code(_text(value))}</td></tr>"
        for name, value in values.items()
    )
    return (
        f"<section><h2>{title}</h2>\n"
        f'<div class="scroll"><table class="config"><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def _text(value: object) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _of_hundred(share: float) -> str:
    """Writes a rate as people count; a rate that is not zero is never shown as 0."""
    count = 100 * share
    if 0 < count < 0.95:
        return "fewer than 1"
    return f"{count:.0f}"


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG")
    return buffer.getvalue()


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

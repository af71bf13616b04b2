# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=predict`: scores for files and folders, as CSV."""

import collections
import contextlib
import csv
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import jax

from fakedet_jax import detectors, metrics, parallel, progress, wording
from fakedet_jax.config import PredictConfig
from fakedet_jax.data import files
from fakedet_jax.data.stream import stream_batches
from fakedet_jax.errors import RequestError
from fakedet_jax.scoring import Scorer

_LOGGER = logging.getLogger(__name__)

HEADER = ("path", "face", "score", "decision", "error")


def predict(config: PredictConfig) -> dict[str, int]:
    """Scores every picture found and writes a row for each, as it goes.

    Every file ends as a score or as a named reason.

    Args:
        config: The settings.

    Returns:
        How many rows were `fake`, `real` and `error`.

    Raises:
        RequestError: The settings are not as expected, or there is no picture at all.
        RuntimeError: No file could be scored; the table is complete.
    """
    if jax.process_count() > 1:
        raise RequestError(
            "--mode=predict runs in one process; give each process its own files"
        )
    if not config.paths:
        raise RequestError(
            "--mode=predict: name files or folders after the flags, such as PHOTOS/"
        )
    mesh = parallel.data_mesh()
    detector = detectors.load(config.workdir, mesh)
    found = list(files.find_pictures(config.paths))
    if not found:
        raise RequestError(
            f"--mode=predict: no pictures in {', '.join(map(repr, config.paths))}; "
            f"expected files that end in {', '.join(sorted(files.PICTURE_EXTENSIONS))}"
        )
    scorer = Scorer(
        detector.probability_fn,
        mesh,
        parallel.round_up_batch_size(min(config.batch_size, len(found)), mesh),
    )
    batches = stream_batches(
        found,
        framing=detector.info.framing,
        batch_size=scorer.local_batch_size,
        num_threads=config.num_threads,
    )
    counts = collections.Counter(fake=0, real=0, error=0)
    with (
        _open_output(config.output) as stream,
        progress.Progress(
            len(found), label="predict", quiet=config.output is None
        ) as shown,
    ):
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(HEADER)
        for items, batch in batches:
            if batch["mask"].any():
                values = scorer.score_images(detector.variables, batch["image"])
                scores = detector.info.scores(values)
            for row, item in enumerate(items):
                if item.error is not None:
                    counts["error"] += 1
                    table.writerow((item.path, item.face, "", "", item.error))
                    continue
                score = float(scores[row])
                is_fake = bool(metrics.decide(scores[row], detector.info.threshold))
                decision = "fake" if is_fake else "real"
                counts[decision] += 1
                table.writerow((item.path, item.face, f"{score:.6f}", decision, ""))
            stream.flush()
            shown.update(len(items))
    num_scored = counts["fake"] + counts["real"]
    _LOGGER.info(
        "%s: %d scored (%d fake, %d real at threshold %.4g), %d with an error",
        wording.counted(len(found), "file"),
        num_scored,
        counts["fake"],
        counts["real"],
        detector.info.threshold,
        counts["error"],
    )
    if not num_scored:
        # Scripts look at the exit code, not at the column of errors.
        what = "the only file could not be scored"
        if len(found) > 1:
            what = f"none of the {len(found)} files could be scored"
        raise RuntimeError(f"{what}; the CSV says why")
    return dict(counts)


@contextlib.contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    """Opens the CSV; bytes of names that are no UTF-8 are written as escapes."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise RequestError(
            f"--output: {str(path)!r} cannot be written ({error.strerror})"
        ) from error
    with stream:
        yield stream

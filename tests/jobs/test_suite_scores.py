# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.suite_scores."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import config, systems
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.jobs import export, suite_scores
from fakedet_jax.jobs import suite as suite_job
from fakedet_jax.media import batching
from fakedet_jax.media.decode import to_input
from fakedet_jax.runtime import parallel
from tests import tiny
from tests.perturb import samples

SUITE = samples.SMALL_SUITE


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tiny.write_pictures(tmp_path_factory.mktemp("foreign") / "pictures")
    (root / "test" / "real" / "bad.png").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def exported(data_dir, tmp_path_factory):
    """An export that no test changes."""
    output = tmp_path_factory.mktemp("foreign") / "export"
    data = config.DataConfig(dataset="folder", data_dir=data_dir)
    with samples.small_suite():
        export.export(config.ExportConfig(output=output, data=data, suite=SUITE.name))
    return output


@pytest.fixture(scope="module")
def paths(exported):
    """As they stand in pictures.csv, 11 for each condition."""
    with (exported / "pictures.csv").open(newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file)]


@pytest.fixture
def text(paths):
    """Scores of a detector that tells fakes by their place."""
    rows = [f"{path},{0.9 if '/fake/' in path else 0.5}\n" for path in paths]
    return "".join(["path,score\n", *rows])


def _evaluate(exported, tmp_path, text, suite=SUITE.name, **settings):
    scores = tmp_path / "Other net.csv"
    if text is not None:
        scores.write_bytes(text if isinstance(text, bytes) else text.encode())
    request = config.ForeignScoresConfig(
        scores=scores,
        suite=suite,
        pictures=exported,
        output=tmp_path / "output",
        **settings,
    )
    with samples.small_suite():
        return suite_scores.evaluate_foreign(request)


def _refused(exported, tmp_path, text, **settings):
    """The message, after a look at what was written."""
    with pytest.raises(RequestError) as caught:
        _evaluate(exported, tmp_path, text, **settings)
    assert not (tmp_path / "output").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def _read(path, framing):
    with Image.open(path) as picture:
        return to_input(np.asarray(picture), framing)


def _score(workdir, exported, paths):
    """Scores pictures as any program would: file by file."""
    with tiny.registered():
        mesh = parallel.data_mesh()
        detector = systems.load(workdir, mesh)
        scorer = Scorer(detector.log_probability_fn, mesh, 64)
        images = (_read(exported / path, detector.info.framing) for path in paths)
        batches = batching.from_pictures(images, detector.info.framing, 64)
        tagged = ((None, batch) for batch in batches)
        scores = []
        for _, values, _ in scorer.stream(detector.variables, tagged):
            scores += log_odds.scores(detector.info.log_odds(values)).tolist()
    return scores, detector.info.threshold


@pytest.mark.slow
def test_our_own_scores_give_what_the_suite_gives(
    data_dir, exported, paths, tmp_path, monkeypatch
):
    workdir = tiny.fit(data_dir, tmp_path / "workdir", recipe={"num_epochs": 1})
    with tiny.registered(), samples.small_suite():
        expected = suite_job.evaluate_suite(
            config.SuiteConfig(workdir=workdir, suite=SUITE.name, name="own")
        )
    scores, threshold = _score(workdir, exported, paths)
    monkeypatch.setattr(suite_scores, "THRESHOLD", threshold)
    stream = io.StringIO()
    csv.writer(stream).writerows([("score", "path"), *zip(scores, paths, strict=True)])
    found = _evaluate(exported, tmp_path, stream.getvalue())
    assert found == expected
    assert expected["num_skipped"] == 1
    own = workdir / "evaluations" / "own_small"
    for name in ("robustness.csv", "skipped.csv", "robustness.json"):
        assert (tmp_path / "output" / name).read_bytes() == (own / name).read_bytes()
    names = {path.name for path in own.iterdir()}
    assert {path.name for path in (tmp_path / "output").iterdir()} == names


def test_scores_are_decided_at_one_half(exported, tmp_path, text):
    summary = _evaluate(exported, tmp_path, text)
    assert summary["threshold"] == 0.5
    # A score of one half is fake.
    assert summary["baseline"]["fpr"] == 1
    assert summary["baseline"]["auc"] == 1
    assert summary["mean_auc_drop"] == 0


def test_order_other_columns_and_a_byte_order_mark_do_no_harm(exported, tmp_path, text):
    expected = _evaluate(exported, tmp_path, text)
    header, *rows = text.splitlines()
    changed = [f"x,{row},y" for row in (header, *rows[::-1])]
    changed = "\ufeff" + "\r\n".join(changed)
    assert _evaluate(exported, tmp_path, changed) == expected


@pytest.mark.parametrize("score", ["-0.1", "1.5", "nan", "inf", "high", ""])
def test_a_score_that_is_none_is_refused(exported, tmp_path, text, score):
    text = text.replace(",0.9\n", f",{score}\n", 1)
    message = _refused(exported, tmp_path, text)
    assert message.endswith(f"line 2: expected a score from 0 to 1, found {score!r}")


def test_missing_pictures_are_counted(exported, tmp_path, text, paths):
    lines = text.splitlines(keepends=True)
    message = _refused(exported, tmp_path, "".join(lines[:3] + lines[5:]))
    assert (
        f"for each of 88 pictures, found none for 2, the first {paths[2]!r}" in message
    )


def test_an_unknown_path_is_refused(exported, tmp_path, text, paths):
    message = _refused(exported, tmp_path, text + "x.png,0.5\n")
    assert f"line 90: expected a path of pictures.csv, such as {paths[0]!r}" in message
    assert "found 'x.png'" in message


def test_a_path_twice_is_refused(exported, tmp_path, text, paths):
    message = _refused(exported, tmp_path, text + f"{paths[0]},0.5\n")
    assert f"line 90: expected every path once, found {paths[0]!r} again" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a first line with path,score, found no path and no score"),
        ("0_none/real/000.png,0.5\n", "found no path and no score"),
        (b"path,score\n\xff,0.5\n", "expected a CSV file in UTF-8"),
        ("path,score\na\n", "line 2: expected 2 cells, found 1"),
        ('path,score\n"a,0.5\n', "expected a CSV file in UTF-8"),
        (None, "is missing; name the CSV file of the scores"),
        (b"x" * (1 << 20), "found 1048576 bytes"),
    ],
    ids=["empty", "header", "bytes", "cells", "quotes", "absent", "huge"],
)
def test_a_file_of_another_kind_is_refused(exported, tmp_path, text, message):
    assert message in _refused(exported, tmp_path, text)


def test_a_folder_of_scores_is_refused(exported, tmp_path):
    (tmp_path / "Other net.csv").mkdir()
    assert "`scores`: expected a CSV file" in _refused(exported, tmp_path, None)


def test_another_suite_is_refused(exported, tmp_path, text):
    message = _refused(exported, tmp_path, text, suite="amten")
    assert message.startswith("`suite`: expected 'small', which was exported to")
    assert message.endswith("found 'amten'")


def test_an_unknown_suite_is_refused(exported, tmp_path, text):
    assert "found 'x'" in _refused(exported, tmp_path, text, suite="x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "expected version 3 of the suite small, found 2; run"),
        ({"seed": 1}, "expected seed 7 of the suite small, found 1; run"),
        ({"suite": None}, "suite.json': suite: expected a text, found None; run"),
    ],
)
def test_an_export_of_another_version_is_refused(
    exported, tmp_path, text, changes, message
):
    folder = shutil.copytree(exported, tmp_path / "export")
    facts = json.loads((folder / "suite.json").read_text())
    (folder / "suite.json").write_text(json.dumps({**facts, **changes}))
    assert message in _refused(folder, tmp_path, text)


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff"])
def test_a_damaged_description_is_refused(exported, tmp_path, text, content):
    folder = shutil.copytree(exported, tmp_path / "export")
    (folder / "suite.json").write_bytes(content.encode("latin-1"))
    assert "suite.json'" in _refused(folder, tmp_path, text)


def test_an_export_that_is_not_complete_is_refused(tmp_path, text):
    message = _refused(tmp_path, tmp_path, text)
    assert message.startswith("`pictures`: ")
    assert "suite.json' is missing; name a folder that `mode=export` with" in message


@pytest.mark.parametrize("name", ["pictures.csv", "skipped.csv"])
def test_an_export_without_a_table_is_refused(exported, tmp_path, text, name):
    folder = shutil.copytree(exported, tmp_path / "export")
    (folder / name).unlink()
    assert f"{name}' is missing; run `mode=export`" in _refused(folder, tmp_path, text)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [lines[0]],
        lambda lines: [*lines[:2], *lines[1:]],
        lambda lines: [lines[0], *lines[:0:-1]],
        lambda lines: [line.replace("fake", "real") for line in lines],
        lambda lines: [line.replace(",real,", ",genuine,") for line in lines],
        lambda lines: [line.replace("000", "001") for line in lines],
    ],
    ids=["short", "none", "twice", "order", "one class", "label", "same"],
)
def test_a_damaged_list_of_pictures_is_refused(exported, tmp_path, text, change):
    folder = shutil.copytree(exported, tmp_path / "export")
    path = folder / "pictures.csv"
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    assert "pictures.csv'" in _refused(folder, tmp_path, text)


def test_the_name_stands_in_the_heading(exported, tmp_path, text, monkeypatch):
    titles = []
    write = suite_scores.robustness.write_robustness

    def remember(*arguments, title, **more):
        titles.append(title)
        return write(*arguments, title=title, **more)

    monkeypatch.setattr(suite_scores.robustness, "write_robustness", remember)
    _evaluate(exported, tmp_path, text)
    _evaluate(exported, tmp_path, text, name="ResNet")
    assert titles == [
        "Other net on folder, test, decided at 0.5",
        "ResNet on folder, test, decided at 0.5",
    ]


def test_an_output_that_is_a_file_is_refused(exported, tmp_path, text):
    (tmp_path / "output").write_text("")
    with pytest.raises(RequestError, match=r"`output`: .*name another folder"):
        _evaluate(exported, tmp_path, text)

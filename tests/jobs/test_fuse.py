# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.fuse: tables of scores of other programs."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import fuse
from tests import tiny

NUM_ROWS = 160
HEADER = ["path", "kind", "made_by", "one", "two"]


def rows(seed=0):
    """Scores of two detectors: 4 generators and 2 sources."""
    rng = np.random.default_rng(seed)
    found = []
    for row in range(NUM_ROWS):
        fake = row % 2
        odds = rng.normal(size=2) + 1.5 * fake - 0.75
        scores = [f"{score:.6f}" for score in 1 / (1 + np.exp(-odds))]
        if row % 8 == 5:
            scores[1] = ""
        group = f"generator {row % 8}" if fake else f"camera {row % 4}"
        found.append([f"{row}.png", ("real", "fake")[fake], group, *scores])
    return found


def write(path, found=None, header=HEADER):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *(rows() if found is None else found)])
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def request(scores, output, **changes):
    settings = {"label": "kind", "group_by": "made_by", "members": ("one", "two")}
    return config.FuseConfig(scores=scores, output=output, **{**settings, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a fit, and what it returned."""
    folder = tmp_path_factory.mktemp("fuse")
    summary = fuse.fuse(request(write(folder / "table.csv"), folder / "out"))
    return folder / "out", summary


def test_the_files_tell_what_is_returned(made):
    folder, summary = made
    assert json.loads((folder / "metrics.json").read_text()) == summary
    found = read(folder / "scores.csv")
    assert [row["path"] for row in found] == [row[0] for row in rows()]
    fake = [row[1] == "fake" for row in rows()]
    both = summary["generators_and_sources_left_out"]
    # The table holds the mean over deals.
    area = roc_auc_score(fake, [float(row["log_odds"]) for row in found])
    assert area == pytest.approx(both["auc"], abs=0.03)
    assert 0.7 < both["auc"] < 0.95
    assert both["sources_kept_together"] is True
    assert summary["generators_left_out"]["sources_kept_together"] is False
    one = roc_auc_score(fake, [float(row[3]) for row in rows()])
    assert summary["members"]["one"] == pytest.approx(one)


def test_groups_have_rows(made):
    found = read(made[0] / "groups.csv")
    assert [(row["group"], row["num_pictures"]) for row in found] == [
        ("camera 0", "40"),
        ("camera 2", "40"),
        *((f"generator {number}", "20") for number in (1, 3, 5, 7)),
    ]
    scores = read(made[0] / "scores.csv")
    own = [float(row["score"]) for row in scores[1::8]]
    assert float(found[2]["mean_score"]) == pytest.approx(np.mean(own), abs=1e-5)


def test_another_table_is_scored_by_it(made, tmp_path, caplog):
    columns = [[row[4], row[3]] for row in rows(seed=1)] + [["", ""]]
    table = write(tmp_path / "new.csv", columns, header=["two", "one"])
    fused = made[0] / "fusion.json"
    flags = ("--mode=fuse", f"--scores={table}", f"--fusion={fused}")
    assert tiny.run_cli(*flags, f"--output={tmp_path / 'out'}") == 0
    found = read(tmp_path / "out" / "scores.csv")
    assert (found[0]["path"], found[-1]["score"]) == ("2", "")
    fake = [row[1] == "fake" for row in rows(seed=1)]
    area = roc_auc_score(fake, [float(row["score"]) for row in found[:-1]])
    assert area > 0.8
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scores.csv"]


def test_the_command_prints_a_table(tmp_path, capsys):
    table = write(tmp_path / "table.csv")
    flags = ("--label=kind", "--group_by=made_by", "--members=one,two")
    where = (f"--scores={table}", f"--output={tmp_path / 'out'}")
    assert tiny.run_cli("--mode=fuse", *where, *flags) == 0
    printed = capsys.readouterr().out
    assert "fused, generators left out" in printed
    assert "fused, sources left out too" in printed


def _changed(line, place, cell):
    found = rows()
    found[line][place] = cell
    return found


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (None, {"members": ("one", "three")}, "found no three"),
        (None, {"members": ("one", "one")}, "`members`: expected different columns"),
        (None, {"label": ""}, "`label`: expected the column"),
        (None, {"group_by": ""}, "`group_by`: expected the column"),
        (None, {"members": ()}, "`members`: expected the columns"),
        (None, {"group_by": "kind"}, "two or more groups of fakes in 'kind', found 1"),
        (
            _changed(3, 3, "1.5"),
            {},
            "line 5: expected a score from 0 to 1, found '1.5'",
        ),
        (
            _changed(3, 3, "nan"),
            {},
            "line 5: expected a score from 0 to 1, found 'nan'",
        ),
        (_changed(3, 1, "forged"), {}, "line 5: expected the label .*'forged'"),
        ([], {}, "has no rows"),
        (rows()[:30], {}, "at least 20 real rows .* found 15"),
        ([[*row[:4], ""] for row in rows()], {}, "'two' has no score at all"),
        ([*rows(), ["x", "fake", "g", "", ""]], {}, "1 row without a score"),
        (None, {"fusion": "f.json"}, "`label`: `fusion` names the columns"),
    ],
    ids=str,
)
def test_bad_tables_are_one_line(tmp_path, content, changes, message):
    table = write(tmp_path / "table.csv", content)
    with pytest.raises(RequestError, match=message):
        fuse.fuse(request(table, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    ["{", "{}", '{"members": ["one"], "knots": [[1]], "weights": [], "offset": 0}'],
)
def test_a_damaged_fusion_is_named(tmp_path, content):
    table = write(tmp_path / "table.csv")
    path = tmp_path / "fusion.json"
    path.write_text(content)
    plain = config.FuseConfig(scores=table, output=tmp_path / "out", fusion=path)
    with pytest.raises(RequestError, match=r"fusion\.json"):
        fuse.fuse(plain)
    assert not (tmp_path / "out").exists()


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(RequestError, match="is missing; name the CSV file"):
        fuse.fuse(request(tmp_path / "none.csv", tmp_path / "out"))

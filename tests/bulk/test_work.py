# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.bulk.work: what is computed when, with files as they are."""

import io

import numpy as np
import pytest

from fakedet_jax.bulk import ledger, parts, work
from fakedet_jax.bulk.inputs import Input, Inputs
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.predictions import FileResult
from fakedet_jax.evaluation.scoring import BatchResult
from fakedet_jax.faces import stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.detection import create
from fakedet_jax.media.framing import Framing
from tests.data import pictures

COLUMNS = {"path": "string", "score": "double", "error": "string", "input": "int64"}
FRAMING = Framing.square(16)
BATCH_SIZE = 3


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(7):
        picture = np.full((16, 16, 3), 10 * number, np.uint8)
        (folder / f"{number}.png").write_bytes(pictures.encode(picture, "PNG"))
    return [str(folder / f"{number}.png") for number in range(7)]


def _inputs(paths):
    return Inputs("`inputs`: 'a list'", {}, lambda: iter([Input(p) for p in paths]))


def _claim(folder, num_inputs=7, unit_size=2):
    request = ledger.Request({}, num_inputs, unit_size, "csv", COLUMNS)
    return ledger.claim(folder, request)


def _computation(batches):
    """Log-odds are mean grey values; notes the numbers of real rows of each batch."""

    def compute(tagged):
        for items, batch in tagged:
            batches.append(0 if batch is None else int(batch["mask"].sum()))
            values = np.zeros((0, 0), np.float32)
            if batch is not None:
                values = batch["image"].mean((1, 2, 3))[batch["mask"]]
            yield BatchResult(items, values, np.zeros(0))

    def open_batches(files):
        return stream.stream_faces(
            files,
            Cropping(create("none")),
            framing=FRAMING,
            batch_size=BATCH_SIZE,
            reading=stream.Reading(num_threads=2),
        )

    return work.Computation(
        open_batches,
        compute,
        to_results=lambda values: [[value] for value in values.tolist()],
        start_file=FileResult,
        to_rows=lambda task, file: [
            (task.input.path, face.log_odds, face.reason or None, task.number)
            for face in file.faces()
        ],
    )


def _run(book, paths, shard=(0, 1), *, retry_failed=False):
    batches = []
    schedule = work.Schedule(book, shard, retry_failed=retry_failed)
    report = work.run(book, schedule, _inputs(paths), _computation(batches), "predict")
    return report, batches


def _rows(book):
    schema = work.schema_of(book)
    rows = []
    for unit in range(book.request.num_units):
        content = io.BytesIO(book.part(unit).read_bytes())
        for table in parts.read(content, "csv", schema):
            rows += table.to_pylist()
    return rows


def test_the_most_frequent_reason_is_said():
    report = work.Report()
    assert work.describe_errors(report) == ""
    report.errors.update({"is empty": 2, "does not exist": 1200})
    found = work.describe_errors(report)
    assert found == "1,202 errors (1,200 × does not exist)"


def test_each_unit_has_batches_of_its_own(tmp_path, paths):
    book = _claim(tmp_path / "run", unit_size=4)
    report, batches = _run(book, paths)
    # The end of the last file comes after its full batch.
    assert batches == [3, 1, 3, 0]
    assert report.num_inputs == 7
    assert set(report.seconds) == {"read", "device", "write"}
    rows = _rows(book)
    assert [row["score"] for row in rows] == [10.0 * number for number in range(7)]
    assert [row["input"] for row in rows] == list(range(7))


def test_a_shard_computes_every_nth_unit(tmp_path, paths):
    book = _claim(tmp_path / "run")
    report, _ = _run(book, paths, (1, 3))
    assert report.num_inputs == 2
    assert [book.done(unit) is not None for unit in range(4)] == [False, True] + [
        False
    ] * 2


def test_units_that_are_done_are_left_alone(tmp_path, paths):
    book = _claim(tmp_path / "run")
    _run(book, paths, (0, 2))
    report, batches = _run(book, paths)
    assert (report.num_inputs, batches) == (3, [2, 1])


def test_only_failed_inputs_are_tried_again(tmp_path, paths):
    broken = [*paths[:3], "nowhere.png", *paths[4:]]
    book = _claim(tmp_path / "run")
    report, _ = _run(book, broken)
    assert report.errors == {"does not exist": 1}
    report, batches = _run(book, paths, retry_failed=True)
    assert (report.num_inputs, batches) == (1, [1])
    assert [row["score"] for row in _rows(book)] == [10.0 * n for n in range(7)]
    assert not any(book.done(unit).errors for unit in range(4))


@pytest.mark.parametrize("count", [5, 8])
def test_inputs_that_change_on_the_way_are_noticed(tmp_path, paths, count):
    book = _claim(tmp_path / "run")
    with pytest.raises(RequestError, match=f"expected 7 inputs, found {count}"):
        _run(book, (paths * 2)[:count])


def test_a_damaged_request_is_told(tmp_path):
    request = ledger.Request({}, 1, 1, "csv", {"path": "no type"})
    with pytest.raises(RequestError, match="is damaged"):
        work.schema_of(ledger.Ledger(tmp_path, request))


def test_units_can_be_computed_one_by_one(tmp_path, paths):
    whole, single = _claim(tmp_path / "whole"), _claim(tmp_path / "single")
    expected, _ = _run(whole, paths)
    schedule = work.Schedule(single, (0, 1), retry_failed=False)
    report = work.Report()
    for unit in reversed(list(work.units(schedule.tasks(_inputs(paths))))):
        report.add(work.compute_unit(single, unit, _computation([])))
    assert _rows(single) == _rows(whole)
    assert (report.num_inputs, report.num_rows) == (7, expected.num_rows)


def test_a_failed_unit_has_a_row_for_each_input(tmp_path, paths):
    book, batches = _claim(tmp_path / "run"), []
    schedule = work.Schedule(book, (3, 4), retry_failed=False)
    (unit,) = work.units(schedule.tasks(_inputs(paths)))
    report = work.compute_unit(book, work.failed(unit, "died"), _computation(batches))
    assert report.errors == {"died": 1}
    assert batches == [0]
    found = book.done(3)
    assert found.errors == {"died": 1}

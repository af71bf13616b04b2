# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.bulk.ledger."""

import dataclasses
import re
import threading

import pytest

from fakedet_jax.bulk import ledger
from fakedet_jax.errors import RequestError

REQUEST = ledger.Request(
    facts={"model_id": "abc", "faces": {"detector": {"name": "none"}}},
    num_inputs=10,
    unit_size=4,
    format="csv",
    columns={"path": "string"},
)


def test_units_cover_the_inputs():
    assert REQUEST.num_units == 3
    units = [list(REQUEST.inputs_of(unit)) for unit in range(3)]
    assert units == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_unit_is_done_when_its_part_is_whole(tmp_path):
    book = ledger.claim(tmp_path / "run", REQUEST)
    assert book.done(1) is None
    book.write(1, b"path\na\n", 1, {"shows no face": 1})
    assert book.part(1).name == "part-00001-of-00003.csv"
    done = ledger.claim(tmp_path / "run", REQUEST).done(1)
    assert (done.num_rows, done.errors) == (1, {"shows no face": 1})
    book.part(1).write_bytes(b"path\n")
    assert book.done(1) is None
    book.part(1).unlink()
    assert book.done(1) is None


def test_rare_reasons_are_counted_as_one(tmp_path):
    book = ledger.claim(tmp_path / "run", REQUEST)
    errors = {f"reason {number}": number for number in range(1, 31)}
    book.write(0, b"", 0, errors)
    found = book.done(0).errors
    assert len(found) == 21
    assert found[ledger.OTHER_REASONS] == sum(range(1, 11))
    assert sum(found.values()) == sum(errors.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_inputs": 11}, "num_inputs=10 (now 11)"),
        ({"unit_size": 5}, "unit_size=4 (now 5)"),
        ({"format": "parquet"}, "format='csv' (now 'parquet')"),
        (
            {"facts": {**REQUEST.facts, "model_id": "xyz"}},
            "model_id='abc' (now 'xyz')",
        ),
    ],
)
def test_another_request_is_refused_with_the_difference(tmp_path, change, message):
    ledger.claim(tmp_path / "run", REQUEST)
    other = dataclasses.replace(REQUEST, **change)
    with pytest.raises(RequestError, match=re.escape(message)):
        ledger.claim(tmp_path / "run", other)


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RequestError, match=r"holds 'thesis\.tex' but no request"):
        ledger.claim(tmp_path, REQUEST)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"request\.json' is missing"):
        ledger.open_ledger(tmp_path, "paths")
    (tmp_path / "request.json").write_text('{"facts": {}}')
    with pytest.raises(RequestError, match="`paths`"):
        ledger.open_ledger(tmp_path, "paths")


def test_processes_that_start_at_once_agree(tmp_path):
    requests = [
        dataclasses.replace(REQUEST, unit_size=size)
        for size in (4, 5)
        for _ in range(8)
    ]
    outcomes = []

    def start(request):
        try:
            ledger.claim(tmp_path / "run", request)
            outcomes.append(request.unit_size)
        except RequestError:
            outcomes.append(None)

    threads = [threading.Thread(target=start, args=[one]) for one in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = ledger.open_ledger(tmp_path / "run", "output").request.unit_size
    assert sorted(outcomes, key=str) == sorted([stored] * 8 + [None] * 8, key=str)
    leftovers = {path.name for path in (tmp_path / "run").iterdir()}
    assert leftovers == {"request.json", "units"}

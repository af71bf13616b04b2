# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The notebook runs cell by cell, and is stored without its outputs."""

import json
from pathlib import Path

import numpy as np
import pytest

_PATH = Path(__file__).parents[1] / "experiments" / "from_python.ipynb"


def _cells(kind):
    notebook = json.loads(_PATH.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_outputs_are_empty():
    for cell in _cells("code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_every_cell_is_explained():
    assert len(_cells("markdown")) >= len(_cells("code")) - 2


def test_the_cells_run_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for cell in _cells("code"):
        source = "".join(cell["source"])
        try:
            exec(compile(source, _PATH.name, "exec"), names)
        except Exception as error:
            pytest.fail(f"{source}\n{type(error).__name__}: {error}")
    scores, decisions = names["scores"], names["decisions"]
    assert scores.shape == (len(names["files"]),) == decisions.shape
    assert len(scores) > 8
    assert np.isfinite(scores).all()
    assert names["traces"].shape == (2, 128, 128, 3)
    printed = capsys.readouterr().out
    assert "expected uint8, from 0 to 255, found float64" in printed
    assert "nan]" in printed

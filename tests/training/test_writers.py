# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.writers."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from fakedet_jax import errors
from fakedet_jax.training import writers


def _events(folder):
    """Reads every event of every TensorBoard file, oldest file first."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            body = content[12 : 12 + size]
            stored = int.from_bytes(content[12 + size : 16 + size], "little")
            assert masked_crc32c(body) == stored
            yield event_pb2.Event.FromString(body)
            content = content[16 + size :]


def _run(folder, steps, resume_from=None):
    with writers.MetricWriter(folder) as writer:
        if resume_from is not None:
            writer.truncate_after(resume_from)
        for step in steps:
            writer.write(step, {"loss": 1 / step, "accuracy": 0.5})


def test_lines_are_json_with_the_step_first(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": np.float32(0.5), "accuracy": 1})
        writer.write(np.int64(2), {"loss": np.array(0.25)})
    assert (tmp_path / "metrics.jsonl").read_bytes() == (
        b'{"step": 1, "loss": 0.5, "accuracy": 1.0}\n{"step": 2, "loss": 0.25}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_become_null(tmp_path, value):
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": value})
    assert writers.read_rows(tmp_path) == [{"step": 1, "loss": None}]


def test_a_line_is_readable_before_the_writer_is_closed(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5})
        assert writers.read_rows(tmp_path) == [{"step": 1, "loss": 0.5}]


def test_tensorboard_gets_the_same_scalars(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5, "validation/auc": 0.75})
        writer.write(2, {"loss": float("nan")})
    scalars = [
        (event.step, value.tag, value.simple_value)
        for event in _events(tmp_path)
        for value in event.summary.value
    ]
    assert scalars == [(1, "loss", 0.5), (1, "validation/auc", 0.75)]


def test_tensorboard_hides_the_steps_that_are_cut_off(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        writer.truncate_after(7)
        writer.write(8, {"loss": 0.5})
    purged = [
        event.step for event in _events(tmp_path) if event.HasField("session_log")
    ]
    assert purged == [8]


def test_a_resumed_file_equals_an_uninterrupted_one(tmp_path):
    _run(tmp_path / "whole", range(1, 11))
    _run(tmp_path / "resumed", range(1, 8))
    _run(tmp_path / "resumed", range(5, 11), resume_from=4)
    whole, resumed = (
        (tmp_path / name / "metrics.jsonl").read_bytes()
        for name in ("whole", "resumed")
    )
    assert whole == resumed


def test_truncating_while_writing(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        for step in (1, 2, 3):
            writer.write(step, {})
        writer.truncate_after(1)
        writer.write(2, {"loss": 0.5})
    assert writers.read_rows(tmp_path) == [{"step": 1}, {"step": 2, "loss": 0.5}]


@pytest.mark.parametrize(
    ("tail", "steps"),
    [
        (b'{"step": 2, "lo', [1]),
        (b"\0\0\0", [1]),
        (b'{"step": 2}', [1, 2]),
    ],
)
def test_a_torn_last_line_is_mended(tmp_path, tail, steps):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + tail)
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(3, {})
    assert [row["step"] for row in writers.read_rows(path)] == [*steps, 3]


def test_a_torn_only_line_is_removed(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"st')
    with writers.MetricWriter(tmp_path):
        assert writers.read_rows(tmp_path) == []


def test_reading_ignores_a_line_that_is_still_being_written(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step": 2, "lo')
    assert writers.read_rows(tmp_path) == [{"step": 1}]


@pytest.mark.parametrize("line", [b"not json", b"[1]", b'{"loss": 1}', b""])
def test_a_foreign_line_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n' + line + b"\n")
    with (
        writers.MetricWriter(tmp_path) as writer,
        pytest.raises(errors.RequestError, match=r"metrics\.jsonl, line 2"),
    ):
        writer.truncate_after(5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(errors.RequestError, match="no such file"):
        writers.read_rows(tmp_path / "nowhere")


def test_a_metric_called_step_is_refused(tmp_path):
    with (
        writers.MetricWriter(tmp_path) as writer,
        pytest.raises(ValueError, match="step"),
    ):
        writer.write(1, {"step": 1.0})


@pytest.mark.parametrize("value", ["0.5", None, [1, 2]])
def test_values_that_are_no_numbers_are_refused(tmp_path, value):
    with (
        writers.MetricWriter(tmp_path) as writer,
        pytest.raises(TypeError),
    ):
        writer.write(1, {"loss": value})


def test_a_closed_writer_refuses_to_write(tmp_path):
    writer = writers.MetricWriter(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(1, {})


def test_flush_keeps_the_writer_open(tmp_path):
    with writers.MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5})
        writer.flush()
        writer.write(2, {"loss": 0.5})
    assert [row["step"] for row in writers.read_rows(tmp_path)] == [1, 2]


def test_the_other_processes_write_nothing(tmp_path):
    with writers.create(tmp_path / "workdir", process_index=1) as writer:
        writer.truncate_after(0)
        writer.write(1, {"loss": 0.5})
        writer.flush()
    assert not (tmp_path / "workdir").exists()


def test_the_first_process_writes(tmp_path):
    with writers.create(tmp_path, process_index=0) as writer:
        writer.write(1, {"loss": 0.5})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text) == {"step": 1, "loss": 0.5}


def test_tensorboard_is_imported_only_when_needed():
    code = (
        "import sys, fakedet_jax.training.writers; "
        "assert 'tensorboardX' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.compiler.cost, against sums by hand."""

from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fakedet_jax.compiler import Program, Target, cost

_GPU, _TPU = (
    (Path(__file__).parent / f"{name}.hlo").read_text("utf-8")
    for name in ("gpu", "tpu")
)


def _program(num_rows=8):
    """`[rows, 4] · [4, 1000]` over two devices."""
    mesh = Mesh(jax.devices()[:2], ("data",))

    def shape(shape, *spec):
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)

    arguments = (shape((num_rows, 4), "data"), shape((4, 1000)), shape(()))
    return Program(
        jax.jit(lambda x, kernel, scale: scale * (x @ kernel)),
        arguments,
        mesh,
        num_rows,
    )


def _target(**facts):
    return Target("here", "none", jax.devices()[:2], "thing", **facts)


def test_what_a_compiler_tells_of_this_machine():
    found = cost.compile_program(_program())
    arguments, results = 4 * (4 * 4 + 4 * 1000 + 1), 4 * 4 * 1000
    assert found.needed_bytes == found.temporary_bytes + arguments + results
    assert "ENTRY" in found.text


@pytest.mark.parametrize(
    ("flops", "seconds"),
    [
        # 51,162 bytes in the text at 10 kB/s; 2 · 10⁶ additions on each device.
        (100.0, 51_162 / 1e4),
        (4e9, 2e9 / 1e8),
        (None, 51_162 / 1e4),
    ],
)
def test_the_slower_of_memory_and_arithmetic_limits_a_gpu(flops, seconds):
    target = _target(bytes_per_second=1e4, flops_per_second={"bfloat16": 1e8})
    compiled = cost.Compiled(_GPU, 1.5, 100, 60)
    told = cost.facts(_program(), compiled, target, flops, "bfloat16")
    assert told["bytes_per_image"] * 8 / 2 == 51_162
    assert told["images_per_second"] == pytest.approx(8 / seconds)
    assert told["estimated_cycles"] is told["fits"] is None
    assert told["compile_seconds"] == 1.5
    assert told["low_precision_reductions"][0]["num_terms"] == 8192


def test_cycles_and_the_clock_tell_the_speed_of_a_tpu():
    target = _target(clock_hz=1e9, memory_bytes=100)
    told = cost.facts(
        _program(), cost.Compiled(_TPU, 1, 100, 60), target, 80.0, "float32"
    )
    assert told["estimated_cycles"] == 67
    assert told["images_per_second"] == pytest.approx(8 / 67e-9)
    assert told["flops_per_image"] == 10
    assert told["fits"] is True


def test_the_batch_that_would_fit():
    program = _program(num_rows=80)
    assert program.replicated_bytes == 16_000
    told = {"needed_bytes": 16_000 + 40 * 100, "memory_bytes": 16_000 + 1_550}
    # 100 bytes a row: 15 rows on each of two devices.
    assert cost.largest_batch(program, told) == 30
    told["memory_bytes"] = 15_000
    assert cost.largest_batch(program, told) == 0
    assert cost.largest_batch(program, {**told, "memory_bytes": None}) is None


@pytest.mark.parametrize(
    ("message", "needed"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 49.80G of "
            "15.75G hbm. Exceeded hbm capacity by 34.05G.",
            int(49.8 * 2**30),
        ),
        (
            "RESOURCE_EXHAUSTED: E1000: Ran out of memory on HBM, the total memory "
            "required for HLO temporaries (96.03G) exceeds available HBM (15.75G).",
            int(96.03 * 2**30),
        ),
        ("RESOURCE_EXHAUSTED: something new", None),
    ],
)
def test_a_compiler_without_memory_tells_what_it_needs(message, needed):
    found = _without_memory(message)
    assert (found.text, found.needed_bytes) == (None, needed)
    told = cost.facts(_program(), found, _target(memory_bytes=2**34), 8.0, "float32")
    assert told["fits"] is False
    assert told["operations"] is None
    assert (cost.largest_batch(_program(), told) is None) == (needed is None)


def test_another_failure_is_not_hidden():
    with pytest.raises(RuntimeError, match="INTERNAL"):
        _without_memory("INTERNAL: something else")


def _without_memory(message):
    lowered = mock.Mock()
    lowered.compile.side_effect = RuntimeError(message)
    with mock.patch.object(Program, "lower", return_value=lowered):
        return cost.compile_program(_program())

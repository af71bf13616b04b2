# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.compiler.hlo, on programs that were counted by hand."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fakedet_jax.compiler import hlo

_GPU = (Path(__file__).parent / "gpu.hlo").read_text("utf-8")

_TPU = (Path(__file__).parent / "tpu.hlo").read_text("utf-8")


def test_instructions_are_counted_in_fusions_and_not_in_what_is_applied():
    told = hlo.operations(hlo.parse(_GPU))
    assert list(told)[: len(hlo.ALWAYS_TOLD)] == list(hlo.ALWAYS_TOLD)
    assert {kind: number for kind, number in told.items() if number} == {
        "custom_call": 1,
        "fusion": 1,
        "reduce": 3,
        "all_reduce": 1,
        "convert": 2,
    }


def test_bytes_are_operands_and_results_of_what_runs():
    found = {k.name: k for k in hlo.kernels(hlo.parse(_GPU))}
    plane, kernel = 2 * 64 * 128, 2 * 72
    assert found["sums"].bytes_read == plane
    assert found["sums"].bytes_written == 2 * 128 + 4 * 128
    # Scratch memory of a library is no result.
    assert found["conv"].bytes_read == plane + kernel
    assert found["conv"].bytes_written == 2 * 8 * 4
    assert set(found) == {"sums", "conv", "all", "start", "out"}
    assert hlo.kernel_bytes(hlo.parse(_GPU)) == (
        (plane + 768) + (plane + kernel + 64) + (plane + 2 + 2) + 2 * 512 + (2 + 4)
    )


def test_collectives_are_told_with_their_bytes():
    assert hlo.collectives(hlo.parse(_GPU)) == [
        {"kind": "all_reduce", "count": 1, "bytes": 512}
    ]


def test_arrays_in_a_small_memory_are_sent_too():
    module = hlo.parse(
        """HloModule step

ENTRY %main (x: f32[378,64], y: f32[64]) -> (f32[378,64], f32[64]) {
  %x = f32[378,64]{0,1:T(8,128)S(1)} parameter(0)
  %y = f32[64]{0:T(128)} parameter(1)
  ROOT %all = (f32[378,64]{0,1:T(8,128)S(1)}, f32[64]{0:T(128)}) all-reduce(%x, %y)
}
"""
    )
    (found,) = hlo.collectives(module)
    assert found["bytes"] == 4 * (378 * 64 + 64)
    # But are not moved between the chip and its large memory.
    assert hlo.kernel_bytes(module) == 2 * 4 * 64


def test_long_sums_in_bfloat16_are_told():
    (found,) = hlo.low_precision_reductions(hlo.parse(_GPU))
    assert found == hlo.LowPrecisionReduction(
        "all", "bf16", 64 * 128, "jit(step)/reduce_sum"
    )


def test_cycles_of_a_loop_count_as_often_as_it_runs():
    assert hlo.estimated_cycles(hlo.parse(_TPU)) == 4 * (10 + 5) + 7
    assert hlo.estimated_cycles(hlo.parse(_GPU)) is None


def test_in_a_loop_pieces_count_and_not_the_whole():
    found = {k.name: k for k in hlo.kernels(hlo.parse(_TPU))}
    assert found["one"].times == 4
    assert found["one"].bytes_read == 4 * 64 + 4
    # It stays on the chip.
    assert found["one"].bytes_written == 0
    assert found["back"].bytes_read == 4
    assert found["back"].bytes_written == 4 * 64


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match="found no ENTRY"):
        hlo.parse("HloModule empty\n")


def test_a_program_of_this_machine_is_read():
    mesh = Mesh(jax.devices()[:2], ("data",))
    cut = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    total = jax.jit(lambda x: jnp.sin(x).sum(0), in_shardings=cut, out_shardings=whole)
    text = total.lower(jax.ShapeDtypeStruct((64, 512), jnp.float32)).compile().as_text()
    module = hlo.parse(text)
    (found,) = hlo.collectives(module)
    assert found == {"kind": "all_reduce", "count": 1, "bytes": 4 * 512}
    assert hlo.operations(module)["reduce"] >= 1
    assert hlo.kernel_bytes(module) >= 4 * 32 * 512
    assert not hlo.low_precision_reductions(module)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures compiled functions on this machine: time, arithmetic and memory."""

import functools
import logging
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from fakedet_jax.runtime import parallel, platforms

# How a table shows a result: its name, what it is, its unit and what divides it.
Row = tuple[str, str, str, float]

_LOGGER = logging.getLogger(__name__)

# A run repeats its call for about this long, as the clock is not exact.
_RUN_SECONDS = 0.5
_MAX_CALLS = 1000

# Sides of the matrices whose product measures the machine.
_CPU_SIDE = 2048
_ACCELERATOR_SIDE = 8192


def seconds_per_call(
    call: Callable[[], Any], num_repeats: int, *, num_warmup: int = 2
) -> float:
    """Measures a call in steady state.

    Args:
        call: Function to measure. It returns arrays that are ready when its work is
            done; the next call must not reuse their memory (donation).
        num_repeats: Number of runs, at least 1; each makes many calls.
        num_warmup: Calls before the first run, which compile and fill buffers.

    Returns:
        Seconds per call, the median over the runs.
    """
    return seconds_in_turns({"": call}, num_repeats, num_warmup=num_warmup)[""]


def seconds_in_turns(
    calls: Mapping[str, Callable[[], Any]], num_repeats: int, *, num_warmup: int = 2
) -> dict[str, float]:
    """Measures several calls whose ratio matters, with runs in turns.

    Other work on the machine then slows all of them equally.

    Args:
        calls: Functions to measure by name, see `seconds_per_call`.
        num_repeats: Number of runs of each, at least 1.
        num_warmup: Calls of each before its first run.

    Returns:
        Seconds per call by name, medians over the runs.
    """
    runs = runs_in_turns(calls, num_repeats, num_warmup=num_warmup)
    return {name: statistics.median(times) for name, times in runs.items()}


def runs_in_turns(
    calls: Mapping[str, Callable[[], Any]], num_repeats: int, *, num_warmup: int = 2
) -> dict[str, list[float]]:
    """As `seconds_in_turns`, with the seconds per call of each turn, by name."""
    num_calls = {}
    for name, call in calls.items():
        for _ in range(num_warmup):
            jax.block_until_ready(call())
        num_calls[name] = _calls_of_a_run(call)
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(num_repeats):
        for name, call in calls.items():
            runs[name].append(_time(call, num_calls[name]) / num_calls[name])
    return runs


def compile_timed(jitted: Any, arguments: tuple[Any, ...]) -> tuple[Any, float, float]:
    """Lowers and compiles a function ahead of time, and measures both.

    Args:
        jitted: Function that `jax.jit` returned.
        arguments: Its arguments: arrays, or their shapes.

    Returns:
        The compiled function, and the seconds of lowering and of compiling it.
    """
    start = time.perf_counter()
    lowered = jitted.lower(*arguments)
    middle = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    return compiled, middle - start, end - middle


def count_flops(jitted: Any, arguments: tuple[Any, ...]) -> float | None:
    """Counts the multiplications and additions of a call, over all devices.

    The function is lowered for an accelerator, which need not be present. Compiled for
    CPUs, convolutions are loops over pictures, and XLA counts the body of a loop once,
    however often it runs.

    Args:
        jitted: Function that `jax.jit` returned.
        arguments: Its arguments: arrays, or their shapes.

    Returns:
        The count of XLA, None where it gives none.
    """
    try:
        whole = platforms.for_every_platform(jitted)
        lowered = whole.trace(*arguments).lower(lowering_platforms=("tpu",))
        costs = lowered.cost_analysis()
    except (NotImplementedError, RuntimeError) as error:
        _LOGGER.info("XLA does not count the arithmetic here (%s)", error)
        return None
    return (costs or {}).get("flops")


def peak_memory(mesh: Mesh) -> dict[str, int | None]:
    """The most memory that this process has used so far.

    Args:
        mesh: Mesh of the devices to ask.

    Returns:
        `peak_host_bytes`, and `peak_device_bytes` of the device that used most, None
        where the platform does not report it.
    """
    # macOS reports bytes, Linux KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    all_stats = [device.memory_stats() or {} for device in mesh.devices.flat]
    peaks = [
        stats["peak_bytes_in_use"]
        for stats in all_stats
        if "peak_bytes_in_use" in stats
    ]
    return {
        "peak_host_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "peak_device_bytes": max(peaks, default=None),
    }


def matmul_flops_per_second(mesh: Mesh, dtype: Any, num_repeats: int) -> float:
    """Measures a large matrix product, with the rows of its left side on a mesh.

    Args:
        mesh: Mesh of all devices.
        dtype: Type of the matrices; float32 is not rounded to TF32, as in the networks.
        num_repeats: Number of runs, at least 1; their median counts.

    Returns:
        Multiplications and additions per second, of all devices together.
    """
    if mesh.devices.flat[0].platform == "cpu":
        # CPU devices share the cores.
        side = rows = _CPU_SIDE
    else:
        side, rows = _ACCELERATOR_SIDE, _ACCELERATOR_SIDE * mesh.size
    cut, whole = parallel.batch_sharding(mesh), parallel.replicated(mesh)

    def make() -> tuple[jax.Array, jax.Array]:
        # Random, as some chips draw less power and run faster on constant operands.
        left, right = jax.random.split(jax.random.key(0))
        return (
            jax.random.normal(left, (rows, side), dtype),
            jax.random.normal(right, (side, side), dtype),
        )

    left, right = jax.jit(make, out_shardings=(cut, whole))()
    multiply = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    product = jax.jit(multiply, out_shardings=cut)
    seconds = seconds_per_call(lambda: product(left, right), num_repeats)
    return 2.0 * rows * side * side / seconds


def _calls_of_a_run(call: Callable[[], Any]) -> int:
    once = _time(call, 1)
    return min(max(math.ceil(_RUN_SECONDS / once), 1), _MAX_CALLS)


def _time(call: Callable[[], Any], num_calls: int) -> float:
    start = time.perf_counter()
    previous = None
    for _ in range(num_calls):
        result = call()
        # Waiting for the call before, like a training loop: the device is never idle,
        # and at most two calls are in flight.
        jax.block_until_ready(previous)
        previous = result
    jax.block_until_ready(previous)
    return time.perf_counter() - start

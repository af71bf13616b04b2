# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Clock, arithmetic and memory: how fast a compiled function is on this machine."""

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

from fakedet_jax.runtime import parallel

_LOGGER = logging.getLogger(__name__)

# A run repeats its call until about so much time has passed, for the clock's sake.
_RUN_SECONDS = 0.5
_MAX_CALLS = 1000

# Sides of the matrices whose product is the measure of a machine.
_CPU_SIDE = 2048
_ACCELERATOR_SIDE = 8192


def seconds_per_call(
    call: Callable[[], Any], num_repeats: int, *, num_warmup: int = 2
) -> float:
    """Measures a call in steady state.

    Args:
        call: What is measured; it returns arrays that are there when it is done, none
            of which the next call may take over (donation).
        num_repeats: Runs, each of many calls.
        num_warmup: Calls before, which compile and fill buffers.

    Returns:
        The median over the runs, seconds.
    """
    for _ in range(num_warmup):
        jax.block_until_ready(call())
    num_calls = _calls_of_a_run(call)
    runs = [_time(call, num_calls) / num_calls for _ in range(num_repeats)]
    return statistics.median(runs)


def seconds_in_turns(
    calls: Mapping[str, Callable[[], Any]], num_repeats: int, *, num_warmup: int = 2
) -> dict[str, float]:
    """Measures several calls whose ratio matters: each run is of another one.

    Whatever else keeps the machine busy then slows all of them alike.

    Args:
        calls: As for `seconds_per_call`, by name.
        num_repeats: Runs of each.
        num_warmup: Calls of each before.

    Returns:
        The median of each over its runs, seconds.
    """
    num_calls = {}
    for name, call in calls.items():
        for _ in range(num_warmup):
            jax.block_until_ready(call())
        num_calls[name] = _calls_of_a_run(call)
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(num_repeats):
        for name, call in calls.items():
            runs[name].append(_time(call, num_calls[name]) / num_calls[name])
    return {name: statistics.median(times) for name, times in runs.items()}


def compile_timed(jitted: Any, arguments: tuple[Any, ...]) -> tuple[Any, float, float]:
    """Lowers and compiles ahead of time, each by the clock.

    Args:
        jitted: What `jax.jit` returned.
        arguments: Arrays, or their shapes.

    Returns:
        The compiled function, seconds of lowering and of compiling.
    """
    start = time.perf_counter()
    lowered = jitted.lower(*arguments)
    middle = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    return compiled, middle - start, end - middle


def count_flops(jitted: Any, arguments: tuple[Any, ...]) -> float | None:
    """Counts multiplications and additions of a call, over all devices.

    Not those of the compiled function: XLA counts the body of a loop once, however
    often it runs, and on CPUs convolutions are loops over pictures. Lowered for an
    accelerator, which need not be there, they are convolutions.

    Args:
        jitted: What `jax.jit` returned.
        arguments: Arrays, or their shapes.

    Returns:
        What XLA counts, None where it does not tell.
    """
    try:
        lowered = jitted.trace(*arguments).lower(lowering_platforms=("tpu",))
        costs = lowered.cost_analysis()
    except (NotImplementedError, RuntimeError) as error:
        _LOGGER.info("XLA does not count the arithmetic here (%s)", error)
        return None
    return (costs or {}).get("flops")


def peak_memory(mesh: Mesh) -> dict[str, int | None]:
    """The most memory that this process has used so far.

    Returns:
        Bytes as `peak_host_bytes`, and as `peak_device_bytes` of the fullest device,
        None where the platform does not tell.
    """
    # macOS counts in bytes, Linux in KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    told = [device.memory_stats() or {} for device in mesh.devices.flat]
    peaks = [
        stats["peak_bytes_in_use"] for stats in told if "peak_bytes_in_use" in stats
    ]
    return {
        "peak_host_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "peak_device_bytes": max(peaks, default=None),
    }


def matmul_flops_per_second(mesh: Mesh, dtype: Any, num_repeats: int) -> float:
    """Measures a large matrix product, the rows of its left side spread over a mesh.

    Args:
        mesh: The devices.
        dtype: Of the matrices; float32 is not rounded to TF32, as in the networks.
        num_repeats: Runs, of which the median counts.

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
        # Constant operands would let some chips draw less power and run faster.
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
        # One call behind, as a training loop: the device is never idle, and what is
        # under way stays bounded.
        jax.block_until_ready(previous)
        previous = result
    jax.block_until_ready(previous)
    return time.perf_counter() - start

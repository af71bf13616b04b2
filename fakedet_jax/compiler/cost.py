# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a program costs on a device, from what its compiler tells."""

import dataclasses
import re
import time
from collections.abc import Mapping
from typing import Any

import jax

from fakedet_jax.compiler import hlo
from fakedet_jax.compiler.program import Program
from fakedet_jax.compiler.targets import Target

# As libtpu writes sizes of memory.
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program as a compiler has made it for a target.

    Attributes:
        text: Its optimised HLO; None where it does not fit the memory and the compiler
            gave up.
        seconds: What compiling took.
        needed_bytes: Memory that one device needs; None where the compiler gave up and
            did not tell.
        temporary_bytes: Of these, what is neither argument nor result; None as above.
    """

    text: str | None
    seconds: float
    needed_bytes: int | None
    temporary_bytes: int | None


def compile_program(program: Program) -> Compiled:
    """Compiles a program for the devices of its mesh.

    Raises:
        RuntimeError: The compiler failed for another reason than the memory.
    """
    lowered = program.lower()
    start = time.perf_counter()
    # What was compiled for absent devices cannot be loaded again.
    used = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        compiled = lowered.compile()
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        needed = _needed_of_error(str(error))
        return Compiled(None, time.perf_counter() - start, needed, None)
    finally:
        jax.config.update("jax_enable_compilation_cache", used)
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    needed = (
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return Compiled(compiled.as_text(), seconds, needed, memory.temp_size_in_bytes)


def facts(
    program: Program,
    compiled: Compiled,
    target: Target,
    flops: float | None,
    arithmetic: str,
) -> dict[str, Any]:
    """What a program costs.

    Args:
        program: The program.
        compiled: It, compiled for the target.
        target: The devices.
        flops: Multiplications and additions of a call, over all devices.
        arithmetic: Format of the factors, one of `Target.flops_per_second`.

    Returns:
        JSON values; None for what nobody tells.

        - `flops_per_image`, `bytes_per_image`: arithmetic in the plain form of the
          program, and operands and results of all kernels, over all devices.
        - `temporary_bytes`, `needed_bytes`, `memory_bytes`: temporaries, all that is
          needed and all that there is, of one device; `fits` compares the last two.
        - `estimated_cycles`: of one device, where its compiler estimates them.
        - `images_per_second`: that follow, over all devices: the estimated cycles at
          the clock of a TPU; on a GPU memory or arithmetic at its peak, whichever takes
          longer. No program is faster.
        - `operations`, `collectives`, `low_precision_reductions`: see `hlo`.
        - `compile_seconds`.
    """
    if compiled.text is None:
        fits: bool | None = False
    elif compiled.needed_bytes is None or target.memory_bytes is None:
        fits = None
    else:
        fits = compiled.needed_bytes <= target.memory_bytes
    shared = {
        "flops_per_image": flops / program.num_rows if flops else None,
        "temporary_bytes": compiled.temporary_bytes,
        "needed_bytes": compiled.needed_bytes,
        "memory_bytes": target.memory_bytes,
        "fits": fits,
        "compile_seconds": compiled.seconds,
    }
    if compiled.text is None:
        unknown = (
            "bytes_per_image",
            "estimated_cycles",
            "images_per_second",
            "operations",
            "collectives",
            "low_precision_reductions",
        )
        return {**shared, **dict.fromkeys(unknown)}
    module = hlo.parse(compiled.text)
    num_bytes = hlo.kernel_bytes(module)
    cycles = hlo.estimated_cycles(module)
    seconds = _seconds(target, cycles, num_bytes, flops, arithmetic)
    return {
        **shared,
        "bytes_per_image": num_bytes * program.mesh.size / program.num_rows,
        "estimated_cycles": cycles,
        "images_per_second": program.num_rows / seconds if seconds else None,
        "operations": hlo.operations(module),
        "collectives": hlo.collectives(module),
        "low_precision_reductions": [
            dataclasses.asdict(found) for found in hlo.low_precision_reductions(module)
        ],
    }


def largest_batch(program: Program, told: Mapping[str, Any]) -> int | None:
    """About the largest batch that would fit, over all devices.

    All but the arguments that each device holds whole is taken to grow with the batch.

    Args:
        program: One that does not fit.
        told: Its `facts`.

    Returns:
        A multiple of the number of devices; 0 where not even one picture fits, None
        where nobody tells the memory that it needs or that there is.
    """
    if None in (told["memory_bytes"], told["needed_bytes"]):
        return None
    whole = program.replicated_bytes
    growing = max(told["needed_bytes"] - whole, 1)
    share = (told["memory_bytes"] - whole) / growing
    local = program.num_rows // program.mesh.size
    return max(int(share * local), 0) * program.mesh.size


def _seconds(
    target: Target,
    cycles: int | None,
    num_bytes: int,
    flops: float | None,
    arithmetic: str,
) -> float | None:
    """Seconds of a call that follow from estimates, where there are any."""
    if cycles is not None and target.clock_hz:
        return cycles / target.clock_hz
    if target.bytes_per_second is None:
        return None
    peak = target.flops_per_second.get(arithmetic)
    multiplying = flops / len(target.devices) / peak if flops and peak else 0.0
    return max(num_bytes / target.bytes_per_second, multiplying)


def _needed_of_error(message: str) -> int | None:
    """Bytes that a program needs, from what libtpu says where it lacks memory."""
    found = re.search(
        r"\(([\d.]+)([KMGT]?)\) exceeds available|[Uu]sed ([\d.]+)([KMGT]?) of", message
    )
    if found is None:
        return None
    number, unit = (part for part in found.groups() if part is not None)
    return int(float(number) * _UNITS[unit])

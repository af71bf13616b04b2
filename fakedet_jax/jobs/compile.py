# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=compile`: what a program costs on a device, also on an absent one.

Nothing is run: all numbers are what the compiler for the device tells, or follow from
what it tells.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

import jax

from fakedet_jax import systems
from fakedet_jax.compiler import Program, cost, hlo, targets
from fakedet_jax.config import CompileConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.models import precision
from fakedet_jax.report.text_table import NONE, text_table
from fakedet_jax.runtime import measurement, parallel, storage
from fakedet_jax.systems import programs
from fakedet_jax.systems.options import Options

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

_ROWS: tuple[measurement.Row, ...] = (
    ("flops_per_image", "Arithmetic", "GFLOP/{row}", 1e9),
    ("bytes_per_image", "Memory moved", "MB/{row}", 1e6),
    ("temporary_bytes", "Temporaries, one device", "GB", 1e9),
    ("needed_bytes", "Memory needed, one device", "GB", 1e9),
    ("memory_bytes", "Memory there, one device", "GB", 1e9),
    ("estimated_cycles", "Estimated cycles, one device", "million", 1e6),
    ("images_per_second", "Implied speed, all devices", "{row}s/s", 1),
    ("compile_seconds", "Compiling", "s", 1),
)


def compile_program(config: CompileConfig) -> Results:
    """Compiles a program and tells what it costs.

    Args:
        config: The settings.

    Returns:
        What is written as JSON: what was compiled for which device, and the entries of
        `compiler.cost.facts`; where the program does not fit, also `largest_batch_size`
        that would, about.

    Raises:
        RequestError: The settings are not as expected.
        RuntimeError: The compiler failed.
    """
    _make_folders(config)
    with precision.using(config.precision.matmul_precision):
        results = _compile(config)
    if config.output is not None:
        with storage.writing_to(config.output, "output", "file"):
            storage.write_json(config.output, results)
    return results


def _compile(config: CompileConfig) -> Results:
    name = systems.name_of({"detector": config.detector, **config.options})
    options = systems.options_of({"detector": name})(
        **{**config.options, "dtype": config.dtype}
    )
    target = targets.open_target(config.device, config.num_devices)
    # Only now: asking how many there are starts JAX.
    parallel.require_one_process("compile")
    made = _programs(name, options, target.devices, config.batch_size)
    what = programs.choose(made, config.what, name)
    program = made[what]()
    results = {
        "what": what,
        "detector": name,
        **config.options,
        "device": target.name,
        "device_kind": target.kind,
        "num_devices": len(target.devices),
        "batch_size": program.num_rows,
        "dtype": program.dtype or config.dtype,
        # A program with a dtype of its own multiplies as exactly as that.
        "matmul_precision": program.dtype or config.precision.matmul_precision,
        "jax_version": jax.__version__,
    }
    _LOGGER.info("compiling %s of %s for %s", what, name, target.name)
    compiled = cost.compile_program(program)
    if config.hlo_dir is not None and compiled.text is not None:
        path = config.hlo_dir / _file_name(results)
        with storage.writing_to(config.hlo_dir, "hlo_dir"):
            storage.write_text(path, compiled.text)
        _LOGGER.info("the program is in %s", path)
    flops = program.flops
    if flops is None:
        plain = _programs(name, options, jax.devices("cpu")[:1], program.num_rows)
        flops = _count_flops(plain[what]())
    results |= cost.facts(program, compiled, target, flops, _arithmetic(results))
    if results["fits"] is False:
        results["largest_batch_size"] = cost.largest_batch(program, results)
    return results


def check_fits(results: Mapping[str, Any]) -> None:
    """Refuses a program that needs more memory than its device has.

    Args:
        results: Of `compile_program`.

    Raises:
        RequestError: It does.
    """
    if results["fits"] is not False:
        return
    needed, largest = results["needed_bytes"], results["largest_batch_size"]
    needs = "more memory" if needed is None else f"{_shown(needed, 1e9)} GB"
    if largest is None:
        advice = "try half of it"
    elif largest:
        advice = f"about {largest} would fit"
    else:
        advice = "not even one picture fits"
    raise RequestError(
        f"`batch_size`: {results['batch_size']} needs {needs} of each device, but "
        f"{results['device_kind']} has {_shown(results['memory_bytes'], 1e9)} GB; "
        f"{advice}"
    )


def to_table(results: Mapping[str, Any]) -> str:
    """Aligns results for reading.

    Args:
        results: Of `compile_program`.

    Returns:
        Lines of text.
    """
    of = results.get("backbone") or results.get("embedder")
    detector = f"{results['detector']}, {of}" if of else results["detector"]
    row = "row" if results["what"] == "mixture" else "image"
    numbers = results["dtype"]
    if numbers == "float32":
        numbers += f", products in {results['matmul_precision']}"
    lines = [
        f"{detector}: {results['what']}, {numbers}, {results['batch_size']} {row}s on "
        f"{results['num_devices']} × {results['device_kind']}; "
        f"jax {results['jax_version']}",
        "",
    ]
    rows = [
        (label, _shown(results[name], divisor), unit.format(row=row))
        for name, label, unit, divisor in _ROWS
    ]
    operations: Mapping[str, int] = results["operations"] or {}
    told = [
        f"{operations[kind]} {kind}" for kind in hlo.ALWAYS_TOLD if operations.get(kind)
    ]
    lines += text_table(rows, left=(0, 2))
    if told:
        lines += ["", f"Operations: {', '.join(told)}"]
    lines += [
        f"{found['count']} {found['kind']}, {_shown(found['bytes'], 1e6)} MB"
        for found in results["collectives"] or ()
    ]
    lines += [
        f"Summed in {found['dtype']}: {found['num_terms']} terms in {found['name']} "
        f"{found['source']}".rstrip()
        for found in results["low_precision_reductions"] or ()
    ]
    return "\n".join(lines)


def _programs(
    name: str, options: Options, devices: Any, batch_size: int | None
) -> programs.Programs:
    system = systems.create(name, options)
    mesh = parallel.data_mesh(devices)
    return system.programs(programs.ProgramRequest(mesh, options, batch_size))


def _count_flops(program: Program) -> float | None:
    with jax.set_mesh(program.mesh):
        return measurement.count_flops(program.jitted, program.arguments)


def _arithmetic(results: Mapping[str, Any]) -> str:
    """What most numbers are multiplied as, for the peak of a GPU."""
    if results["dtype"] != "float32" or results["matmul_precision"] == "float32":
        return str(results["dtype"])
    # GPUs have no other format for float32 products that may be rounded.
    return "tf32"


def _file_name(results: Mapping[str, Any]) -> str:
    words = [
        str(value)
        for key, value in results.items()
        if key not in ("device_kind", "jax_version")
    ]
    return re.sub(r"[^\w.]+", "_", "_".join(words)) + ".hlo"


def _shown(value: float | None, divisor: float) -> str:
    if value is None:
        return NONE
    value /= divisor
    # Three digits tell all that estimates know.
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _make_folders(config: CompileConfig) -> None:
    """Makes the folders of results, so that nothing is compiled in vain.

    Raises:
        RequestError: One cannot be made.
    """
    if config.output is not None:
        if config.output.is_dir():
            raise RequestError(
                f"`output`: expected a file, found the folder {str(config.output)!r}"
            )
        storage.make_folder(config.output.parent, "output")
    if config.hlo_dir is not None:
        storage.make_folder(config.hlo_dir, "hlo_dir")

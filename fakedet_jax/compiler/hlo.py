# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads what a compiled program does from the text of its optimised HLO, pure.

The text is what `jax.stages.Compiled.as_text()` returns. A program is one entry
computation whose instructions run one after the other, each as one kernel or as a
library call; fusions, loops and reductions name further computations. (Grammar: "HLO
text" and "Operation semantics", openxla.org/xla.)
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

# Kinds that are always told, so that zero is seen to be zero.
ALWAYS_TOLD = (
    "convolution",
    "dot",
    "custom_call",
    "fusion",
    "reduce",
    "reduce_window",
    "select_and_scatter",
    "scatter",
    "gather",
    "while",
    "copy",
    "transpose",
    "all_reduce",
)

# bfloat16 has 8 significant bits: a sum of equal terms stands still after 2⁸ of them.
MIN_TERMS = 256

_LOW_PRECISION = ("bf16", "f16")

# Instructions that name values and run nothing.
_NAMING = frozenset(
    (
        "parameter",
        "constant",
        "get-tuple-element",
        "tuple",
        "bitcast",
        "after-all",
        "add-dependency",
        "opt-barrier",
        "domain",
        "partition-id",
        "replica-id",
    )
)

# Instructions that run the computations that they name.
_CALLING = ("while", "call", "conditional", "async-start")

_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "reduce-scatter",
    "collective-permute",
    "collective-broadcast",
)

# Instructions that take pieces of their first operand.
_CUTTING = ("dynamic-slice", "slice", "gather")

_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?")
_MEMORY_SPACE = re.compile(r"S\((\d+)\)")
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|called_computation)=%?([\w.\-]+)"
    r"|\b(?:branch_computations|called_computations)=\{([^}]*)\}"
)
_APPLIED = re.compile(r"\b(?:to_apply|select|scatter|comparator)=%?([\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_WINDOW = re.compile(r"\bwindow=\{size=([\dx]+)")
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_NAME = re.compile(r"%([\w.\-]+)")


@dataclasses.dataclass(frozen=True)
class Shape:
    """An array that an instruction makes.

    Attributes:
        dtype: As HLO writes it, such as `bf16`.
        dims: Its sides.
        is_on_chip: Whether it stays in a small memory of the chip.
    """

    dtype: str
    dims: tuple[int, ...]
    is_on_chip: bool = False

    @property
    def num_elements(self) -> int:
        """Product of its sides."""
        return math.prod(self.dims)

    @property
    def num_bytes(self) -> float:
        """What it takes in the device's memory, without padding."""
        if self.dtype == "pred":
            return self.num_elements
        bits = re.search(r"\d+", self.dtype)
        return self.num_elements * int(bits[0]) / 8 if bits else 0


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of a computation.

    Attributes:
        name: Of its result.
        kind: Such as `all-reduce`.
        shapes: Of its result; several for a tuple.
        operands: Names of the instructions whose results it takes.
        number: Of a parameter; -1 for all else.
        attributes: The rest of the line.
        is_root: Whether the computation returns its result.
    """

    name: str
    kind: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    number: int
    attributes: str
    is_root: bool


Computation = Mapping[str, Instruction]


@dataclasses.dataclass(frozen=True)
class Module:
    """A parsed program.

    Attributes:
        computations: Instructions by name, of computations by name.
        entry: Name of the computation that runs.
    """

    computations: Mapping[str, Computation]
    entry: str


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An instruction that runs, and the memory that it moves.

    Attributes:
        name: Of the instruction.
        kind: Such as `fusion`.
        times: How often it runs; once in a loop of unknown length.
        bytes_read: Of its operands each time. In a loop, an operand of which it only
            cuts pieces counts as much as the pieces.
        bytes_written: Of its results each time. In a loop, an operand that it changes
            in place counts as much as the change.
    """

    name: str
    kind: str
    times: int
    bytes_read: float
    bytes_written: float


@dataclasses.dataclass(frozen=True)
class LowPrecisionReduction:
    """A sum that is added up in bfloat16 or float16.

    Attributes:
        name: Of the instruction.
        dtype: `bf16` or `f16`.
        num_terms: Terms of each sum.
        source: Where the traced program asks for it, as JAX names it; may be empty.
    """

    name: str
    dtype: str
    num_terms: int
    source: str


def parse(text: str) -> Module:
    """Parses a program.

    Args:
        text: Of `as_text()`.

    Raises:
        ValueError: It has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = None, None
    for line in text.splitlines():
        if current is None:
            if header := _COMPUTATION.match(line):
                current = computations.setdefault(header[2], {})
                entry = header[2] if header[1] else entry
        elif line.startswith("}"):
            current = None
        elif found := _INSTRUCTION.match(line):
            is_root, name, shape, kind, rest = found.groups()
            operands, attributes = _split_operands(rest)
            current[name] = Instruction(
                name,
                kind,
                tuple(_shapes(shape)),
                tuple(_NAME.findall(operands)),
                int(operands) if kind == "parameter" else -1,
                attributes,
                is_root is not None,
            )
    if entry is None:
        raise ValueError("expected the text of an HLO module, found no ENTRY in it")
    return Module(computations, entry)


def operations(module: Module) -> dict[str, int]:
    """Counts instructions by kind, inside of fusions too.

    What reductions and scatters apply to pairs of numbers does not count.

    Returns:
        From kinds, written with underscores, to their numbers; those of `ALWAYS_TOLD`
        first.
    """
    applied = {
        name
        for computation in module.computations.values()
        for instruction in computation.values()
        if instruction.kind != "call"
        for name in _APPLIED.findall(instruction.attributes)
    }
    counts: collections.Counter[str] = collections.Counter()
    for name, computation in module.computations.items():
        if name not in applied:
            counts.update(
                _plain_kind(instruction.kind)
                for instruction in computation.values()
                if instruction.kind not in _NAMING
                and not instruction.kind.endswith("-done")
            )
    told = {kind: counts.pop(kind, 0) for kind in ALWAYS_TOLD}
    return {**told, **dict(sorted(counts.items()))}


def collectives(module: Module) -> list[dict[str, object]]:
    """What devices tell each other.

    Returns:
        For each kind a dict of `kind`, `count` and `bytes`, which one device gives.
    """
    counts: collections.Counter[str] = collections.Counter()
    num_bytes: collections.Counter[str] = collections.Counter()
    for computation, instruction, times in _running(module):
        kind = instruction.kind.removesuffix("-start")
        if kind in _COLLECTIVES:
            counts[_plain_kind(kind)] += times
            # What lies in a small memory of the chip is sent, too.
            given = sum(
                shape.num_bytes
                for name in instruction.operands
                for shape in _made(computation, name)
            )
            num_bytes[_plain_kind(kind)] += times * int(given)
    return [
        {"kind": kind, "count": counts[kind], "bytes": num_bytes[kind]}
        for kind in sorted(counts)
    ]


def estimated_cycles(module: Module) -> int | None:
    """Clock cycles that the compiler expects of one device; None where it tells none.

    Bodies of loops count as often as they run, where that is known.
    """
    found = [
        times * int(cycles)
        for _, instruction, times in _running(module)
        for cycles in _CYCLES.findall(instruction.attributes)
    ]
    return sum(found) if found else None


def kernels(module: Module) -> list[Kernel]:
    """The instructions that run, with the memory that each moves."""
    return [
        Kernel(
            instruction.name,
            instruction.kind,
            times,
            _bytes_read(module, computation, instruction, is_repeated=times > 1),
            _bytes_written(module, computation, instruction, is_repeated=times > 1),
        )
        for computation, instruction, times in _running(module)
    ]


def kernel_bytes(module: Module) -> int:
    """Bytes that one device moves: operands and results of all kernels."""
    return int(
        sum(
            kernel.times * (kernel.bytes_read + kernel.bytes_written)
            for kernel in kernels(module)
        )
    )


def low_precision_reductions(module: Module) -> list[LowPrecisionReduction]:
    """Sums of `MIN_TERMS` terms or more that are added up in bfloat16 or float16."""
    found = []
    for computation in module.computations.values():
        for instruction in computation.values():
            if instruction.kind not in ("reduce", "reduce-window"):
                continue
            dtype = _dtype_of_sum(module, instruction)
            num_terms = _num_terms(computation, instruction)
            if dtype in _LOW_PRECISION and num_terms >= MIN_TERMS:
                source = _OP_NAME.search(instruction.attributes)
                found.append(
                    LowPrecisionReduction(
                        instruction.name, dtype, num_terms, source[1] if source else ""
                    )
                )
    return found


def _split_operands(rest: str) -> tuple[str, str]:
    """What stands before, and what after, the parenthesis that closes the operands."""
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return rest[:place], rest[place + 1 :]
    return rest, ""


def _shapes(text: str) -> Iterator[Shape]:
    for dtype, dims, layout in _SHAPE.findall(text):
        space = _MEMORY_SPACE.search(layout)
        yield Shape(
            dtype,
            tuple(int(side) for side in dims.split(",") if side),
            space is not None and space[1] != "0",
        )


def _plain_kind(kind: str) -> str:
    if kind.removesuffix("-start") in _COLLECTIVES:
        kind = kind.removesuffix("-start")
    return kind.replace("-", "_")


def _running(
    module: Module, name: str | None = None, times: int = 1
) -> Iterator[tuple[Computation, Instruction, int]]:
    """The instructions that run, with their computation and how often they run."""
    computation = module.computations[name or module.entry]
    for instruction in computation.values():
        if instruction.kind in _CALLING:
            trips = _TRIPS.search(instruction.attributes)
            repeats = times * (int(trips[1]) if trips else 1)
            for called in _called(instruction):
                yield from _running(module, called, repeats)
        elif instruction.kind not in _NAMING and not instruction.kind.endswith("-done"):
            yield computation, instruction, times


def _called(instruction: Instruction) -> Iterator[str]:
    for one, several in _CALLED.findall(instruction.attributes):
        yield from [one] if one else _NAME.findall(several)


def _made(computation: Computation, name: str) -> tuple[Shape, ...]:
    return computation[name].shapes if name in computation else ()


def _bytes(computation: Computation, name: str) -> float:
    return _sum_of(_made(computation, name))


def _bytes_read(
    module: Module,
    computation: Computation,
    instruction: Instruction,
    *,
    is_repeated: bool,
) -> float:
    whole = [_bytes(computation, name) for name in instruction.operands]
    if not is_repeated:
        return sum(whole)
    if instruction.kind in _CUTTING:
        return _sum_of(instruction.shapes)
    if instruction.kind == "dynamic-update-slice":
        return whole[1]
    if instruction.kind != "fusion":
        return sum(whole)
    body = _body(module, instruction)
    parameters = {line.number: line.name for line in body.values()}
    return sum(
        min(size, _bytes_used(body, parameters[place]))
        for place, size in enumerate(whole)
    )


def _bytes_used(body: Computation, parameter: str) -> float:
    """Bytes that a fusion reads of a parameter: less than all where it cuts pieces."""
    total = 0.0
    for instruction in body.values():
        if parameter not in instruction.operands:
            continue
        first = instruction.operands[0] == parameter
        if instruction.kind in _CUTTING and first:
            total += _sum_of(instruction.shapes)
        elif not (instruction.kind == "dynamic-update-slice" and first):
            return math.inf
    return total


def _bytes_written(
    module: Module,
    computation: Computation,
    instruction: Instruction,
    *,
    is_repeated: bool,
) -> float:
    shapes = instruction.shapes
    if instruction.kind.endswith("-start"):
        # The tuple holds the operand too.
        return max((s.num_bytes for s in shapes if not s.is_on_chip), default=0)
    if instruction.kind == "custom-call" and len(shapes) > 1:
        # Libraries get their scratch memory as one more result.
        shapes = tuple(s for s in shapes if s.dtype not in ("s8", "u8"))
    if is_repeated:
        if instruction.kind == "dynamic-update-slice":
            return _bytes(computation, instruction.operands[1])
        if instruction.kind == "fusion":
            body = _body(module, instruction)
            (root,) = (line for line in body.values() if line.is_root)
            if root.kind == "dynamic-update-slice":
                return _bytes(body, root.operands[1])
    return _sum_of(shapes)


def _body(module: Module, fusion: Instruction) -> Computation:
    (name,) = _called(fusion)
    return module.computations[name]


def _sum_of(shapes: tuple[Shape, ...]) -> float:
    return sum(shape.num_bytes for shape in shapes if not shape.is_on_chip)


def _dtype_of_sum(module: Module, instruction: Instruction) -> str:
    """The dtype of a reduction's addition; empty where it adds nothing."""
    for name in _APPLIED.findall(instruction.attributes):
        for line in module.computations.get(name, {}).values():
            if line.kind == "add":
                return line.shapes[0].dtype
    return ""


def _num_terms(computation: Computation, instruction: Instruction) -> int:
    if window := _WINDOW.search(instruction.attributes):
        return math.prod(int(side) for side in window[1].split("x"))
    operand = computation.get(instruction.operands[0])
    if operand is None or not operand.shapes or not instruction.shapes:
        return 0
    results = max(instruction.shapes[0].num_elements, 1)
    return operand.shapes[0].num_elements // results

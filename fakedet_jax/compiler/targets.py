# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Devices that programs are compiled for: those of this machine, or absent ones.

- `cpu`: the processor of this machine; without a name, whatever JAX runs on here.
- `tpu:v5e:2x2`: a TPU generation and its topology, chips along each axis.
- `cuda:h100:4`: a GPU that `devices/` describes, and their number.
- `cuda:FILE`: a GPU that the text form of XLA's `GpuTargetConfigProto` describes.
"""

import contextlib
import dataclasses
import importlib.metadata
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies

from fakedet_jax.errors import RequestError

_FIELD = "device"
_DESCRIPTIONS = Path(__file__).parent / "devices"
# A description has about a thousand bytes; XLA's own with tuned kernels have more.
_MAX_DESCRIPTION_BYTES = 2**20
# More than the largest pod has.
_MAX_DEVICES = 10_000

_HOW_TO_INSTALL = "or use the environment that `make compile-env` builds"


@dataclasses.dataclass(frozen=True)
class _Generation:
    """A generation of TPUs.

    Attributes:
        kind: What JAX calls its devices.
        clock_hz: Of its tensor cores.
        memory_bytes: Of a chip.
        num_axes: Of a topology.
        least: The smallest topology, one host.
    """

    kind: str
    clock_hz: float
    memory_bytes: int
    num_axes: int
    least: str


# Memory and peaks are those of cloud.google.com/tpu/docs. The clocks follow from the
# bfloat16 peak of a chip, as a unit of side s does 2 s² operations a cycle: v4 275
# TFLOP/s from 8 units of 128², v5e 197 from 4, v5p 459 from 8, v6e 918 from the worth
# of 4 of 256².
_GENERATIONS = {
    "v4": _Generation("TPU v4", 1.05e9, 32 * 2**30, 3, "2x2x1"),
    "v5e": _Generation("TPU v5 lite", 1.5e9, 16 * 2**30, 2, "2x2"),
    "v5p": _Generation("TPU v5", 1.75e9, 95 * 2**30, 3, "2x2x1"),
    "v6e": _Generation("TPU v6 lite", 1.75e9, 32 * 2**30, 2, "2x2"),
}

# libtpu without a TPU: one process at a time is the rule of chips; all else it would
# look for, and complain about.
_WITHOUT_CHIPS = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}

# Tensor cores do so many times the float32 operations of a multiprocessor in bfloat16,
# by major compute capability: A100 312 to 19.5 TFLOP/s, H100 1,070 to 67 (at 1.98 GHz).
# In TF32 they do half as many.
_TENSOR_CORE_FACTOR = {8: 16, 9: 16}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices of one kind.

    Attributes:
        name: As it was asked for.
        platform: `cpu`, `tpu` or `cuda`.
        devices: The devices; absent ones can be compiled for, but hold no arrays.
        kind: What JAX calls them.
        memory_bytes: Of one device; None where nobody tells.
        clock_hz: Of a TPU, else None.
        bytes_per_second: Of a GPU's memory, else None.
        flops_per_second: Peaks of a GPU by the format of the factors, float32, tf32 or
            bfloat16, where known.
    """

    name: str
    platform: str
    devices: Sequence[jax.Device]
    kind: str
    memory_bytes: int | None = None
    clock_hz: float | None = None
    bytes_per_second: float | None = None
    flops_per_second: Mapping[str, float] = dataclasses.field(default_factory=dict)


def open_target(name: str, num_devices: int | None = None) -> Target:
    """Finds the devices of a name.

    For absent devices, call it before any other use of JAX: it keeps JAX away from the
    accelerators of this machine, which then need no driver.

    Args:
        name: See above; empty for the devices that JAX runs on here.
        num_devices: How many of them; all of them by default, of an absent GPU one.

    Raises:
        RequestError: There is no such device, or what compiles for it is missing.
    """
    if num_devices is not None and not 1 <= num_devices <= _MAX_DEVICES:
        raise RequestError(
            f"`num_devices`: expected a number from 1 to {_MAX_DEVICES}, found "
            f"{num_devices}"
        )
    platform, _, rest = name.partition(":")
    if name in ("", "cpu"):
        return _present(name, num_devices)
    if platform == "tpu":
        return _tpu(name, rest, num_devices)
    if platform == "cuda":
        return _cuda(name, rest, num_devices)
    raise RequestError(
        f"`{_FIELD}`: expected cpu, tpu:GENERATION:TOPOLOGY such as tpu:v5e:2x2, or "
        f"cuda:NAME such as cuda:h100, found {name!r}"
    )


def names() -> list[str]:
    """The devices that are known by name."""
    tpus = [f"tpu:{name}:{known.least}" for name, known in _GENERATIONS.items()]
    return ["cpu", *tpus, *(f"cuda:{name}" for name in _described())]


def _present(name: str, num_devices: int | None) -> Target:
    if name == "cpu" and num_devices is not None:
        # Once JAX has started, the devices that it has must do.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", num_devices)
    devices = jax.devices(name or None)
    chosen = _first(devices, num_devices, name or "this machine")
    platform = {"gpu": "cuda"}.get(chosen[0].platform, chosen[0].platform)
    kind = chosen[0].device_kind
    known: dict[str, Any] = {}
    if platform == "tpu":
        generations = [g for g in _GENERATIONS.values() if g.kind == kind]
        known["clock_hz"] = generations[0].clock_hz if generations else None
    elif platform == "cuda":
        texts = (path.read_text("utf-8") for path in _described().values())
        known = next((f for f in map(_facts, texts) if f["kind"] == kind), {})
    elif platform == "cpu":
        known["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = (chosen[0].memory_stats() or {}).get("bytes_limit")
    known = {**known, "kind": kind}
    if limit is not None:
        known["memory_bytes"] = limit
    return Target(name=name or platform, platform=platform, devices=chosen, **known)


def _tpu(name: str, rest: str, num_devices: int | None) -> Target:
    generation, _, topology = rest.partition(":")
    if generation not in _GENERATIONS:
        raise RequestError(
            f"`{_FIELD}`: expected tpu:GENERATION:TOPOLOGY with a generation of "
            f"{', '.join(_GENERATIONS)}, found {name!r}"
        )
    known = _GENERATIONS[generation]
    topology = topology or known.least
    sides = "x".join("N" * known.num_axes)
    wrong = RequestError(
        f"`{_FIELD}`: expected a topology {sides} of {generation} whose first two "
        f"sides are multiples of 2, such as tpu:{generation}:{known.least}, found "
        f"{name!r}"
    )
    if not re.fullmatch(r"\d{1,4}(x\d{1,4})*", topology):
        raise wrong
    lengths = [int(side) for side in topology.split("x")]
    if len(lengths) != known.num_axes or not 0 < math.prod(lengths) <= _MAX_DEVICES:
        raise wrong
    _check_libtpu(name)
    _stay_on_cpus()
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    if not any(Path("/dev").glob("accel*")) and not Path("/dev/vfio").exists():
        for variable, value in _WITHOUT_CHIPS.items():
            os.environ.setdefault(variable, value)
    try:
        devices: Sequence[Any] = topologies.get_topology_desc(
            platform="tpu", topology_name=f"{generation}:{topology}"
        ).devices
    except RuntimeError as error:
        if "lockfile" in str(error):
            raise RequestError(
                f"`{_FIELD}`: another process uses libtpu; wait until it ends, or set "
                "ALLOW_MULTIPLE_LIBTPU_LOAD=1 where neither needs the chips"
            ) from error
        if "INVALID_ARGUMENT" in str(error):
            raise wrong from error
        raise
    # Some generations have two devices a chip.
    num_chips = len({tuple(device.coords) for device in devices})
    chosen = _first(devices, num_devices, name)
    return Target(
        name=name,
        platform="tpu",
        devices=chosen,
        kind=chosen[0].device_kind,
        memory_bytes=known.memory_bytes * num_chips // len(devices),
        clock_hz=known.clock_hz,
    )


def _cuda(name: str, rest: str, num_devices: int | None) -> Target:
    described, number = rest, None
    if counted := re.fullmatch(r"(.+):(\d+)", rest):
        described, number = counted[1], int(counted[2])
    if number is not None and num_devices not in (None, number):
        raise RequestError(
            f"`num_devices`, `{_FIELD}`: {num_devices} and {number} devices contradict "
            "each other; give one of them"
        )
    wanted = number if number is not None else num_devices or 1
    if not 1 <= wanted <= _MAX_DEVICES:
        raise RequestError(
            f"`{_FIELD}`: expected from 1 to {_MAX_DEVICES} devices, found {name!r}"
        )
    path = _described().get(described, Path(described))
    text = _read(path, described)
    facts = _facts(text)
    missing = [
        entry
        for entry in ("core_count", "fpus_per_core", "clock_rate_ghz")
        if _number(text, entry) is None
    ]
    if missing or not (facts["memory_bytes"] and facts["bytes_per_second"]):
        raise RequestError(
            f"`{_FIELD}`: {described!r} describes no GPU; expected the text form of "
            "GpuTargetConfigProto with gpu_device_info, among it core_count, "
            "fpus_per_core, clock_rate_ghz, memory_bandwidth and device_memory_size"
        )
    _check_cuda_plugin(name)
    _stay_on_cpus()
    try:
        devices = topologies.get_topology_desc(
            platform="cuda",
            topology_name="",
            target_config=text,
            topology=f"1x1x{wanted}",
        ).devices
    except NotImplementedError as error:
        # JAX looks for plug-ins once, and without a driver only when kept to CPUs.
        raise RequestError(
            f"`{_FIELD}`: JAX has started without its CUDA plug-in; run this in a "
            "process of its own, with JAX_PLATFORMS=cpu"
        ) from error
    except RuntimeError as error:
        if "GpuTargetConfigProto" in str(error):
            raise RequestError(
                f"`{_FIELD}`: {described!r} is no text form of GpuTargetConfigProto; "
                f"compare it with {_DESCRIPTIONS / 'h100.txtpb'}"
            ) from error
        raise
    return Target(name=name, platform="cuda", devices=devices, **facts)


def _described() -> dict[str, Path]:
    """The descriptions of GPUs that come with the toolkit, by name."""
    return {path.stem: path for path in sorted(_DESCRIPTIONS.glob("*.txtpb"))}


def _read(path: Path, described: str) -> str:
    try:
        if not path.is_file():  # A pipe would be waited for.
            raise FileNotFoundError(path)
        with path.open("rb") as file:
            content = file.read(_MAX_DESCRIPTION_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RequestError(
            f"`{_FIELD}`: expected cuda:NAME with a name of "
            f"{', '.join(_described())}, or cuda:FILE, found {described!r}, which is "
            "neither"
        ) from error
    if len(content) > _MAX_DESCRIPTION_BYTES:
        raise RequestError(
            f"`{_FIELD}`: {described!r} is larger than {_MAX_DESCRIPTION_BYTES} bytes, "
            "so it describes no GPU; give another file"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"`{_FIELD}`: {described!r} is no text; expected the text form of "
            "GpuTargetConfigProto"
        ) from error


def _facts(text: str) -> dict[str, Any]:
    """What a description of a GPU says, as attributes of `Target`."""
    kind = re.search(r'device_description_str:\s*"([^"]*)"', text)
    bandwidth = _number(text, "memory_bandwidth")
    memory = _number(text, "device_memory_size")
    # A float unit multiplies and adds at once.
    peak = 2.0
    for entry in ("core_count", "fpus_per_core", "clock_rate_ghz"):
        peak *= _number(text, entry) or 0
    peaks = {"float32": 1e9 * peak}
    factor = _TENSOR_CORE_FACTOR.get(int(_number(text, "major") or 0))
    if factor is not None:
        peaks["bfloat16"] = factor * peaks["float32"]
        peaks["tf32"] = peaks["bfloat16"] / 2
    return {
        "kind": kind[1] if kind else "GPU",
        "memory_bytes": int(memory) if memory else None,
        "bytes_per_second": bandwidth,
        "flops_per_second": peaks,
    }


def _number(text: str, entry: str) -> float | None:
    found = re.search(rf"^[^#\n]*\b{entry}:\s*([\d.]+)\b", text, re.MULTILINE)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _first(
    devices: Sequence[jax.Device], number: int | None, where: str
) -> Sequence[jax.Device]:
    if number is not None and number > len(devices):
        raise RequestError(
            f"`num_devices`: {where} has {len(devices)}, found {number}; ask for fewer"
        )
    return devices[:number]


def _stay_on_cpus() -> None:
    """Keeps JAX from starting accelerators; without effect once it has started."""
    jax.config.update("jax_platforms", "cpu")


def _check_cuda_plugin(name: str) -> None:
    """Refuses a missing or another CUDA plug-in than this version of JAX needs.

    Raises:
        RequestError: It is.
    """
    version = importlib.metadata.version("jaxlib")
    for cuda in ("cuda13", "cuda12"):
        packages = (f"jax-{cuda}-plugin", f"jax-{cuda}-pjrt")
        found = {package: _version(package) for package in packages}
        if any(found.values()):
            _check_versions(name, found, dict.fromkeys(packages, version))
            return
    newest = ("jax-cuda13-plugin", "jax-cuda13-pjrt")
    _check_versions(name, dict.fromkeys(newest), dict.fromkeys(newest, version))


def _check_libtpu(name: str) -> None:
    """Refuses a missing or another libtpu than this version of JAX needs."""
    wanted = _required("jax", "libtpu")
    _check_versions(name, {"libtpu": _version("libtpu")}, {"libtpu": wanted})


def _check_versions(
    name: str, found: Mapping[str, str | None], wanted: Mapping[str, str | None]
) -> None:
    fits = all(
        version is not None and _is_version(version, wanted[package])
        for package, version in found.items()
    )
    if fits:
        return
    what = ", ".join(f"{package} {version}" for package, version in wanted.items())
    installed = [
        f"{package} {version or 'missing'}" for package, version in found.items()
    ]
    command = " ".join(
        f"'{package}=={version}'" if version else package
        for package, version in wanted.items()
    )
    raise RequestError(
        f"`{_FIELD}`: jax {jax.__version__} compiles for {name} with {what}, found "
        f"{', '.join(installed)}; run pip install {command}, {_HOW_TO_INSTALL}"
    )


def _is_version(version: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return version == wanted or (
        wanted.endswith(".*") and version.startswith(wanted.removesuffix("*"))
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _required(package: str, dependency: str) -> str | None:
    """The version of a dependency that a package pins, such as `0.0.42.*`."""
    requirements: Iterable[str] = importlib.metadata.requires(package) or ()
    for requirement in requirements:
        if found := re.match(rf"{dependency}\s*==\s*([\w.*]+)", requirement):
            return found[1]
    return None

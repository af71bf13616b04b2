# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The systems that detect fake faces, by name.

This registry is the only place outside of the systems' own rooms that knows their
names. It imports a system when somebody asks for it, so that listing names and options
needs no JAX.
"""

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakedet_jax.runtime.registry import Registry

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from fakedet_jax.config import BackboneFeatureConfig, OperatingPointConfig
    from fakedet_jax.media.framing import Framing
    from fakedet_jax.settings import Settings
    from fakedet_jax.systems.base import Fitted, System
    from fakedet_jax.systems.features import FeatureFn
    from fakedet_jax.systems.options import Options
    from fakedet_jax.workdir import Workdir

__all__ = [
    "DEFAULT",
    "all_benchmark_options",
    "all_options",
    "benchmark_options_of",
    "create",
    "load",
    "name_of",
    "names",
    "open_backbone",
    "options_of",
    "options_of_model",
    "options_of_program",
    "register",
    "title",
    "unregister",
]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """How a system is reached.

    Attributes:
        options: Gives the class of its training options.
        create: From training options, or None, to the system.
    """

    options: "Callable[[], type[Options]]"
    create: "Callable[[Any], System]"


def _row(options: str, system: str) -> _Entry:
    """An entry whose module is imported on first use.

    Args:
        options: `module:name` of the options.
        system: `module:name` of the system, or of a function from options to it.
    """

    def create(chosen: Any) -> "System":
        found = _import(system)
        made: System = found(chosen) if callable(found) else found
        return made

    return _Entry(lambda: _import(options), create)


_NETWORK = "networks.options:NetworkOptions"

_SYSTEMS = Registry[_Entry]("detector")
for _name, _options, _system in (
    ("amtennet", "networks.options:AmtenNetOptions", "networks.amtennet:create"),
    ("meso4", _NETWORK, "networks.mesonet:MESO4"),
    ("mesoinception4", _NETWORK, "networks.mesonet:MESOINCEPTION4"),
    ("mislnet", _NETWORK, "networks.mislnet:DETECTOR"),
    ("hand_crafted_res", _NETWORK, "networks.hand_crafted:DETECTOR"),
    ("xception", _NETWORK, "networks.xception:DETECTOR"),
    ("autogan", _NETWORK, "networks.spectrum:DETECTOR"),
    ("block_dct", "networks.options:BlockDctOptions", "networks.block_dct:DETECTOR"),
    (
        "linear_probe",
        "networks.options:LinearProbeOptions",
        "networks.linear_probe:create",
    ),
    ("gend", "networks.options:GendOptions", "networks.gend:create"),
    ("cnndetection", _NETWORK, "networks.cnndetection:DETECTOR"),
    (
        "community_forensics",
        "networks.options:CommunityForensicsOptions",
        "networks.community_forensics:create",
    ),
    (
        "fakespotter",
        "fakespotter.options:FakeSpotterOptions",
        "fakespotter.system:SYSTEM",
    ),
    (
        "exif_anomaly",
        "exif_anomaly.options:ExifAnomalyOptions",
        "exif_anomaly.system:SYSTEM",
    ),
    ("fusion", "fusion.options:FusionOptions", "fusion.system:SYSTEM"),
):
    _SYSTEMS.register(_name, _row(_options, _system))

# The system of whoever names none.
DEFAULT = _SYSTEMS.names()[0]

# The system of whoever names a backbone only.
_OF_BACKBONES = "fakespotter"


def register(system: "System") -> None:
    """Adds a system, such as a `NetworkDetector` of another package.

    Args:
        system: The system; `system.name` is what users select it by.

    Raises:
        ValueError: The name is taken.
    """
    _SYSTEMS.register(system.name, _Entry(lambda: system.Options, lambda _: system))


def unregister(name: str) -> None:
    """Removes a system that `register` added."""
    _SYSTEMS.unregister(name)


def names() -> list[str]:
    """The valid names."""
    return _SYSTEMS.names()


def create(name: str, options: "Options | None" = None) -> "System":
    """Looks a system up.

    Args:
        name: Its name.
        options: Training options; of these, the ones that decide the architecture
            count. None for the published system.

    Returns:
        The system.

    Raises:
        RequestError: There is none of that name, or none with those options.
    """
    return _SYSTEMS[name].create(options)


def options_of(values: Mapping[str, Any]) -> "type[Options]":
    """The class of training options of the system that `values["detector"]` names."""
    return _SYSTEMS[values.get("detector", DEFAULT)].options()


def options_of_model(values: Mapping[str, Any]) -> "type[Options]":
    """As `options_of`, for `values["model"]`; without options for other networks."""
    from fakedet_jax.systems.options import Options

    name = str(values.get("model"))
    return _SYSTEMS[name].options() if name in _SYSTEMS else Options


def name_of(values: Mapping[str, Any]) -> str:
    """The system that a request means.

    Args:
        values: `detector`; without one, `backbone` means the system that looks into
            backbones.
    """
    default = _OF_BACKBONES if values.get("backbone") else DEFAULT
    return str(values.get("detector") or default)


def options_of_program(values: Mapping[str, Any]) -> "type[Options]":
    """The class of training options of the system that `name_of` tells."""
    return _SYSTEMS[name_of(values)].options()


def benchmark_options_of(values: Mapping[str, Any]) -> "type[Settings]":
    """The class of benchmark options of the system that `values["detector"]` names."""
    return options_of(values).Benchmark


def all_options() -> "Iterator[type[Options]]":
    """The classes of training options of all systems."""
    return (_SYSTEMS[name].options() for name in _SYSTEMS)


def all_benchmark_options() -> "Iterator[type[Settings]]":
    """The classes of benchmark options of all systems."""
    return (options.Benchmark for options in all_options())


def title(settings: Mapping[str, Any]) -> str:
    """Names a detector with the options that decide its architecture.

    Args:
        settings: The settings of its training, flat, as `config.json` holds them.

    >>> title({"detector": "amtennet", "amten_variant": "amten_3", "seed": 1})
    'amtennet, amten_3'
    """
    from fakedet_jax.settings import leaves

    chosen = [
        settings[leaf.name]
        for leaf in leaves(options_of(settings))
        if leaf.option.is_architecture and settings.get(leaf.name)
    ]
    return ", ".join([str(settings["detector"]), *map(str, chosen)])


def load(
    workdir: "Path | Workdir", mesh: "Mesh", point: "OperatingPointConfig | None" = None
) -> "Fitted":
    """Loads the detector of a workdir onto a mesh.

    Args:
        workdir: The folder, or the workdir opened.
        mesh: The devices.
        point: Which scores are decided fake, and which are not decided; by default all
            are, by the threshold of the training.

    Raises:
        RequestError: There is none, or it is damaged, or the workdir does not know the
            scores of its validation pictures.
    """
    from fakedet_jax.workdir import open_workdir

    opened = open_workdir(workdir) if isinstance(workdir, Path) else workdir
    fitted = opened.system().load(opened, mesh)
    if point is None:
        return fitted
    if point.unsure_rates is not None:
        return fitted.with_unsure(*point.unsure_rates)
    if point.max_false_alarms is not None:
        return fitted.with_false_alarms(point.max_false_alarms)
    if point.threshold is not None:
        return fitted.with_threshold(point.threshold)
    return fitted


def open_backbone(
    chosen: "BackboneFeatureConfig", mesh: "Mesh"
) -> "tuple[Framing, Mapping[str, FeatureFn]]":
    """Reads the weights of a recognition network, to extract features with it.

    Args:
        chosen: The network, its weights and what is counted.
        mesh: The devices.

    Returns:
        The framing of its input, and its features by name.

    Raises:
        RequestError: There is no such network, or the weights do not fit.
    """
    from fakedet_jax.systems.fakespotter import features

    return features.open_backbone(chosen, mesh)


def _import(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)

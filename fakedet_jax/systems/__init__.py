# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The detectors, by the name that the setting `detector` takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import checkpoint
from fakedet_jax.systems.base import Detector, DetectorInfo, FitRequest, FittedDetector
from fakedet_jax.systems.exif_anomaly.system import ExifAnomaly
from fakedet_jax.systems.fakespotter.system import FakeSpotter
from fakedet_jax.systems.networks import table as networks
from fakedet_jax.training import optim

__all__ = [
    "Detector",
    "DetectorInfo",
    "FitRequest",
    "FittedDetector",
    "create",
    "load",
    "names",
    "title",
]

# Options of a detector's own, by the names of their flags.
_OPTIONS = ("amten_variant", "residual")

_DETECTORS: tuple[Detector, ...] = (
    *networks.NETWORKS,
    FakeSpotter(
        name="fakespotter",
        # The paper's optimiser (section 4.1); batch size and epochs are choices.
        recipe=optim.Recipe(
            optimizer="sgd",
            learning_rate=1e-4,
            schedule="time_decay",
            decay_per_step=1e-6,
            momentum=0.9,
            batch_size=16,
            num_epochs=200,
        ),
    ),
    ExifAnomaly(
        name="exif_anomaly",
        recipe=optim.Recipe(
            optimizer="torch_adam",
            learning_rate=1e-5,
            schedule="cosine",
            final_learning_rate=1e-7,
            adam_beta2=0.98,
            adam_epsilon=1e-6,
            weight_decay=1e-4,
            batch_size=256,
            num_epochs=10,
        ),
    ),
)


def names() -> list[str]:
    """The valid names of detectors."""
    return [detector.name for detector in _DETECTORS]


def create(name: str, settings: Mapping[str, Any] | None = None) -> Detector:
    """Looks a kind of detector up.

    Args:
        name: Its name.
        settings: May hold options of its own, such as `amten_variant`; all else in it
            is left to others.

    Returns:
        The detector.

    Raises:
        RequestError: There is none of that name, or none with those options.
    """
    if name not in names():
        raise RequestError(f"`detector`: expected {', '.join(names())}, found {name!r}")
    settings = settings or {}
    options = {
        option: settings[option]
        for option in _OPTIONS
        if settings.get(option) is not None
    }
    if options and name == "amtennet":
        return networks.create_amtennet(**options)
    if options:
        raise RequestError(
            f"`{next(iter(options))}`: {name} has no such option, only amtennet has; "
            "leave it out"
        )
    return next(detector for detector in _DETECTORS if detector.name == name)


def title(settings: Mapping[str, Any]) -> str:
    """What to call a detector, with its options.

    >>> title({"detector": "amtennet", "amten_variant": "amten_3", "seed": 1})
    'amtennet, amten_3'
    """
    options = [settings[name] for name in _OPTIONS if settings.get(name)]
    return ", ".join([str(settings["detector"]), *options])


def load(workdir: Path, mesh: Mesh) -> FittedDetector:
    """Loads the detector that was trained in a workdir, onto a mesh.

    Raises:
        RequestError: There is none, or it is damaged.
    """
    config = checkpoint.read_config(workdir)
    name = config.get("detector")
    if name not in names():
        raise RequestError(
            f"`workdir`: {str(workdir / 'config.json')!r} names the detector {name!r}, "
            f"expected {', '.join(names())}; train again in another `workdir`"
        )
    return create(name, config).load(workdir, mesh)

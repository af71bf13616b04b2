# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The detectors, by the name that the flag `--detector` takes."""

from pathlib import Path

from jax.sharding import Mesh

from fakedet_jax import checkpoint, optim
from fakedet_jax.detectors.base import (
    Detector,
    DetectorInfo,
    FitRequest,
    FittedDetector,
)
from fakedet_jax.detectors.fakespotter import FakeSpotter
from fakedet_jax.detectors.network import NetworkDetector
from fakedet_jax.errors import RequestError
from fakedet_jax.models import amtennet, pretrained, spectrum

__all__ = [
    "Detector",
    "DetectorInfo",
    "FitRequest",
    "FittedDetector",
    "create",
    "load",
    "names",
]

_DETECTORS: tuple[Detector, ...] = (
    NetworkDetector(
        name="amtennet",
        build=amtennet.AmtenNet,
        preprocessing=amtennet.PREPROCESSING,
        # The authors' Caffe solver; see third_party/README.md.
        recipe=optim.Recipe(
            optimizer="caffe_sgd",
            learning_rate=1e-3,
            schedule="step",
            decay_steps=1000,
            decay_factor=0.5,
            momentum=0.95,
            weight_decay=0.005,
            batch_size=64,
            num_epochs=10,
        ),
        frozen=amtennet.FROZEN,
    ),
    NetworkDetector(
        name="autogan",
        build=spectrum.AutoGanNet,
        preprocessing=spectrum.PREPROCESSING,
        # The authors' settings; see third_party/README.md.
        recipe=optim.Recipe(
            optimizer="torch_sgd",
            learning_rate=0.01,
            momentum=0.9,
            dampening=0.9,
            weight_decay=1e-4,
            batch_size=16,
            num_epochs=20,
        ),
        pretrained=pretrained.RESNET34,
        start_from=spectrum.start_from,
    ),
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
)


def names() -> list[str]:
    """The valid names of detectors."""
    return [detector.name for detector in _DETECTORS]


def create(name: str) -> Detector:
    """Looks a kind of detector up.

    Raises:
        RequestError: There is none of that name.
    """
    for detector in _DETECTORS:
        if detector.name == name:
            return detector
    raise RequestError(f"--detector: expected {', '.join(names())}, found {name!r}")


def load(workdir: Path, mesh: Mesh) -> FittedDetector:
    """Loads the detector that was trained in a workdir, onto a mesh.

    Raises:
        RequestError: There is none, or it is damaged.
    """
    name = checkpoint.read_config(workdir).get("detector")
    if name not in names():
        raise RequestError(
            f"--workdir: {str(workdir / 'config.json')!r} names the detector {name!r}, "
            f"expected {', '.join(names())}; train again in another --workdir"
        )
    return create(name).load(workdir, mesh)

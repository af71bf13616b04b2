# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors with the numbers that others trained, as workdirs of a training.

What `mode=convert` writes for a detector can be evaluated and can predict as if it
had been trained here: `config.json`, `best/0`, and a card of where the numbers came
from.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fakedet_jax.data.dataset import BINARY_CLASSES
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.runtime import checkpoint
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.weights import folder, store
from fakedet_jax.weights.mapping import Comparison, Variables
from fakedet_jax.weights.tensors import TensorFile, shown
from fakedet_jax.workdir import write_converted

_STEP = 0


def convert(
    detector: NetworkDetector,
    tensor_file: TensorFile,
    *,
    ignore: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, Any], Comparison]:
    """Maps the arrays of a file onto the network of a detector of two classes.

    Args:
        detector: One that others published.
        tensor_file: The arrays.
        ignore: Names, or patterns of names, of superfluous arrays.

    Returns:
        The variables, NumPy float32; a card of where they came from; the comparison.

    Raises:
        RequestError: The file does not fit, or lacks numbers.
    """
    release = detector.published
    if release is None:
        raise ValueError(f"{detector.name}: no published weights are known")
    # To the mapping it is a network like any other.
    network = Backbone(
        name=detector.name,
        build=lambda dtype, site: detector.build(len(BINARY_CLASSES), dtype),
        preprocessing=detector.preprocessing,
        layers=release.layers,
        embedding="logits of real and fake",
    )
    variables, card, comparison = store.convert(network, tensor_file, ignore=ignore)
    if comparison.initialised:
        raise RequestError(
            f"`ignore`: {', '.join(comparison.initialised)} would keep random numbers, "
            f"and {detector.name} would guess; give a file that has them"
        )
    variables = release.adapt(variables)
    return variables, {**card, **folder.identity(variables)}, comparison


def write(
    workdir: Path,
    detector: NetworkDetector,
    options: Mapping[str, Any],
    variables: Variables,
    card: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Writes a workdir that `evaluate` and `predict` can use; see `store.write`.

    Args:
        workdir: The folder.
        detector: The detector.
        options: Decide its architecture.
        variables: Of `convert`.
        card: Of `convert`.

    Returns:
        The card as it stands in the folder.

    Raises:
        RequestError: The folder holds something else.
        OSError: It could not be written.
    """
    info = DetectorInfo(
        detector=detector.name,
        classes=BINARY_CLASSES,
        is_fake=(False, True),
        task="binary",
        framing=detector.framing,
        threshold=0.5,
        threshold_origin=(
            "The threshold is one half and was not chosen on any data: the weights "
            f"were converted from {shown(card['source'])}, which others trained."
        ),
        step=_STEP,
    )
    origin = {name: card[name] for name in ("source", "sha256")}
    facts = {"weights": card["digest"], "converted_from": origin}

    def fill(folder: Path) -> None:
        with checkpoint.Store(folder / "best", max_to_keep=None) as bests:
            bests.save(_STEP, variables, dataclasses.asdict(info))
        write_converted(
            folder, detector, detector.Options(**options), info.classes, facts
        )

    return store.write(workdir, card, fill)

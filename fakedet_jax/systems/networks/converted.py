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
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.runtime import checkpoint
from fakedet_jax.systems.networks import headed
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.weights import folder, mapping, store
from fakedet_jax.weights.mapping import Comparison, Variables
from fakedet_jax.weights.tensors import TensorFile, shown
from fakedet_jax.workdir import write_converted

_STEP = 0


def convert(
    detector: NetworkDetector,
    tensor_file: TensorFile,
    *,
    encoder_weights: Path | None = None,
    ignore: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, Any], Comparison]:
    """Maps the arrays of a file onto the network of a detector of two classes.

    Args:
        detector: One that others published.
        tensor_file: The arrays.
        encoder_weights: For a detector whose file holds only what is behind an encoder:
            the weights of the encoder.
        ignore: Names, or patterns of names, of superfluous arrays.

    Returns:
        The variables, NumPy float32; a card of where they came from; the comparison.

    Raises:
        RequestError: The file does not fit, or lacks numbers.
    """
    release = detector.published
    if release is None:
        raise ValueError(f"{detector.name}: no published weights are known")
    if release.encoder is not None:
        variables, card, comparison = _with_encoder(
            detector, release, release.encoder, tensor_file, encoder_weights, ignore
        )
    elif encoder_weights is not None:
        raise RequestError(
            f"`encoder_weights`: {detector.name} has no encoder; leave it out"
        )
    else:
        variables, card, comparison = store.convert(
            _as_backbone(detector, release), tensor_file, ignore=ignore
        )
    if comparison.initialised:
        raise RequestError(
            f"`ignore`: {', '.join(comparison.initialised)} would keep random numbers, "
            f"and {detector.name} would guess; give a file that has them"
        )
    variables = release.adapt(variables)
    return variables, {**card, **folder.identity(variables)}, comparison


def _as_backbone(detector: NetworkDetector, release: Published) -> Backbone:
    """The whole detector; to the mapping it is a network like any other."""
    return Backbone(
        name=detector.name,
        build=lambda dtype, site: detector.build(len(BINARY_CLASSES), dtype),
        preprocessing=detector.preprocessing,
        layers=release.layers,
        embedding="logits of real and fake",
        size=release.size,
        sizes=release.sizes,
    )


def _with_encoder(
    detector: NetworkDetector,
    release: Published,
    encoder: Backbone,
    tensor_file: TensorFile,
    encoder_weights: Path | None,
    ignore: Sequence[str],
) -> tuple[dict[str, Any], dict[str, Any], Comparison]:
    """As `convert`, for a linear layer behind an encoder."""
    wanted = _head_shapes(detector)
    head_file, rest = _split(release.layers, wanted, tensor_file)
    params, comparison = mapping.to_variables(
        release.layers, head_file, wanted, network=f"{detector.name} on {encoder.name}"
    )
    if rest.tensors and encoder_weights is not None:
        raise RequestError(
            f"`encoder_weights`: {str(tensor_file.path)!r} holds more than the linear "
            f"layer, such as {shown(next(iter(rest.tensors))[:80])}; leave out one of "
            "the two files"
        )
    if not rest.tensors and encoder_weights is None:
        raise RequestError(
            f"`encoder_weights`: {str(tensor_file.path)!r} holds the linear layer "
            f"alone; name the weights of its encoder {encoder.name} too"
        )
    inner, encoder_card, of_encoder = _encoder(encoder, rest, encoder_weights, ignore)
    variables = headed.with_head(inner, params["params"][headed.HEAD])
    joined = _joined(comparison, of_encoder)
    card = store.describe(
        detector.name, tensor_file, detector.preprocessing, variables, joined
    )
    if encoder_weights is not None:
        known = ("model", "source", "sha256")
        card["encoder"] = {name: encoder_card[name] for name in known}
    return variables, card, joined


def _head_shapes(detector: NetworkDetector) -> Variables:
    """Shapes of the parameters of the linear layer of a detector of two classes."""
    model = detector.model(len(BINARY_CLASSES), "float32")
    params = detector.abstract_variables(model)["params"]
    return {"params": {headed.HEAD: params[headed.HEAD]}}


def _split(
    layers: Sequence[Layer], shapes: Variables, tensor_file: TensorFile
) -> tuple[TensorFile, TensorFile]:
    """The arrays of the linear layer, without a prefix of their names; the others.

    A layer that was saved by itself has names without its own.
    """
    head: dict[str, Any] = {}
    rest = dict(tensor_file.tensors)
    names = list(mapping.expected(layers, "torch", shapes))
    own = {name.rpartition(".")[2]: name for name in names}
    if rest.keys() == own.keys():
        rest = {own[name]: array for name, array in rest.items()}
    for wanted in names:
        ends = (name for name in rest if f".{name}".endswith(f".{wanted}"))
        # The shortest: encoders may have a layer of the same name.
        found = min(ends, key=len, default=None)
        if found is not None:
            head[wanted] = rest.pop(found)
    return (
        dataclasses.replace(tensor_file, tensors=head),
        dataclasses.replace(tensor_file, tensors=rest, notes=()),
    )


def _encoder(
    encoder: Backbone, rest: TensorFile, path: Path | None, ignore: Sequence[str]
) -> tuple[dict[str, Any], Mapping[str, Any], Comparison]:
    """The encoder, from the file of the detector or from its own."""
    if path is None:
        return store.convert(encoder, rest, ignore=ignore)
    try:
        variables, card = store.load(encoder, path)
    except RequestError as error:
        # To the reader of weights, all of them are `weights`.
        text = str(error).replace("`weights`:", "`encoder_weights`:", 1)
        raise RequestError(text) from error
    names = mapping.flatten(variables)
    return variables, card, Comparison(tuple((name, name) for name in names))


def _joined(head: Comparison, encoder: Comparison) -> Comparison:
    """One comparison of both."""

    def inside(path: str) -> str:
        collection, _, rest = path.partition("/")
        return f"{collection}/{headed.ENCODER}/{rest}"

    return dataclasses.replace(
        encoder,
        matched=(
            *((name, inside(path)) for name, path in encoder.matched),
            *head.matched,
        ),
        initialised=tuple(map(inside, encoder.initialised)),
        derived=tuple(map(inside, encoder.derived)),
        unused=(*head.unused, *encoder.unused),
        notes=tuple(dict.fromkeys((*head.notes, *encoder.notes))),
    )


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
    origin = {
        name: card[name] for name in ("source", "sha256", "encoder") if name in card
    }
    facts = {"weights": card["digest"], "converted_from": origin}

    def fill(folder: Path) -> None:
        with checkpoint.Store(folder / "best", max_to_keep=None) as bests:
            bests.save(_STEP, variables, dataclasses.asdict(info))
        chosen = detector.Options(**{**options, **detector.architecture})
        write_converted(folder, detector, chosen, info.classes, facts)

    return store.write(workdir, card, fill)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=convert`: weights that others published, stored as ours."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from fakedet_jax import systems
from fakedet_jax.config import ConvertConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime import text
from fakedet_jax.systems.base import System
from fakedet_jax.systems.networks import converted
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.weights import formats, store
from fakedet_jax.weights.tensors import shown


def convert(config: ConvertConfig) -> dict[str, Any]:
    """Reads a weight file, compares it with a network and stores it.

    A detector becomes a workdir, a recognition network a folder for `weights`.

    Args:
        config: The settings.

    Returns:
        The card of the weights, and under `comparison` the names that the file and the
        network have of each other (the fields of `weights.mapping.Comparison`).

    Raises:
        RequestError: The file does not fit the network, or the folder is in use;
            nothing was written.
    """
    networks = {name: backbones.create(name) for name in backbones.names()}
    published: dict[str, NetworkDetector] = {}
    for name in systems.names():
        system = _system(config, name)
        if system.pretrained is not None:
            networks[system.pretrained.name] = system.pretrained
        if system.published is not None:
            published[name] = cast(NetworkDetector, system)
    known = [*networks, *published]
    if config.model not in known:
        raise RequestError(text.unknown("model", config.model, known))
    store.check_output(config.output)
    tensor_file = formats.read(config.weights, config.container)
    if config.model in networks:
        if config.encoder_weights is not None:
            raise RequestError(
                f"`encoder_weights`: {config.model} is a network itself; leave it out"
            )
        backbone = networks[config.model]
        variables, card, comparison = store.convert(
            backbone, tensor_file, ignore=config.ignore
        )
        stored = store.save(config.output, variables, card)
    else:
        detector = published[config.model]
        variables, card, comparison = converted.convert(
            detector,
            tensor_file,
            encoder_weights=config.encoder_weights,
            ignore=config.ignore,
        )
        stored = converted.write(
            config.output, detector, config.options, variables, card
        )
    return {
        **stored,
        "comparison": dataclasses.asdict(comparison),
        "verbose": config.verbose,
    }


def _system(config: ConvertConfig, name: str) -> System:
    """A system, with the architecture that is wanted if it is the chosen one."""
    if name != config.model:
        return systems.create(name)
    options = systems.options_of_model({"model": name})
    return systems.create(name, options(**config.options))


def to_text(result: Mapping[str, Any]) -> str:
    """What was compared, for reading.

    Args:
        result: Of `convert`.

    Returns:
        Lines of text: the file, every array with its two names if that was asked for,
        what did not match, and one line that sums up.
    """
    comparison = result["comparison"]
    lines = [
        "{source} ({format}, names of {layout}, sha256 {sha256}) → {model}".format(
            **result
        )
    ]
    if result["verbose"]:
        arrays = result["arrays"]
        matched = comparison["matched"]
        rows = [("", shown(name), f"→ {path}", arrays[path]) for name, path in matched]
        lines += text_table(rows, left=range(4))
    return "\n".join([*lines, *_differences(comparison), _summary(result)])


def _differences(comparison: Mapping[str, Any]) -> list[str]:
    dropped, initialised = comparison["dropped"], comparison["initialised"]
    notes = comparison["notes"]
    titled = (
        (f"{len(dropped)} superfluous, ignored", dropped),
        (
            f"{len(initialised)} missing or of another shape, ignored, initial values "
            "kept",
            initialised,
        ),
        (text.counted(len(notes), "note"), notes),
    )
    return [
        f"{title}: {', '.join(map(shown, names))}" for title, names in titled if names
    ]


def _summary(result: Mapping[str, Any]) -> str:
    comparison = result["comparison"]
    num_expected = len(result["arrays"]) - len(comparison["derived"])
    num_matched = len(comparison["matched"])
    line = f"{num_matched} of {text.counted(num_expected, 'array')} matched"
    if unused := comparison["unused"]:
        line += f", {text.counted(len(unused), 'array')} besides not needed"
    more = "" if result["verbose"] else "; `verbose` lists them"
    return f"{line}; digest {result['digest']}{more}"

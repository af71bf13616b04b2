# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of a backbone: from a published file or from a converted network."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import fakedet_jax
from fakedet_jax.errors import RequestError
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import platforms, storage
from fakedet_jax.weights import (
    encoder_files,
    folder,
    formats,
    mapping,
    operations,
    packaged,
)
from fakedet_jax.weights.mapping import Comparison, Variables
from fakedet_jax.weights.tensors import TensorFile

_LOGGER = logging.getLogger(__name__)


def load(
    backbone: Backbone, path: Path | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads the weights of a backbone.

    Args:
        backbone: The network.
        path: A folder that `save` wrote, or a published file. None for the file of an
            installed package; see `packaged.find`.

    Returns:
        The variables, NumPy float32, and their card. `card["digest"]` identifies the
        variables; it is the same for a file and for its converted form.

    Raises:
        RequestError: The file does not exist or cannot be used for this network.
    """
    if path is None:
        path = packaged.find(backbone)
    tensor_file = formats.read(path)
    if tensor_file.layout != "flax":
        variables, card, _ = convert(backbone, tensor_file)
        return variables, card
    variables, _ = _map(backbone, tensor_file)
    return variables, folder.read_card(path)


def convert(
    backbone: Backbone, tensor_file: TensorFile, *, ignore: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, Any], Comparison]:
    """Maps the arrays of a file onto a backbone.

    Args:
        backbone: The network.
        tensor_file: The arrays.
        ignore: See `mapping.to_variables`.

    Returns:
        The variables, NumPy float32; a card that describes their origin; the
        comparison of file and network.

    Raises:
        RequestError: The file does not fit.
    """
    variables, comparison = _map(backbone, tensor_file, ignore)
    card = describe(
        backbone.name, tensor_file, backbone.preprocessing, variables, comparison
    )
    return variables, card, comparison


def describe(
    model: str,
    tensor_file: TensorFile,
    preprocessing: Preprocessing,
    variables: Variables,
    comparison: Comparison,
) -> dict[str, Any]:
    """The card of converted weights.

    Args:
        model: Name of the network.
        tensor_file: Where they came from.
        preprocessing: Of the network's input.
        variables: The weights.
        comparison: Of the file with the network.
    """
    return {
        "model": model,
        "source": tensor_file.path.name,
        "sha256": tensor_file.sha256,
        "bytes": tensor_file.num_bytes,
        "format": tensor_file.format,
        "layout": tensor_file.layout,
        "num_tensors": len(tensor_file.tensors),
        "preprocessing": dataclasses.asdict(preprocessing),
        "notes": list(comparison.notes),
        "ignored": sorted({*comparison.dropped, *comparison.initialised}),
        "initialised": list(comparison.initialised),
        "toolkit_version": fakedet_jax.__version__,
        **folder.identity(variables),
    }


def save(
    output: Path, variables: Variables, card: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Writes the folder of a converted network; see `write`.

    Args:
        output: The folder.
        variables: The variables that `convert` returned.
        card: The card that `convert` returned.
    """
    if (output / folder.CARD).exists():
        formats.read(output)  # Refuses a damaged one.
    return write(output, card, lambda path: folder.write_variables(path, variables))


def write(
    output: Path, card: Mapping[str, Any], fill: Callable[[Path], None]
) -> Mapping[str, Any]:
    """Writes a folder with a card, whole or not at all.

    A folder that already holds the same variables of the same network is not changed.

    Args:
        output: The folder.
        card: The card that `convert` returned.
        fill: Writes all else into the folder, which has another name until then.

    Returns:
        The card in the folder.

    Raises:
        RequestError: The folder holds something else.
        OSError: The folder cannot be written; nothing is left behind.
    """
    check_output(output)
    if (output / folder.CARD).exists():
        stored = folder.read_card(output, "output")
        if any(stored[name] != card[name] for name in ("model", "digest")):
            raise RequestError(
                f"`output`: {str(output)!r} holds other weights or another network; "
                "give another folder"
            )
        _LOGGER.info("%s already holds these weights", output)
        return stored
    with folder.atomic(output) as temporary:
        fill(temporary)
        storage.write_json(temporary / folder.CARD, card)
    _LOGGER.info("wrote %s", output)
    return card


def check_output(output: Path) -> None:
    """Refuses a folder that holds something other than a converted network.

    Args:
        output: The folder; it need not exist.

    Raises:
        RequestError: It is a file, or holds something else.
    """
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir():
        raise RequestError(f"`output`: expected a folder, found the file {output!s}")
    if any(output.iterdir()) and not (output / folder.CARD).exists():
        raise RequestError(
            f"`output`: expected a new or an empty folder, {str(output)!r} holds "
            "something else; give another one"
        )


def abstract(backbone: Backbone) -> Variables:
    """Shapes of the variables of a backbone; nothing is computed.

    Args:
        backbone: The network.

    Returns:
        Nested dicts of `jax.ShapeDtypeStruct`, float32.
    """
    return platforms.eval_shape(lambda: _init(backbone))


def initial(backbone: Backbone) -> Variables:
    """Initial variables of a backbone; they are the same at each call.

    Args:
        backbone: The network.

    Returns:
        Nested dicts of float32 arrays.
    """
    return jax.jit(lambda: _init(backbone))()


def _init(backbone: Backbone) -> Variables:
    module = backbone.build(jnp.float32, "layer")
    pictures = jnp.zeros((1, *backbone.preprocessing.framing.shape))
    return module.init(jax.random.key(0), pictures)


def _map(
    backbone: Backbone, tensor_file: TensorFile, ignore: Sequence[str] = ()
) -> tuple[dict[str, Any], Comparison]:
    """The variables of a file; refuses the folder of another network."""
    if tensor_file.layout == "flax":
        path = tensor_file.path
        model = folder.read_card(path)["model"]
        if model != backbone.name:
            raise RequestError(
                f"`weights`: {str(path)!r} holds {model[:80]!r}, expected "
                f"{backbone.name!r}; name the network that it holds, or give other "
                "weights"
            )
    if tensor_file.operations and backbone.onnx_epsilon is not None:
        tensor_file = operations.by_order(
            backbone.layers, tensor_file, backbone.onnx_epsilon, backbone.name
        )
    layers = encoder_files.layout(backbone, tensor_file)
    encoder_files.check_size(backbone, layers, tensor_file)
    return mapping.to_variables(
        layers,
        tensor_file,
        abstract(backbone),
        ignore=ignore,
        unused=backbone.unused,
        initial=lambda: initial(backbone),
        network=backbone.name,
    )

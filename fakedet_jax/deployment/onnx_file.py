# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A detector as an ONNX file, for runtimes that are not JAX.

jax2onnx 0.17.1 translates the operations one by one. We measured that it patches the
functions of Flax, drops the padding of windows and refuses choices among platforms, so
it gets a program that `plain` has rewritten. It asks for versions of Orbax that this
package is too new for, and does not use them; it is therefore installed by itself.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import jax
import numpy as np

from fakedet_jax.deployment import plain
from fakedet_jax.deployment.program import INPUT, OUTPUTS, CropsFn, crops_of
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime.text import one_line

# Under this name the file says of itself what `detector.json` says in StableHLO's.
ABOUT = "fakedet_jax"
_INSTALL = (
    "pip install 'fakedet-jax[onnx]', and jax2onnx==0.17.1 without its dependencies "
    "(experiments/PYTHON.md)"
)


def check_installed() -> None:
    """Checks that files can be written and compared.

    Raises:
        RequestError: A package is missing.
    """
    _import()


def export(program: CropsFn, framing: Framing, batch_size: int | None) -> Any:
    """Translates a program.

    Args:
        program: From crops to named outputs, with its arrays inside.
        framing: Of the crops.
        batch_size: The number of crops of a call; None for any.

    Returns:
        The model, of the package `onnx`.

    Raises:
        RequestError: It has a part that cannot be translated, or a package is missing.
    """
    converter, _, _ = _import()
    crops = crops_of(framing, batch_size)

    def in_order(crops: jax.Array) -> tuple[jax.Array, ...]:
        found = program(crops)
        return tuple(found[name] for name in OUTPUTS)

    try:
        rewritten = plain.trace(in_order, crops)
        with _quiet():
            return converter.to_onnx(
                lambda crops: tuple(rewritten(crops)),
                [crops],
                model_name=ABOUT,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
            )
    except Exception as error:  # A converter of many parts raises anything.
        raise RequestError(
            "a part of this detector cannot be written as ONNX "
            f"({type(error).__name__}: {one_line(error)[:200]}); leave out "
            "`format=onnx`, or run it from its workdir"
        ) from error


def to_bytes(model: Any, about: Mapping[str, Any]) -> bytes:
    """The bytes of the file.

    Args:
        model: Of `export`.
        about: What the detector says of itself, JSON-able.
    """
    _, onnx, _ = _import()
    onnx.helper.set_model_props(model, {ABOUT: json.dumps(about, allow_nan=False)})
    content: bytes = model.SerializeToString()
    return content


def read(content: bytes) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """The program of a file, run by ONNX Runtime on the CPU.

    Args:
        content: Of the file.

    Raises:
        RequestError: ONNX Runtime refuses it, or a package is missing.
    """
    _, _, runtime = _import()
    try:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # Of classes of its own, which it does not export.
        raise RequestError(
            f"ONNX Runtime refuses this detector ({one_line(error)[:200]}); leave out "
            "`format=onnx`"
        ) from error

    def call(crops: np.ndarray) -> Mapping[str, np.ndarray]:
        return dict(
            zip(OUTPUTS, session.run(list(OUTPUTS), {INPUT: crops}), strict=True)
        )

    return call


def _import() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        import jax2onnx
        import onnx
        import onnxruntime
    except ImportError as error:
        raise RequestError(
            "`format=onnx` needs jax2onnx, onnx and onnxruntime, which cannot be "
            f"imported ({one_line(error)}); run: {_INSTALL}"
        ) from error
    return jax2onnx, onnx, onnxruntime


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops the converter's remarks on its own intermediate values."""
    logger = logging.getLogger("onnx_ir")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A detector as StableHLO, which JAX alone runs, for CPUs and both accelerators.

The file is a zip archive of two members: `program.stablehlo`, the bytes of a
`jax.export` artefact with the arrays of the detector in it, and `detector.json`. It
holds no code of Python and no pickle. JAX reads artefacts of older versions; those of
JAX 0.12 with a batch of any size are not read by 0.10, those of a fixed size are.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from fakedet_jax.deployment.program import CropsFn, crops_of
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime.text import one_line

PROGRAM, ABOUT = "program.stablehlo", "detector.json"
# CUDA and ROCm differ; whoever has the latter compiles the workdir itself.
PLATFORMS = ("cpu", "cuda", "tpu")


def export(program: CropsFn, framing: Framing, batch_size: int | None) -> bytes:
    """Lowers a program for all platforms.

    Args:
        program: From crops to named outputs, with its arrays inside.
        framing: Of the crops.
        batch_size: The number of crops of a call; None for any.

    Returns:
        The bytes of the artefact.

    Raises:
        RequestError: A part of it runs on the host, or needs a batch of a fixed size.
    """
    from jax import export as jax_export

    crops = crops_of(framing, batch_size)
    try:
        exported = jax_export.export(jax.jit(program), platforms=PLATFORMS)(crops)
    except (jax.errors.InconclusiveDimensionOperation, TypeError) as error:
        # `len` of a batch of any size is a TypeError.
        if batch_size is not None:
            raise
        raise RequestError(
            "`batch_size`: a part of this detector needs batches of one size "
            f"({one_line(error)[:200]}); give their size"
        ) from error
    except NotImplementedError as error:
        raise RequestError(
            "a part of this detector cannot be exported, such as one that runs on the "
            f"host ({one_line(error)[:200]}); run it from its workdir"
        ) from error
    try:
        return bytes(exported.serialize())
    except ImportError as error:
        raise RequestError(
            "artefacts of JAX need flatbuffers, which cannot be imported "
            f"({one_line(error)}); run: pip install flatbuffers"
        ) from error


def to_bytes(artefact: bytes, about: Mapping[str, Any]) -> bytes:
    """The bytes of the archive.

    Args:
        artefact: Of `export`.
        about: What the detector says of itself, JSON-able.
    """
    members = {
        ABOUT: json.dumps(about, indent=2, allow_nan=False).encode(),
        PROGRAM: artefact,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def read(content: bytes) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """The program of an archive, as whoever has JAX alone reads it.

    Args:
        content: Of the file.
    """
    from jax import export as jax_export

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        artefact = jax_export.deserialize(bytearray(archive.read(PROGRAM)))
    return jax.jit(artefact.call)

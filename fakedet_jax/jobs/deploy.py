# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=deploy`: a trained detector as a file that runs without this package."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fakedet_jax import systems
from fakedet_jax.config import DeployConfig
from fakedet_jax.deployment import checking, onnx_file, program, stablehlo
from fakedet_jax.errors import RequestError
from fakedet_jax.models import precision
from fakedet_jax.runtime import parallel, storage
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# Largest difference from the workdir. Another runtime rounds otherwise.
TOLERANCES = {"stablehlo": 1e-5, "onnx": 1e-4}
# Of detectors that count neurons. Counts are steps, over which other rounding moves
# single neurons: in ONNX Runtime, log-odds of a FakeSpotter differ by 0.002. What is
# put together wrongly differs by far more.
COUNTING_TOLERANCE = 0.02
_SUFFIXES = {"stablehlo": ".zip", "onnx": ".onnx"}


class Mismatch(RuntimeError):  # noqa: N818 - what is wrong, in one word.
    """What was deployed does not compute what the workdir does."""


def deploy(config: DeployConfig) -> dict[str, Any]:
    """Writes a detector as a file, after its scores were compared.

    Args:
        config: The settings.

    Returns:
        What the file says of the detector, and its size.

    Raises:
        RequestError: There is no detector, it cannot be deployed, or the file cannot be
            written.
        Mismatch: The scores differ; no file is left.
    """
    _check_output(config)
    workdir = open_workdir(config.workdir)
    mesh = parallel.data_mesh(jax.devices()[:1])
    with precision.using(workdir.matmul_precision):
        fitted = systems.load(workdir, mesh, config)
        framing = fitted.info.framing
        exporter = onnx_file if config.format == "onnx" else stablehlo
        try:
            exported = exporter.export(program.make(fitted), framing, config.batch_size)
        except RequestError as error:
            raise RequestError(f"{workdir.title}: {error}") from error
    crops, what = checking.pictures(workdir, framing)
    about = {
        **program.describe(workdir, fitted, config.batch_size),
        "jax": jax.__version__,
        "checked": {"pictures": len(crops), "what": what},
    }
    if config.format == "stablehlo":
        about["platforms"] = list(stablehlo.PLATFORMS)
    tolerance = TOLERANCES[config.format] if fitted.has_gradient else COUNTING_TOLERANCE
    with (
        storage.writing_to(config.output, "output", "file"),
        storage.atomic_file(config.output) as file,
    ):
        file.write(exporter.to_bytes(exported, about))
        # What is compared is what was written, before it gets its name.
        file.flush()
        content = Path(file.name).read_bytes()
        difference = checking.largest_difference(
            fitted, workdir, exporter.read(content), crops, config.batch_size
        )
        if not difference.largest <= tolerance:
            raise Mismatch(
                f"the scores of {workdir.title} as a file differ by up to "
                f"{difference.scores:.2g} from those of the workdir on {len(crops)} "
                f"{what}, and the log-odds by {difference.log_odds:.2g} in proportion "
                f"to one plus their size, expected at most {tolerance:g} of both; no "
                "file was written"
            )
    _LOGGER.info(
        "compared on %d %s: scores differ by at most %.2g",
        len(crops),
        what,
        difference.scores,
    )
    return {
        **about,
        "file": str(config.output),
        "bytes": len(content),
        "largest_difference": difference.largest,
        "largest_difference_of_scores": difference.scores,
        "decided_otherwise": difference.num_decisions,
    }


def to_text(result: Mapping[str, Any]) -> str:
    """What was written, for reading.

    Args:
        result: Of `deploy`.
    """
    batch, height, width, _ = result["input"]["shape"]
    size = "any number" if batch is None else f"{batch:,}"
    checked, platforms = result["checked"], result.get("platforms")
    return "\n".join(
        [
            f"{result['detector']} → {result['file']}: {result['bytes'] / 1e6:.1f} MB",
            f"takes {size} of RGB crops of {height} × {width}"
            + (f", on {', '.join(platforms)}" if platforms else "")
            + f"; threshold {result['threshold']:.4g}",
            f"scores differ by at most {result['largest_difference_of_scores']:.2g} "
            f"from those of the workdir on {checked['pictures']} {checked['what']}; "
            f"decided otherwise: {result['decided_otherwise']}",
        ]
    )


def _check_output(config: DeployConfig) -> None:
    """Refuses what would be found out late."""
    suffix = _SUFFIXES[config.format]
    if config.output.suffix != suffix:
        raise RequestError(
            f"`output`: expected the name of a {suffix} file with "
            f"`format={config.format}`, found {str(config.output)!r}"
        )
    if config.format == "onnx":
        onnx_file.check_installed()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the workdir of a detector of anomalies holds, and how it is read back.

`config.json` names the embedding, `best` has its network and what the detector says of
itself, and `mixture.npz` the mixture, which says what embedding it is of.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import mixture
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.base import read_info, read_variables
from fakedet_jax.systems.exif_anomaly import embedding
from fakedet_jax.systems.exif_anomaly import model as anomaly_model
from fakedet_jax.systems.exif_anomaly.embedding import Embedding
from fakedet_jax.workdir import Workdir, open_workdir

MIXTURE_FILE = "mixture.npz"


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """A detector of anomalies as it was stored.

    Attributes:
        info: What it says of itself.
        embedded: Its embedding.
        variables: Of the network, on the mesh.
        mixture: Of photographs.
        threshold: Log-likelihood, in nats, below which a picture is called fake.
        spread: Of the log-likelihoods of photographs.
    """

    info: DetectorInfo
    embedded: Embedding
    variables: Any
    mixture: mixture.Mixture
    threshold: float
    spread: float

    @property
    def arrays(self) -> dict[str, Any]:
        """Those of the network and of the mixture, wherever they are."""
        return {"network": self.variables, "mixture": self.mixture}

    def all_variables(self, mesh: Mesh) -> Any:
        """The arrays, all of them on the mesh."""
        return parallel.replicate(mesh, self.arrays)

    def log_probabilities(self, variables: Any, images: jax.Array) -> jax.Array:
        """Logarithms of the class probabilities of pictures, a pure function.

        Args:
            variables: Of `all_variables`.
            images: uint8 `[batch, height, width, 3]`.

        Returns:
            float32 `[batch, 2]`: real, fake.
        """
        rows = self.embedded.embed(variables["network"], images)
        return anomaly_model.log_probabilities(
            variables["mixture"], self.threshold, self.spread, rows
        )


def load(workdir: Workdir, mesh: Mesh) -> Stored:
    """Reads a trained detector.

    Args:
        workdir: The workdir.
        mesh: The devices that get the network's arrays.

    Raises:
        RequestError: There is none, or it is damaged, or its mixture is one of
            another embedding.
    """
    info = read_info(workdir)
    embedded = embedding.of_workdir(workdir)
    saved = mixture.load(workdir.path / MIXTURE_FILE)
    mixture.check_embedding(saved, embedded.num_features, _identity(info))
    try:
        threshold = float(info.details["log_likelihood_threshold"])
        spread = float(info.details["log_likelihood_spread"])
        if not (math.isfinite(threshold) and 0 < spread < math.inf):
            raise ValueError(f"threshold {threshold}, spread {spread}")
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"`workdir`: {str(workdir.path / 'best')!r} lacks the threshold of an "
            f"{info.detector} ({error!r}); train again in another `workdir`"
        ) from error
    variables = read_variables(workdir, embedded.abstract, mesh)
    if not _is_finite(variables):
        raise RequestError(
            f"`workdir`: the network in {str(workdir.path / 'best')!r} holds numbers "
            "that are not finite; train again in another `workdir`"
        )
    return Stored(info, embedded, variables, saved.mixture, threshold, spread)


def save_mixture(workdir: Path, fitted: mixture.Mixture, info: DetectorInfo) -> None:
    """Writes a mixture, marked with its embedding.

    Args:
        workdir: The folder.
        fitted: The mixture.
        info: Names the embedding.

    Raises:
        OSError: It could not be written.
    """
    mixture.save(workdir / MIXTURE_FILE, fitted, _identity(info))


def open_pretrained(workdir: Path, name: str) -> Workdir:
    """Opens the workdir of a run whose embedding is taken.

    Args:
        workdir: The folder.
        name: Of the system that it must be of.

    Raises:
        RequestError: It is not of this system.
    """
    opened = open_workdir(workdir, "pretrained")
    if opened.detector != name:
        raise RequestError(
            f"`pretrained`: expected the workdir of an {name}, found one of "
            f"{opened.detector!r} in {str(workdir)!r}"
        )
    return opened


def _is_finite(variables: Any) -> bool:
    leaves = jax.tree.leaves(variables)
    return all(np.isfinite(parallel.to_host(leaf)).all() for leaf in leaves)


def _identity(info: DetectorInfo) -> dict[str, Any]:
    """What a mixture's file says of its embedding."""
    return {"embedding": str(info.details.get("embedding"))}

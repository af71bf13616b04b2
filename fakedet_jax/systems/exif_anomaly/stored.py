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
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.systems.base import DetectorInfo
from fakedet_jax.systems.exif_anomaly import embedding
from fakedet_jax.systems.exif_anomaly.embedding import Embedding
from fakedet_jax.systems.verdict import untrained

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


def load(workdir: Path, mesh: Mesh) -> Stored:
    """Reads a trained detector.

    Raises:
        RequestError: There is none, or it is damaged, or its mixture is one of
            another embedding.
    """
    info = _read_info(workdir)
    embedded = _read_embedding(workdir)
    saved = mixture.load(workdir / MIXTURE_FILE)
    mixture.check_embedding(saved, embedded.num_features, _identity(info))
    try:
        threshold = float(info.details["log_likelihood_threshold"])
        spread = float(info.details["log_likelihood_spread"])
        if not (math.isfinite(threshold) and 0 < spread < math.inf):
            raise ValueError(f"threshold {threshold}, spread {spread}")
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"`workdir`: {str(workdir / 'best')!r} lacks the threshold of an "
            f"{info.detector} ({error!r}); train again in another `workdir`"
        ) from error
    abstract = checkpoint.abstract_like(embedded.abstract, parallel.replicated(mesh))
    with checkpoint.Store(workdir / "best", read_only=True) as bests:
        variables = bests.read_tree(bests.steps()[-1], abstract)
    if not _is_finite(variables):
        raise RequestError(
            f"`workdir`: the network in {str(workdir / 'best')!r} holds numbers "
            "that are not finite; train again in another `workdir`"
        )
    return Stored(info, embedded, variables, saved.mixture, threshold, spread)


def save_mixture(workdir: Path, fitted: mixture.Mixture, info: DetectorInfo) -> None:
    """Writes a mixture, marked with the embedding that `info` names."""
    mixture.save(workdir / MIXTURE_FILE, fitted, _identity(info))


def read_pretrained(workdir: Path, name: str) -> tuple[dict[str, Any], DetectorInfo]:
    """The settings of a run whose embedding is taken, and what came of it.

    Args:
        workdir: Of that run.
        name: Of the detector that it must be.

    Raises:
        RequestError: It is no trained detector of this kind.
    """
    try:
        settings = checkpoint.read_config(workdir)
        found = settings.get("detector")
        if found != name:
            raise RequestError(
                f"`pretrained`: expected the workdir of an {name}, found one "
                f"of {found!r} in {str(workdir)!r}"
            )
        return settings, _read_info(workdir)
    except RequestError as error:
        # As a workdir of another run, it has a field of its own.
        message = str(error).replace("`workdir`:", "`pretrained`:", 1)
        raise RequestError(message) from error


def _read_info(workdir: Path) -> DetectorInfo:
    """What the best detector of a workdir says of itself.

    Raises:
        RequestError: There is none.
    """
    folder = workdir / "best"
    if not folder.is_dir():
        raise RequestError(untrained(workdir))
    with checkpoint.Store(folder, read_only=True) as bests:
        if not bests.steps():
            raise RequestError(untrained(workdir))
        return DetectorInfo.from_json(bests.read_facts(bests.steps()[-1]))


def _read_embedding(workdir: Path) -> Embedding:
    """The embedding that `config.json` of a workdir names.

    Raises:
        RequestError: It names none.
    """
    settings = checkpoint.read_config(workdir)
    for name in ("embedder", "backbone", "dtype"):
        if not isinstance(settings.get(name), str | None):
            raise RequestError(
                f"`workdir`: {str(workdir / 'config.json')!r} does not say how faces "
                f"were embedded (found {name}={settings[name]!r}); train again in "
                "another `workdir`"
            )
    return embedding.create(settings)


def _is_finite(variables: Any) -> bool:
    leaves = jax.tree.leaves(variables)
    return all(np.isfinite(parallel.to_host(leaf)).all() for leaf in leaves)


def _identity(info: DetectorInfo) -> dict[str, Any]:
    """What a mixture's file says of its embedding."""
    return {"embedding": str(info.details.get("embedding"))}

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How this process computes, as the settings that most modes share say."""

from pathlib import Path

from jax.sharding import Mesh

from fakedet_jax.config import ComputeConfig
from fakedet_jax.evaluation import fitting
from fakedet_jax.faces.stream import MANY_FILES
from fakedet_jax.models import precision
from fakedet_jax.runtime import compilation_cache, determinism, parallel
from fakedet_jax.systems.base import Fitted
from fakedet_jax.workdir import Workdir


def prepare(config: ComputeConfig) -> None:
    """Tells XLA what it must know before it starts.

    Call it before anything that asks JAX for its devices or processes.

    Args:
        config: The settings.

    Raises:
        RequestError: It is too late, or `XLA_FLAGS` says the opposite.
    """
    if config.deterministic:
        determinism.require()


def set_up(
    config: ComputeConfig,
    workdir: Workdir | None = None,
    *,
    default_cache: Path | None = None,
) -> None:
    """Sets the cache of compiled programs and the precision of products.

    Call it when the devices are known, before anything is loaded.

    Args:
        config: The settings.
        workdir: Of the detector; without a precision of the request, products have that
            of its training. None for float32.
        default_cache: Folder of the cache where the request names none; None leaves
            JAX's own settings.

    Raises:
        RequestError: The folder of the request cannot be written.
    """
    compilation_cache.use(config.compilation_cache_dir, default=default_cache)
    trained = "float32" if workdir is None else workdir.matmul_precision
    precision.choose(config.matmul_precision or trained)


def choose_batch_size(
    wanted: int | None, num_files: int, detector: Fitted, mesh: Mesh
) -> int:
    """Chooses how many pictures of files are scored at a time.

    Args:
        wanted: What was asked for; None to choose.
        num_files: How many files there are.
        detector: The detector, on the mesh.
        mesh: The devices, which can share the result evenly.
    """
    if wanted is not None or num_files < MANY_FILES:
        return parallel.round_up_batch_size(wanted or fitting.DEFAULT, mesh)
    return fitting.largest_batch_size(
        detector.log_probability_fn, detector.variables, detector.info.framing, mesh
    )

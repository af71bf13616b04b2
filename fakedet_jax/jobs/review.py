# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Opens the review of a prediction."""

from pathlib import Path

from jax.sharding import Mesh

from fakedet_jax.config import PredictConfig
from fakedet_jax.jobs import origin
from fakedet_jax.jobs.files import Files
from fakedet_jax.library.maps import MapMaker
from fakedet_jax.report.review import Review
from fakedet_jax.systems.base import Fitted


def open_review(
    config: PredictConfig,
    folder: Path,
    files: Files,
    fitted: Fitted,
    mesh: Mesh,
    *,
    title: str,
) -> Review:
    """Makes the folder of the review, and gets ready to compute its maps.

    Args:
        config: The settings.
        folder: Where it goes.
        files: The files that are scored.
        fitted: The detector, on the mesh.
        mesh: The devices.
        title: What the detector is called.

    Raises:
        RequestError: The folder holds anything, or cannot be made.
    """
    maker = MapMaker(fitted, mesh) if config.maps else None
    return Review(
        folder,
        files.found,
        fitted.info,
        detector=f"Scored by {title}",
        facts=origin.describe(),
        num_threads=config.input.num_threads,
        how=files.cropping.media,
        maps_fn=maker,
        layers_of=maker.layers_of if maker else "",
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small copy of the dataset, built once for all tests of this folder."""

from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.synthetic_faces import camera, examples, loading, person, scene

NUM_IDENTITIES = 20


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic_faces")
    loading.prepare(folder, num_identities=NUM_IDENTITIES, num_processes=2)
    return folder


@pytest.fixture(scope="session")
def sources(data_dir: Path) -> dict[str, loading.SyntheticFacesSource]:
    return {
        split: loading.SyntheticFacesSource(data_dir, split, NUM_IDENTITIES)
        for split in (*examples.SPLITS, "all")
    }


@pytest.fixture(scope="session")
def portrait() -> tuple[np.ndarray, camera.Exposure]:
    """A photograph and what fell on the sensor."""
    rng = np.random.default_rng(5)
    identity, sitting = person.sample_identity(rng), person.sample_sitting(rng)
    settings = camera.Settings(iso=800, f_number=5.6, shutter=125, focal_length=70)
    return camera.photograph(
        scene.render(identity, sitting, 70), settings, camera.BODIES[0], rng
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small prepared dataset."""

import pytest

from fakedet_jax.config import FaceConfig
from fakedet_jax.jobs.prepare import prepare
from tests.prepare.inputs import config, write_inputs


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The output of a preparation. Not to be changed."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(
        config(
            write_inputs(folder / "in"),
            folder / "out",
            faces=FaceConfig("none", size=32),
        )
    )
    return folder / "out"

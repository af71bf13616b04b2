# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures and a detector that was trained on it for two steps."""

from pathlib import Path

import pytest

from fakedet_jax.config import DataConfig, InputConfig, TrainConfig
from fakedet_jax.jobs.train import train
from tests.data.pictures import write_folder

# Of the network; pictures of this size are not resampled.
IMAGE_SIZE = 128
# One for each of the devices that tests simulate.
BATCH_SIZE = 8


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory) -> Path:
    """Splits of two classes; every file can be read. Not to be changed."""
    counts = {
        "train/real": 4,
        "train/fake": 4,
        "validation/real": 2,
        "validation/fake": 2,
        "test/real": 3,
        "test/fake": 2,
    }
    root = tmp_path_factory.mktemp("jobs") / "pictures"
    return write_folder(root, counts, IMAGE_SIZE)


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory, picture_folder) -> Path:
    """The workdir of an AMTENnet after two steps. Not to be changed."""
    workdir = tmp_path_factory.mktemp("jobs") / "workdir"
    train(
        TrainConfig(
            detector="amtennet",
            workdir=workdir,
            data=DataConfig("folder", picture_folder),
            input=InputConfig(num_threads=2),
            recipe={"batch_size": BATCH_SIZE, "num_epochs": 2},
        )
    )
    return workdir

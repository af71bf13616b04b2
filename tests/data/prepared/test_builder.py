# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the TFDS builders."""

import pytest
import tensorflow_datasets as tfds

from fakedet_jax.data import layouts
from fakedet_jax.data.prepared.builder import BUILDERS
from fakedet_jax.errors import RequestError


def test_every_layout_has_a_builder():
    assert sorted(BUILDERS) == layouts.names()


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_says_where_the_originals_come_from(name):
    instructions = layouts.create(name).instructions
    assert instructions == BUILDERS[name].MANUAL_DOWNLOAD_INSTRUCTIONS


def test_tfds_knows_the_builders(data_dir):
    builder = tfds.builder("folder", data_dir=data_dir)
    assert isinstance(builder, BUILDERS["folder"])
    assert builder.info.features["label"].names == ["real", "fake"]
    assert builder.info.splits.total_num_examples == 18


def test_a_builder_alone_says_how_to_prepare(tmp_path):
    builder = BUILDERS["ffhq"](data_dir=tmp_path)
    with pytest.raises(RequestError, match="`mode=prepare` `dataset=ffhq`"):
        builder.download_and_prepare(download_dir=tmp_path / "empty")

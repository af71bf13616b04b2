# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the TFDS builder."""

import pytest
import tensorflow_datasets as tfds

from fakedet_jax.data import layouts
from fakedet_jax.data.prepared.builder import FacesBuilder


@pytest.mark.parametrize("name", layouts.names())
def test_the_builder_has_the_name_of_its_dataset(name, tmp_path):
    builder = FacesBuilder(layout=layouts.create(name), data_dir=tmp_path)
    assert builder.info.full_name == f"{name}/1.1.0"
    assert builder.data_path == tmp_path / name / "1.1.0"


def test_what_the_builder_wrote_is_read_by_it_and_by_tfds(data_dir):
    own = FacesBuilder(layout=layouts.create("folder"), data_dir=data_dir)
    for builder in (own, tfds.builder("folder", data_dir=data_dir)):
        assert builder.info.features["label"].names == ["real", "fake"]
        assert builder.info.splits.total_num_examples == 18


def test_a_builder_without_contents_writes_nothing(tmp_path):
    builder = FacesBuilder(layout=layouts.create("ffhq"), data_dir=tmp_path)
    with pytest.raises(ValueError, match="ffhq: there is nothing to write"):
        builder.download_and_prepare(download_dir=tmp_path / "empty")

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.benchmark_files."""

import jax
import jax.numpy as jnp
import pytest

from fakedet_jax.config import BenchmarkConfig, DataConfig, InputConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import benchmark, benchmark_files
from fakedet_jax.runtime import parallel
from tests import tiny


def _means(variables, images):
    return images.astype(jnp.float32).mean((1, 2)) + variables


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one turn says, and what the files were."""
    root = tiny.write_pictures(tmp_path_factory.mktemp("files") / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_files, "_NUM_BATCHES", 2)
        return benchmark_files.measure_files(
            _means,
            jnp.zeros(()),
            parallel.data_mesh(),
            tiny.PREPROCESSING.framing,
            catalog.load(DataConfig("folder", root), "train"),
            batch_size=8,
            num_repeats=1,
            settings=InputConfig(num_workers=1),
        )


def test_every_row_is_measured(found):
    assert list(found) == [name for name, *_ in benchmark_files.ROWS]
    assert min(found.values()) > 0


def test_the_share_is_that_of_cores_that_do_both(found):
    assert jax.devices()[0].platform == "cpu"
    possible = 1 / (
        1 / found["files_read_per_second"] + 1 / found["files_network_per_second"]
    )
    share = found["files_scored_per_second"] / possible
    assert found["files_scored_share"] == pytest.approx(share)
    assert found["files_scored_share_lowest"] == found["files_scored_share_highest"]


def test_on_an_accelerator_the_slower_one_is_what_is_possible():
    turn = {"read": 100.0, "network": 300.0}
    assert benchmark_files._possible(turn, is_shared=False) == 100
    assert benchmark_files._possible(turn, is_shared=True) == pytest.approx(75)


def test_a_detector_without_a_network_of_its_own_is_refused_at_once(tmp_path):
    weights = tiny.write_weights(tmp_path / "weights")
    with tiny.registered():
        config = BenchmarkConfig(
            detector="fakespotter",
            files=True,
            options=_options(weights),
        )
        with pytest.raises(
            RequestError, match=r"^`files`: only detectors that are one"
        ):
            benchmark.benchmark(config)


def _options(weights):
    from fakedet_jax import systems

    cls = systems.benchmark_options_of({"detector": "fakespotter"})
    return cls(backbone=tiny.BACKBONE.name, weights=weights)

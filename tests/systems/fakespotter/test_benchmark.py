# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what `--mode=benchmark` says of counting neurons."""

import json

import pytest

from fakedet_jax import settings
from fakedet_jax.config import BenchmarkConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import benchmark, evaluate, train
from fakedet_jax.runtime import measurement
from fakedet_jax.systems.fakespotter import benchmark as benchmark_coverage
from tests import tiny

SETTINGS = {"num_threads": 2, "batch_size": 8, "num_repeats": 1}


def _config(**changes):
    values = {"detector": "fakespotter", **SETTINGS, **changes}
    with tiny.registered():
        return settings.build(BenchmarkConfig, values)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurement, "_RUN_SECONDS", 0.0)
        patch.setattr(measurement, "_CPU_SIDE", 64)
        patch.setattr(benchmark, "_NUM_JPEGS", 16)
        with tiny.registered():
            yield


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmark_coverage")
    pictures = tiny.write_pictures(root / "pictures")
    weights = tiny.write_weights(root / "weights")
    config = tiny.spotter_config(pictures, root / "workdir", weights, root / "cache")
    train.train(config)
    return root / "workdir"


@pytest.fixture(scope="module")
def results(workdir):
    config = _config(workdir=workdir)
    return benchmark.benchmark(config)


@pytest.mark.slow
def test_every_row_is_measured(results):
    names = {row[0] for row in benchmark_coverage.ROWS}
    # What rounded products do is measured where they are asked for.
    assert {name for name in names if "precision" not in name} <= results.keys()
    speeds = {name: results[name] for name in results if name.endswith("per_second")}
    assert all(value is None or value > 0 for value in speeds.values())
    assert json.loads(json.dumps(results)) == results


@pytest.mark.slow
def test_the_cost_is_the_ratio_of_the_speeds(results):
    ratio = results["forward_images_per_second"] / results["counts_images_per_second"]
    assert results["counts_cost"] == pytest.approx(ratio - 1)


@pytest.mark.slow
def test_the_area_in_float32_is_that_of_the_evaluation(results, workdir):
    summary = evaluate.evaluate(evaluate.EvaluateConfig(workdir=workdir))
    assert results["auc_float32"] == pytest.approx(summary["auc"])
    assert 0 <= results["auc_bfloat16"] <= 1


@pytest.mark.slow
def test_bfloat16_moves_some_counts_a_little(results):
    assert 0 < results["bfloat16_equal_counts"] < 1
    assert 0 < results["bfloat16_mean_change"] < results["bfloat16_largest_change"]
    assert results["bfloat16_mean_change"] < 0.05


@pytest.mark.slow
def test_rounded_products_are_compared_with_exact_ones(workdir):
    results = benchmark.benchmark(_config(workdir=workdir, matmul_precision="tf32"))
    # CPUs do not round.
    assert results["precision_equal_counts"] == 1
    assert results["precision_largest_change"] == 0
    assert results["auc_precision"] == results["auc_float32"]
    assert "products in tf32" in benchmark.to_table(results)


@pytest.mark.slow
def test_a_backbone_needs_no_weights(tmp_path):
    config = _config(backbone=tiny.BACKBONE.name)
    results = benchmark.benchmark(config)
    assert results["counts_images_per_second"] > 0
    assert results["auc_float32"] is None
    table = benchmark.to_table(results)
    assert "AUC of the workdir, float32" in table
    assert "Training step" not in table


@pytest.mark.parametrize(
    "changes, message",
    [
        ({}, "`backbone`: `detector=fakespotter` needs the network"),
        ({"backbone": "gone"}, "`backbone`: expected"),
        ({"backbone": tiny.BACKBONE.name, "batch_size": 3}, "`batch_size`: expected"),
        ({"detector": "tiny", "backbone": "x"}, "`backbone`: there is no such"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(RequestError, match=message):
        benchmark.benchmark(_config(**changes))


@pytest.mark.slow
def test_a_workdir_has_its_own_backbone(workdir):
    config = _config(workdir=workdir, backbone=tiny.BACKBONE.name)
    with pytest.raises(RequestError, match="`workdir`, `backbone`: the network comes"):
        benchmark.benchmark(config)

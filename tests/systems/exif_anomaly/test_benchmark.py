# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.benchmark."""

import dataclasses
import sys

import pytest

from fakedet_jax.config import BenchmarkConfig, InputConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import benchmark
from fakedet_jax.runtime import measurement
from fakedet_jax.systems.exif_anomaly import benchmark as benchmark_anomaly
from fakedet_jax.systems.exif_anomaly.options import EmbedderOptions
from tests import tiny

_CONFIG = BenchmarkConfig(
    detector="exif_anomaly",
    options=EmbedderOptions(embedder="tiny_ranker"),
    input=InputConfig(num_threads=2),
    batch_size=8,
    num_repeats=1,
)


@pytest.fixture
def small(monkeypatch):
    """Sizes for which nothing takes long."""
    monkeypatch.setattr(measurement, "_RUN_SECONDS", 0.0)
    monkeypatch.setattr(measurement, "_CPU_SIDE", 128)
    monkeypatch.setattr(benchmark, "_NUM_JPEGS", 16)
    monkeypatch.setattr(benchmark_anomaly, "_NUM_ROWS", 1200)
    monkeypatch.setattr(benchmark_anomaly, "_NUM_FEATURES", 6)
    monkeypatch.setattr(benchmark_anomaly, "_NUM_COMPONENTS", 3)
    with tiny.registered():
        yield


@pytest.mark.slow
def test_everything_is_measured(small):
    results = benchmark.benchmark(_CONFIG)
    for name, *_ in benchmark_anomaly.ROWS:
        assert results[name] > 0, name
    ratio = results["mixture_sklearn_seconds"] / results["mixture_seconds"]
    assert results["mixture_speedup"] == pytest.approx(ratio)
    table = benchmark.to_table(results)
    assert "scikit-learn" in table and "Training to rank" in table


def test_there_is_no_network_to_compare_with(small):
    with pytest.raises(RequestError, match="`compare`: there is no PyTorch twin"):
        benchmark.benchmark(dataclasses.replace(_CONFIG, compare="torch"))


@pytest.mark.slow
def test_scikit_learn_is_not_needed(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    monkeypatch.setattr(benchmark_anomaly.AnomalyBenchmark, "_network", lambda self: {})
    results = benchmark.benchmark(_CONFIG)
    assert results["mixture_sklearn_seconds"] is None
    assert results["mixture_speedup"] is None
    assert results["mixture_seconds"] > 0

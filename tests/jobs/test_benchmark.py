# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import jax
import pytest

from fakedet_jax.config import BenchmarkConfig, DataConfig, InputConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import benchmark
from fakedet_jax.media.decode import decode
from fakedet_jax.runtime import measurement
from fakedet_jax.systems.networks import benchmark as benchmark_network
from tests import tiny

PLAIN = BenchmarkConfig(
    detector="amtennet", input=InputConfig(num_threads=2), batch_size=8, num_repeats=1
)

# Multiplications with additions of one picture: out_pixels · window · in · out.
MULTIPLICATIONS = (
    3 * 128**2 * 9 * 3 * 3  # conv1 … conv3
    + 2 * 128**2 * 9 * 6 * 6  # conv4, conv5
    + 128**2 * 9 * 12 * 24
    + 62**2 * 9 * 24 * 48
    + 29**2 * 9 * 48 * 64
    + 14**2 * 64 * 128
    + 128 * 7 * 7 * 300
    + 300 * 300
    + 300 * 2
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What one short run says, and the file that it wrote."""
    path = tmp_path_factory.mktemp("benchmark") / "made" / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurement, "_RUN_SECONDS", 0.0)
        patch.setattr(measurement, "_CPU_SIDE", 256)
        patch.setattr(benchmark, "_NUM_JPEGS", 16)
        results = benchmark.benchmark(dataclasses.replace(PLAIN, output=path))
    return results, path


@pytest.fixture(scope="module")
def results(measured):
    return measured[0]


@pytest.mark.slow
def test_the_file_holds_the_results(measured):
    results, path = measured
    assert json.loads(path.read_text()) == results


@pytest.mark.slow
def test_machine_and_settings_are_named(results):
    expected = {
        "detector": "amtennet",
        "dtype": "float32",
        "deterministic": False,
        "batch_size": 8,
        "framing": "128 × 128",
        "num_repeats": 1,
        "platform": "cpu",
        "device_kind": jax.devices()[0].device_kind,
        "num_devices": 8,
        "jax_version": jax.__version__,
    }
    assert {name: results[name] for name in expected} == expected


@pytest.mark.parametrize(
    "name", ["train", "evaluation", "pipeline", "traces_jit", "traces_pmap"]
)
@pytest.mark.slow
def test_every_speed_is_measured(results, name):
    assert results[f"{name}_images_per_second"] > 0


@pytest.mark.parametrize("name", ["train", "evaluation"])
@pytest.mark.slow
def test_lowering_and_compiling_are_measured_apart(results, name):
    assert results[f"{name}_lower_seconds"] > 0
    assert results[f"{name}_compile_seconds"] > 0


@pytest.mark.slow
def test_host_memory_is_that_of_a_process_with_jax(results):
    assert 2**26 < results["peak_host_bytes"] < 2**40


@pytest.mark.slow
def test_a_platform_that_does_not_tell_its_memory_gives_none(results):
    assert results["peak_device_bytes"] is None


@pytest.mark.slow
def test_bfloat16_is_measured_only_where_it_is_used(results):
    assert results["matmul_float32_flops_per_second"] > 0
    assert results["matmul_bfloat16_flops_per_second"] is None


@pytest.mark.slow
def test_arithmetic_is_three_times_that_of_a_hand_calculation(results):
    # Forward, gradient of the inputs, gradient of the weights; the first layer lacks
    # the second, and elementwise operations come on top.
    by_hand = 3 * 2 * MULTIPLICATIONS
    assert results["train_flops_per_image"] == pytest.approx(by_hand, rel=0.05)


@pytest.mark.slow
def test_ratios_are_those_of_the_speeds(results):
    train = results["train_images_per_second"]
    flops = results["train_flops_per_image"] * train
    assert results["pipeline_per_train"] == pytest.approx(
        results["pipeline_images_per_second"] / train
    )
    assert results["train_share_of_peak"] == pytest.approx(
        flops / results["matmul_float32_flops_per_second"]
    )


@pytest.mark.slow
def test_the_table_is_aligned(results):
    lines = benchmark.to_table(results).splitlines()[3:]
    ends = {line.index("  images/s") for line in lines if "images/s" in line}
    assert len(lines) == len(results["labels"].keys() & results.keys())
    assert {row[0] for row in benchmark_network.ROWS} <= results.keys()
    assert not [name for name in results if name.startswith("torch")]
    assert len(ends) == 1


@pytest.mark.slow
def test_the_table_names_what_is_not_available(results):
    table = benchmark.to_table(results)
    assert table.startswith(
        "amtennet, float32, products in float32, batches of 8, 128 × 128 pictures, on "
        "8 × cpu"
    )
    deterministic = benchmark.to_table({**results, "deterministic": True})
    assert "float32, deterministic kernels, batches of 8" in deterministic
    lines = [line for line in table.splitlines() if "fullest device" in line]
    assert lines[0].endswith("not available")


def test_a_speed_is_shown_with_three_digits():
    shown = [benchmark._shown(value, 1) for value in (12345.6, 12.3456, 0.0012345)]
    assert shown == ["12346", "12.3", "0.00123"]


def test_made_pictures_are_jpegs_of_the_promised_size(monkeypatch):
    monkeypatch.setattr(benchmark, "_NUM_JPEGS", 8)
    with benchmark._dataset(None) as dataset:
        encoded = [dataset.source[i].encoded for i in range(dataset.num_examples)]
    assert all(data.startswith(b"\xff\xd8") for data in encoded)
    assert {decode(data).shape for data in encoded} == {(256, 256, 3)}
    assert len(set(encoded)) == len(encoded)


def test_a_dataset_can_be_named_for_the_pipeline(tmp_path):
    root = tiny.write_pictures(tmp_path / "pictures")
    with benchmark._dataset(DataConfig("folder", root)) as dataset:
        assert dataset.num_examples == 20
        assert dataset.split == "train"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detector": "nonesuch"}, "`detector`: expected amtennet.*'nonesuch'"),
        ({"num_repeats": 0}, "`num_repeats`: expected at least 1, found 0"),
        ({"batch_size": 7}, "`batch_size`: .*8 devices, found 7"),
        ({"detector": "meso4", "compare": "torch"}, "`compare`: there is no PyTorch"),
        ({"compare": "jax"}, "`compare`: expected torch, found 'jax'"),
        ({"dtype": "float16"}, "`dtype`: expected float32, bfloat16.*'float16'"),
    ],
)
def test_wrong_requests_say_what_to_change(changes, message):
    with pytest.raises(RequestError, match=message):
        benchmark.benchmark(dataclasses.replace(PLAIN, **changes))

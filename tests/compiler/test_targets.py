# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.compiler.targets: what is refused, and how."""

import importlib.metadata
import os
from unittest import mock

import jax
import pytest

from fakedet_jax.compiler import targets
from fakedet_jax.errors import RequestError

_VERSIONS = {"libtpu": targets._required("jax", "libtpu").replace("*", "1")}
_VERSIONS |= dict.fromkeys(("jax-cuda13-plugin", "jax-cuda13-pjrt"))
_VERSIONS["jax-cuda13-plugin"] = importlib.metadata.version("jaxlib")
_VERSIONS["jax-cuda13-pjrt"] = importlib.metadata.version("jaxlib")


@pytest.fixture
def installed(monkeypatch):
    """What is thought to be installed, by name; to be changed."""
    versions = dict(_VERSIONS)
    monkeypatch.setattr(targets, "_version", versions.get)
    monkeypatch.setattr(targets, "_stay_on_cpus", lambda: None)
    return versions


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "expected cpu, tpu:GENERATION:TOPOLOGY such as tpu:v5e:2x2, or cuda:"),
        ("tpu", "a generation of v4, v5e, v5p, v6e, found 'tpu'"),
        ("tpu:v9:2x2", "a generation of v4, v5e, v5p, v6e, found 'tpu:v9:2x2'"),
        ("tpu:v5e:2x2x1", "expected a topology NxN of v5e"),
        ("tpu:v4:2x2", "expected a topology NxNxN of v4"),
        ("tpu:v5e:0x2", "such as tpu:v5e:2x2, found 'tpu:v5e:0x2'"),
        ("tpu:v5e:9998x9998", "expected a topology NxN"),
        ("tpu:v5e:square", "expected a topology NxN"),
        ("cuda", "expected cuda:NAME with a name of a100, h100, h200, or cuda:FILE"),
        ("cuda:b300", "or cuda:FILE, found 'b300', which is neither"),
        ("cuda:h100:0", "expected from 1 to 10000 devices"),
    ],
)
def test_a_device_that_does_not_exist_is_refused(installed, name, message):
    with pytest.raises(RequestError) as caught:
        targets.open_target(name)
    assert str(caught.value).startswith("`device`: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "describes no GPU; expected the text form of GpuTargetConfigProto"),
        (b"\xff\xfe\x00", "is no text"),
        (b" " * (2**20 + 1), "is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_describes_no_gpu_is_refused(installed, tmp_path, content, message):
    path = tmp_path / "gpu.txtpb"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="`device`") as caught:
        targets.open_target(f"cuda:{path}")
    assert message in str(caught.value)


def test_a_pipe_is_not_waited_for(installed, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError, match="which is neither"):
        targets.open_target(f"cuda:{tmp_path / 'pipe'}")


@pytest.mark.parametrize(
    ("name", "package", "version", "message"),
    [
        (
            "tpu:v5e:2x2",
            "libtpu",
            None,
            "found libtpu missing; run pip install 'libtpu",
        ),
        ("tpu:v5e:2x2", "libtpu", "0.0.1", "found libtpu 0.0.1; run pip install"),
        ("cuda:h100", "jax-cuda13-plugin", "0.1", "found jax-cuda13-plugin 0.1"),
        ("cuda:h100", "jax-cuda13-pjrt", None, "jax-cuda13-pjrt missing; run pip"),
    ],
)
def test_another_plugin_is_refused_with_the_command(
    installed, name, package, version, message
):
    installed[package] = version
    with pytest.raises(RequestError, match="`device`: jax ") as caught:
        targets.open_target(name)
    assert message in str(caught.value)
    assert "make compile-env" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tpu:v5e:3x3", RuntimeError("INVALID_ARGUMENT: 3x3"), "multiples of 2"),
        ("tpu:v5e:2x2", RuntimeError("ABORTED: lockfile"), "another process uses"),
        ("cuda:h100", NotImplementedError("cuda"), "with JAX_PLATFORMS=cpu"),
        ("cuda:h100", RuntimeError("no GpuTargetConfigProto"), "is no text form of"),
    ],
)
def test_what_compilers_complain_about_is_one_line(installed, name, error, message):
    opens = "jax.experimental.topologies.get_topology_desc"
    with (
        mock.patch(opens, side_effect=error),
        pytest.raises(RequestError, match="`device`") as caught,
    ):
        targets.open_target(name)
    assert message in str(caught.value)


def test_the_devices_of_this_machine():
    assert jax.device_count() == 8  # JAX has started, so that it keeps them.
    target = targets.open_target("cpu", 3)
    assert target.platform == "cpu"
    assert list(target.devices) == jax.devices()[:3]
    assert target.memory_bytes > 2**28
    assert target.clock_hz is None
    assert targets.open_target("").devices == jax.devices()
    with pytest.raises(RequestError, match="`num_devices`: cpu has 8, found 9"):
        targets.open_target("cpu", 9)
    with pytest.raises(RequestError, match="`num_devices`: expected a number from 1"):
        targets.open_target("cpu", 0)
    with pytest.raises(RequestError, match="`num_devices`, `device`: 3 and 2 devices"):
        targets.open_target("cuda:h100:2", 3)


@pytest.mark.parametrize(
    ("name", "float32", "tf32", "bfloat16", "bandwidth"),
    [
        # TFLOP/s and TB/s of the data sheets; a tensor core's at a lower clock.
        ("a100", 19.5, 156, 312, 2.039),
        ("h100", 67, 494, 989, 3.35),
        ("h200", 67, 494, 989, 4.8),
    ],
)
def test_descriptions_agree_with_data_sheets(name, float32, tf32, bfloat16, bandwidth):
    facts = targets._facts(targets._described()[name].read_text("utf-8"))
    assert facts["flops_per_second"]["float32"] / 1e12 == pytest.approx(float32, 0.01)
    assert facts["flops_per_second"]["tf32"] / 1e12 == pytest.approx(tf32, 0.1)
    assert facts["flops_per_second"]["bfloat16"] / 1e12 == pytest.approx(bfloat16, 0.1)
    assert facts["bytes_per_second"] / 1e12 == pytest.approx(bandwidth, 0.01)


@pytest.mark.parametrize(
    ("name", "units", "side", "tflops"),
    [
        ("v4", 8, 128, 275),
        ("v5e", 4, 128, 197),
        ("v5p", 8, 128, 459),
        ("v6e", 4, 256, 918),
    ],
)
def test_clocks_agree_with_published_peaks(name, units, side, tflops):
    clock = targets._GENERATIONS[name].clock_hz
    assert 2 * side**2 * units * clock / 1e12 == pytest.approx(tflops, 0.01)

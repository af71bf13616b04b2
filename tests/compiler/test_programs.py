# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the programs for TPUs and GPUs must keep to, told by their compilers.

Run by `make test-compile` in an environment that has the compilers. Whole networks are
compiled by the command line in a process of its own, so that a compiler that aborts is
a failed test. No device is needed.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from fakedet_jax.compiler import Program, cost, hlo, targets
from fakedet_jax.errors import RequestError
from fakedet_jax.mixture import em, fitting, model
from fakedet_jax.models import backbones, channel_last
from fakedet_jax.runtime import parallel
from tests.systems.networks import whole

pytestmark = pytest.mark.compiler

_ROOT = Path(__file__).parents[2]

# Whole networks need most of it, and take the longest on a busy machine.
_TIMEOUT_SECONDS = 1500

_NETWORKS = whole.NAMES
_QUICK = ("amtennet",)

# Of encoders, one of each kind; the others differ in size.
_ENCODERS = ("clip_vit_b16", "dinov3_vit_b16")

# Loops of the method itself: a bisection finds the percentiles of spectra.
_LOOPS = {"autogan": 1}

# Bounds, with what was measured when they were set (jax 0.10.2, bfloat16, 256).
_RESNET50_TEMPORARY_BYTES = 1.2e9  # 0.925
_AMTENNET_BYTES = 5.5e9  # 5.34
# A v5e's cycles.
_RESNET50_CYCLES = 101e6  # 100.7
_MOBILEFACENET_CYCLES = 20.5e6  # 20.3


def _quick(*names):
    """Parameters, of which CI runs those that `_QUICK` names."""
    return [
        pytest.param(name, marks=[pytest.mark.compiler_quick] if name in _QUICK else [])
        for name in names
    ]


@functools.cache
def _target(name):
    try:
        return targets.open_target(name)
    except RequestError as error:
        pytest.skip(str(error))


@functools.cache
def _compile(*flags, device="cuda:h100"):
    """The JSON of the command, and its program."""
    _target(device)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                "main.py",
                "--mode=compile",
                f"--device={device}",
                "--dtype=bfloat16",
                f"--output={folder}/out.json",
                f"--hlo_dir={folder}/hlo",
                *flags,
            ],
            cwd=_ROOT,
            env={n: v for n, v in os.environ.items() if n != "XLA_FLAGS"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
        (program,) = Path(folder, "hlo").iterdir()
        return (
            json.loads(Path(folder, "out.json").read_text("utf-8")),
            hlo.parse(program.read_text("utf-8")),
        )


def _check_forms(found):
    """No loop, which is a form for CPUs, and no sum of planes in bfloat16."""
    assert found["operations"]["while"] == _LOOPS.get(found["detector"], 0)
    assert found["low_precision_reductions"] == []
    assert found["fits"] is True


@pytest.mark.parametrize("detector", _quick(*_NETWORKS))
def test_networks_train_on_an_h100(detector):
    size = 256 if detector == "amtennet" else 64
    found, _ = _compile(f"--detector={detector}", f"--batch_size={size}")
    _check_forms(found)
    # Atomic additions would come in any order.
    assert found["operations"]["scatter"] == 0
    assert found["operations"]["select_and_scatter"] == 0
    if detector == "amtennet":
        assert found["bytes_per_image"] * size <= _AMTENNET_BYTES


@pytest.mark.parametrize("embedder", ["resnet50", "small"])
def test_rankers_train_on_an_h100(embedder):
    found, _ = _compile("--detector=exif_anomaly", f"--embedder={embedder}")
    # The objective compares pairs of the batch; planes are what counts.
    assert found["operations"]["while"] == 0
    assert found["operations"]["scatter"] == 0
    assert found["low_precision_reductions"] == []


@pytest.mark.parametrize("detector", _quick(*_NETWORKS))
def test_networks_score_on_an_h100(detector):
    found, _ = _compile(f"--detector={detector}", "--what=score")
    _check_forms(found)


@pytest.mark.parametrize(
    "flags",
    [
        ("--detector=fakespotter", "--backbone=mobilefacenet"),
        ("--detector=exif_anomaly",),
        ("--detector=exif_anomaly", "--backbone=mobilefacenet"),
    ],
    ids=" ".join,
)
def test_other_systems_score_on_an_h100(flags):
    found, _ = _compile(*flags, "--what=score")
    assert found["low_precision_reductions"] == []


def test_the_mixture_is_fitted_on_an_h100():
    found, _ = _compile("--detector=exif_anomaly", "--what=mixture")
    # The components, one by one: their distances, and their moments.
    assert found["operations"]["while"] == 2
    assert found["fits"] is True


def test_the_mixture_is_maximised_on_an_h100():
    mesh = parallel.data_mesh(_target("cuda:h100").devices)
    mixture = model.abstract("full", 12, 768)
    _, (running, mixture, _, mean) = fitting.abstract_pass(mixture, 4096, mesh)
    arguments = (mixture, running.total, mean, mixture.scale)
    compiled = cost.compile_program(Program(em.compiled_step, arguments, mesh, 1))
    # Cholesky factors and their inverses come from NVIDIA's libraries.
    assert hlo.operations(hlo.parse(compiled.text))["custom_call"] >= 2


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(
            name,
            marks=[pytest.mark.compiler_quick] if name == "vggface2_resnet50" else [],
        )
        for name in backbones.names()
        if backbones.create(name).size is None or name in _ENCODERS
    ],
)
def test_backbones_count_on_an_h100(backbone):
    size = 64 if backbone in ("vggface_vgg16", *_ENCODERS) else 256
    found, _ = _compile(f"--backbone={backbone}", f"--batch_size={size}")
    _check_forms(found)
    if backbone == "vggface2_resnet50":
        assert found["temporary_bytes"] <= _RESNET50_TEMPORARY_BYTES


@pytest.mark.parametrize("backbone", ["mobilefacenet"])
def test_thresholds_are_fitted_on_an_h100(backbone):
    found, _ = _compile(f"--backbone={backbone}", "--what=train", "--batch_size=256")
    _check_forms(found)


@pytest.mark.parametrize("backbone", ["vggface2_resnet50", "mobilefacenet"])
def test_counting_writes_no_planes(backbone):
    flags = (f"--backbone={backbone}", "--batch_size=256")
    _, counting = _compile(*flags)
    _, forward = _compile(*flags, "--what=forward")
    # Partial counts are small; a plane of a single layer would be some per cent.
    assert _written(counting) <= 1.02 * _written(forward)


def _written(module):
    return sum(kernel.times * kernel.bytes_written for kernel in hlo.kernels(module))


@pytest.mark.compiler_quick
def test_gradients_travel_together():
    found, module = _compile("--detector=amtennet", "--num_devices=4")
    told = {one["kind"]: one for one in found["collectives"]}
    assert list(told) == ["all_reduce"]
    # Batch normalisation sums once forward and once backward in each of three layers.
    # Gradients: of kernels, of biases, and of one kernel with a layout of its own.
    assert told["all_reduce"]["count"] <= 2 * 3 + 3
    # Of 2,023,050 parameters, those of kernels in bfloat16.
    sizes = sorted(k.bytes_read for k in hlo.kernels(module) if "all-reduce" in k.kind)
    assert sizes[-1] >= 0.99 * 2 * 2_023_050


@pytest.mark.parametrize("backbone", ["mobilefacenet"])
def test_devices_count_alone(backbone):
    found, _ = _compile(f"--backbone={backbone}", "--num_devices=4")
    assert found["collectives"] == []


def _single(function, *shapes):
    """A function that is compiled for one chip of a v5e, parsed."""
    sharding = SingleDeviceSharding(_target("tpu:v5e:2x2").devices[0])
    arguments = (
        jax.ShapeDtypeStruct(shape, dtype, sharding=sharding) for shape, dtype in shapes
    )
    return hlo.parse(jax.jit(function).lower(*arguments).compile().as_text())


_PLANES = ((128, 56, 56, 64), jnp.bfloat16)


def test_a_v5e_counts_while_it_convolves():
    def forward(planes, kernel):
        out = channel_last.conv2d(planes, kernel, padding=1)
        return out, channel_last.conv2d(jax.nn.relu(out), kernel, padding=1).mean()

    def counting(planes, kernel, threshold):
        out, mean = forward(planes, kernel)
        above = out.astype(jnp.float32) > threshold
        return above.sum((1, 2, 3), dtype=jnp.int32), mean

    shapes = _PLANES, ((3, 3, 64, 64), jnp.float32)
    plain = _single(lambda *given: forward(*given)[1], *shapes)
    counted = _single(counting, *shapes, ((), jnp.float32))
    assert hlo.operations(counted)["convolution"] == 2
    # A number for each picture, and partial ones.
    assert _written(counted) <= 1.02 * _written(plain)


def test_a_v5e_pools_without_loops():
    def gradient(planes, above):
        pooled, pull = jax.vjp(channel_last.max_pool, planes)
        return pull(above.astype(pooled.dtype))

    told = hlo.operations(_single(gradient, _PLANES, ((128, 27, 27, 64), jnp.bfloat16)))
    assert told["select_and_scatter"] == 1
    assert told["while"] == told["scatter"] == 0


def test_a_v5e_sums_gradients_of_biases_in_float32():
    layer = channel_last.Conv(24, 3, padding=1, use_bias=True, dtype=jnp.bfloat16)

    def gradient(kernel, bias, planes, above):
        params = {"kernel": kernel, "bias": bias}
        _, pull = jax.vjp(lambda p: layer.apply({"params": p}, planes), params)
        return pull(above)[0]["bias"]

    module = _single(
        gradient,
        ((3, 3, 12, 24), jnp.float32),
        ((24,), jnp.float32),
        ((64, 128, 128, 12), jnp.bfloat16),
        ((64, 128, 128, 24), jnp.bfloat16),
    )
    assert hlo.low_precision_reductions(module) == []
    assert hlo.operations(module)["reduce"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "cycles"),
    [
        ("vggface2_resnet50", _RESNET50_CYCLES),
        ("mobilefacenet", _MOBILEFACENET_CYCLES),
    ],
)
def test_backbones_count_on_a_v5e(backbone, cycles):
    found, _ = _compile(
        f"--backbone={backbone}",
        "--batch_size=256",
        "--num_devices=1",
        device="tpu:v5e:2x2",
    )
    _check_forms(found)
    assert found["estimated_cycles"] <= cycles


@pytest.mark.slow
def test_amtennet_trains_on_a_v5e():
    found, _ = _compile("--batch_size=256", device="tpu:v5e:2x2")
    _check_forms(found)

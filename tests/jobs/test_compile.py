# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.compile, for the processor of this machine."""

import json
import re
from unittest import mock

import jax
import pytest

from fakedet_jax.compiler import cost, hlo
from fakedet_jax.config import CompileConfig, FirstPrecisionConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import compile as compile_job
from tests import tiny

# The entries that README.md names.
KNOWN = {
    "flops_per_image",
    "bytes_per_image",
    "temporary_bytes",
    "fits",
    "estimated_cycles",
    "images_per_second",
    "operations",
    "collectives",
    "low_precision_reductions",
    "compile_seconds",
}


@pytest.fixture(autouse=True)
def _registered():
    assert jax.device_count() == 8  # JAX has started, so that it keeps them.
    with tiny.registered():
        yield


def _compile(**settings):
    return compile_job.compile_program(CompileConfig(device="cpu", **settings))


def test_a_training_step_over_devices(tmp_path):
    found = _compile(
        detector="tiny",
        num_devices=2,
        batch_size=8,
        output=tmp_path / "made" / "out.json",
        hlo_dir=tmp_path / "hlo",
    )
    assert json.loads((tmp_path / "made" / "out.json").read_text()) == found
    assert found.keys() >= KNOWN
    assert (found["what"], found["num_devices"]) == ("train", 2)
    # The convolution, its gradient by the kernel, and the dense layer, at the least.
    plain = 2 * (2 * 8**2 * 27 * 8 + 8 * 2)
    assert plain < found["flops_per_image"] < 20 * plain
    assert found["fits"] is True
    assert 0 < found["temporary_bytes"] < found["needed_bytes"]
    assert found["estimated_cycles"] is found["images_per_second"] is None
    assert found["collectives"][0]["kind"] == "all_reduce"
    assert found["low_precision_reductions"] == []
    (path,) = (tmp_path / "hlo").iterdir()
    assert path.name == "train_tiny_cpu_2_8_float32_float32.hlo"
    text = path.read_text("utf-8")
    assert hlo.operations(hlo.parse(text)) == found["operations"]
    table = compile_job.to_table(found)
    title = "tiny: train, float32, products in float32, 8 images on 2 × cpu"
    assert table.startswith(title)
    assert "GFLOP/image" in table
    compile_job.check_fits(found)


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        (
            {"detector": "tiny", "what": "score"},
            "tiny: score, float32, products in float32, 64 images on",
        ),
        (
            {"options": {"backbone": "tiny_faces"}, "dtype": "bfloat16"},
            "fakespotter, tiny_faces: coverage, bfloat16, 64 images on",
        ),
        (
            {"options": {"backbone": "tiny_faces"}, "what": "train"},
            "fakespotter, tiny_faces: train",
        ),
        (
            {"options": {"backbone": "tiny_faces"}, "what": "score"},
            "fakespotter, tiny_faces: score",
        ),
        (
            {"options": {"backbone": "tiny_faces"}, "what": "forward"},
            "fakespotter, tiny_faces: forward",
        ),
        (
            {"detector": "exif_anomaly", "options": {"embedder": "tiny_ranker"}},
            "exif_anomaly, tiny_ranker: train",
        ),
        (
            {
                "detector": "exif_anomaly",
                "options": {"backbone": "tiny_faces"},
                "what": "score",
            },
            "exif_anomaly, tiny_faces: score",
        ),
        (
            {
                "detector": "exif_anomaly",
                "options": {"embedder": "tiny_ranker"},
                "what": "mixture",
                "dtype": "bfloat16",
                "precision": FirstPrecisionConfig("bfloat16"),
            },
            "exif_anomaly, tiny_ranker: mixture, float32, products in float32, 3572 ",
        ),
    ],
    ids=str,
)
@pytest.mark.slow
def test_every_system_has_programs(settings, title):
    found = _compile(num_devices=2, **settings)
    assert compile_job.to_table(found).startswith(title)
    assert found["flops_per_image"] > 0
    assert found["bytes_per_image"] > 0
    if found["what"] == "coverage":
        assert found["collectives"] == []


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "theirs"),
    [("float32", "HIGHEST"), ("tf32", "HIGH"), ("bfloat16", "DEFAULT")],
)
def test_products_have_the_precision_that_is_asked_for(name, theirs):
    before = jax.config.jax_default_matmul_precision
    texts = []

    def lower(program):
        texts.append(program.lower().as_text())
        return cost.Compiled("ENTRY %main () -> f32[] {\n}\n", 1.0, 100, 60)

    with mock.patch.object(cost, "compile_program", lower):
        found = _compile(
            detector="tiny",
            num_devices=1,
            batch_size=8,
            precision=FirstPrecisionConfig(name),
        )
    assert jax.config.jax_default_matmul_precision == before
    assert found["matmul_precision"] == name
    title = f"tiny: train, float32, products in {name}, 8 images on"
    assert compile_job.to_table(found).startswith(title)
    products = re.findall(r"stablehlo\.(?:convolution|dot_general)\b.*", texts[0])
    assert len(products) >= 4
    for product in products:
        assert set(re.findall(r"\b(DEFAULT|HIGH|HIGHEST)\b", product)) == {theirs}


@pytest.mark.parametrize(
    ("dtype", "precision", "peak"),
    [
        ("float32", "float32", "float32"),
        ("float32", "tf32", "tf32"),
        ("float32", "bfloat16", "tf32"),
        ("bfloat16", "tf32", "bfloat16"),
    ],
)
def test_the_peak_of_a_gpu_is_that_of_the_products(dtype, precision, peak):
    results = {"dtype": dtype, "matmul_precision": precision}
    assert compile_job._arithmetic(results) == peak


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"what": "mixture", "detector": "tiny"}, "`what`: tiny has train, score, "),
        ({"detector": "fakespotter"}, "`backbone`: expected the recognition network"),
        ({"options": {"backbone": "none"}}, "`backbone`: expected vggface2_resnet50"),
        (
            {"detector": "tiny", "batch_size": 7, "num_devices": 2},
            "`batch_size`: expected a positive multiple of the 2 devices, found 7",
        ),
        ({"detector": "tiny", "num_devices": 99}, "`num_devices`: cpu has 8, found 99"),
    ],
    ids=str,
)
def test_wrong_requests(settings, message):
    with pytest.raises(RequestError) as caught:
        _compile(**settings)
    assert message in str(caught.value)


def test_what_cannot_be_written_is_named_before_anything_is_compiled(tmp_path):
    (tmp_path / "file").write_text("")
    with mock.patch.object(cost, "compile_program", side_effect=AssertionError):
        with pytest.raises(RequestError, match="`output`: expected a file, found the"):
            _compile(detector="tiny", output=tmp_path)
        for field in ("output", "hlo_dir"):
            with pytest.raises(RequestError, match=f"`{field}`: .* cannot be written"):
                _compile(detector="tiny", **{field: tmp_path / "file" / "a" / "b"})


@pytest.mark.parametrize("gave_up", [True, False])
def test_a_program_that_does_not_fit(tmp_path, capsys, gave_up):
    compiled = cost.Compiled(
        None if gave_up else "ENTRY %main () -> f32[] {\n}\n",
        seconds=1.0,
        needed_bytes=10**12,
        temporary_bytes=None if gave_up else 10**12,
    )
    output = tmp_path / "o.json"
    with mock.patch.object(cost, "compile_program", return_value=compiled):
        code = tiny.run_cli(
            "--mode=compile",
            "--detector=tiny",
            "--device=cpu",
            "--num_devices=2",
            "--batch_size=4096",
            f"--output={output}",
        )
    assert code == 2
    found = json.loads(output.read_text("utf-8"))
    assert found["fits"] is False
    share = found["memory_bytes"] / 1e12
    assert found["largest_batch_size"] == pytest.approx(4096 * share, abs=4)
    assert found["largest_batch_size"] % 2 == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("fakedet: --batch_size: 4096 needs 1,000 GB of each device")
    assert f"about {found['largest_batch_size']} would fit" in line


def test_the_command_prints_a_table(capsys):
    flags = ("--mode=compile", "--detector=tiny", "--device=cpu", "--num_devices=1")
    assert tiny.run_cli(*flags, "--batch_size=8") == 0
    assert "Temporaries, one device" in capsys.readouterr().out
    assert tiny.run_cli(*flags, "--backbone=tiny_faces") == 2
    assert "--backbone: tiny has no such option" in capsys.readouterr().err
    assert tiny.run_cli("--mode=compile", "--device=tpu:v9:1") == 2
    assert "fakedet: --device: expected tpu:GENERATION" in capsys.readouterr().err

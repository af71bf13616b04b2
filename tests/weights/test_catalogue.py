# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of published weights agrees with our networks and with real files."""

import json
from pathlib import Path

import jax
import pytest

from fakedet_jax import systems
from fakedet_jax.models import backbones
from fakedet_jax.weights import formats, mapping, store

RELEASES = json.loads(
    (Path(__file__).parents[2] / "third_party" / "weights.json").read_text("utf-8")
)["releases"]
NAMES = [release["name"] for release in RELEASES]


def of_backbones():
    return [
        pytest.param(release, layout, id=f"{release['backbone']}-{layout}")
        for release in RELEASES
        if release["backbone"]
        for layout in release["layouts"]
    ]


def test_every_backbone_has_a_release():
    assert {release["backbone"] for release in RELEASES} >= set(backbones.names())
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("release", RELEASES, ids=NAMES)
def test_every_release_says_whose_it_is(release):
    for field in ("publisher", "paper", "licence"):
        assert release[field]


@pytest.mark.parametrize("release, layout", of_backbones())
@pytest.mark.slow
def test_names_and_shapes_are_those_of_the_network(release, layout):
    backbone = backbones.create(release["backbone"])
    shapes = store.abstract(backbone)
    arrays = {}
    for layers in (backbone.layers, *backbone.layouts):
        found = mapping.expected(layers, layout, shapes)
        assert len(found) == release["num_arrays"]
        arrays |= found
    for name, shape in release["layouts"][layout]["arrays"].items():
        assert arrays[name] == tuple(shape), name


@pytest.mark.parametrize("release, layout", of_backbones())
def test_preprocessing_is_that_of_the_network(release, layout):
    ours = backbones.create(release["backbone"]).preprocessing
    theirs = release["preprocessing"]
    assert (ours.framing.height, ours.framing.width, ours.bgr) == (
        theirs["height"],
        theirs["width"],
        theirs["bgr"],
    )
    assert (list(ours.mean), list(ours.std)) == (theirs["mean"], theirs["std"])


def of_detectors():
    return [
        pytest.param(release, layout, id=f"{release['detector']}-{layout}")
        for release in RELEASES
        if "detector" in release
        for layout in release["layouts"]
    ]


def test_every_published_detector_has_a_release():
    names = {release.get("detector") for release in RELEASES}
    assert names >= {name for name in systems.names() if systems.create(name).published}


@pytest.mark.few(3)
@pytest.mark.parametrize("release, layout", of_detectors())
def test_names_and_shapes_are_those_of_the_detector(release, layout):
    detector = systems.create(release["detector"])
    pictures = jax.ShapeDtypeStruct((1, *detector.framing.shape), "float32")
    network = detector.build(2, "float32")
    shapes = jax.eval_shape(network.init, jax.random.key(0), pictures)
    if detector.published.encoder is not None:
        # The release of the encoder tells the other arrays.
        shapes = {"params": {"fc": shapes["params"]["fc"]}}
    arrays = mapping.expected(detector.published.layers, layout, shapes)
    assert len(arrays) == release["num_arrays"]
    for name, shape in release["layouts"][layout]["arrays"].items():
        assert arrays[name] == tuple(shape), name
    ours, theirs = detector.preprocessing, release["preprocessing"]
    assert (ours.framing.height, ours.bgr) == (theirs["height"], theirs["bgr"])
    assert (list(ours.mean), list(ours.std)) == (theirs["mean"], theirs["std"])


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "release",
    [release for release in RELEASES if "files" in release],
    ids=lambda release: release["name"],
)
def test_published_files(release, shared_data):
    for file in release["files"]:
        found = formats.read(shared_data.parent / "models" / file["name"])
        assert found.sha256 == file["sha256"]
        assert found.num_bytes == file["bytes"]
        assert (found.layout, found.format) == (file["layout"], file["format"])
        assert len(found.tensors) == file["num_tensors"]
        for name, shape in release["layouts"][found.layout]["arrays"].items():
            if name in found.tensors:
                assert found.tensors[name].shape == tuple(shape)


@pytest.mark.shared_data
def test_a_published_network_fits(shared_data):
    path = shared_data.parent / "models" / "mobilefacenet_casia.ckpt"
    variables, card = store.load(backbones.create("mobilefacenet"), path)
    assert len(mapping.flatten(variables)) == 283
    assert card["num_tensors"] == 333

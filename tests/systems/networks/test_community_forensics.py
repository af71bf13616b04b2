# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Community Forensics against timm's vision transformer, and its two sizes."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import community_forensics, converted
from fakedet_jax.systems.networks.options import CommunityForensicsOptions
from tests import tiny
from tests.golden import encoder_weights, make_detectors_golden
from tests.models.encoders import narrow

GOLDEN = json.loads(make_detectors_golden.GOLDEN.read_text("utf-8"))["community"]
NARROW = dataclasses.replace(
    community_forensics.detector(make_detectors_golden.COMMUNITY, 1.0),
    name="narrow",
    architecture={},
)


def weights():
    return narrow.tensor_file(encoder_weights.tensors(GOLDEN["shapes"]))


def test_a_published_layout_gives_the_evidence_of_timm():
    variables, card, comparison = converted.convert(NARROW, weights())
    assert "'vit.' removed from the names" in comparison.notes
    assert card["model"] == "narrow"
    pictures = encoder_weights.make_pictures(48)
    logits, out = NARROW.model(2, "float32").apply(
        variables, NARROW.preprocessing(pictures)
    )
    np.testing.assert_allclose(
        logits[:, 1] - logits[:, 0], GOLDEN["evidence"], atol=1e-4
    )
    assert list(out)[-1] == "fc"


@pytest.mark.slow
def test_a_converted_detector_is_a_workdir(tmp_path):
    variables, card, _ = converted.convert(NARROW, weights())
    with tiny.registration(systems, NARROW):
        converted.write(tmp_path / "workdir", NARROW, {}, variables, card)
        fitted = systems.load(tmp_path / "workdir", parallel.data_mesh())
    pictures = encoder_weights.make_pictures(48)
    found = fitted.log_probability_fn(fitted.variables, pictures)
    np.testing.assert_allclose(
        fitted.info.log_odds(np.asarray(found)), GOLDEN["evidence"], atol=1e-4
    )


@pytest.mark.parametrize(
    ("side", "framing", "count"),
    [
        (None, Framing(384, 384, 384 / 440), 21_811_969),
        (384, Framing(384, 384, 384 / 440), 21_811_969),
        (224, Framing(224, 224, 224 / 256), 21_666_049),
    ],
)
def test_both_sizes_crop_as_their_authors(side, framing, count):
    options = CommunityForensicsOptions(input_side=side)
    detector = systems.create("community_forensics", options)
    assert detector.framing == framing
    shapes = detector.abstract_variables(detector.model(2, "float32"))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def test_weights_of_the_other_size_are_told():
    size = community_forensics.SIZES[224]
    shapes = {
        "vit.patch_embed.proj.weight": [384, 3, 16, 16],
        "vit.pos_embed": [1, 197, 384],
        **{f"vit.blocks.{number}.attn.proj.weight": [384, 384] for number in range(12)},
    }
    file = narrow.tensor_file(encoder_weights.tensors(shapes))
    detector = systems.create("community_forensics")
    message = (
        rf"holds {size.name} \(384 features, 12 blocks.* 197 positions\), expected"
    )
    with pytest.raises(RequestError, match=message):
        converted.convert(detector, file)


def test_another_size_of_input_is_refused():
    with pytest.raises(RequestError, match="`input_side`: expected 384, 224, found 25"):
        CommunityForensicsOptions(input_side=256)


def test_blocks_have_no_layer_scales():
    detector = systems.create("community_forensics")
    params = detector.abstract_variables(detector.model(2, "float32"))["params"]
    expected = {"norm1", "qkv", "attention", "norm2", "fc1", "fc2"}
    assert set(params["block0"]) == expected

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""An encoder as a backbone, from a published file to counts, embeddings, a detector."""

import numpy as np
import pytest
from PIL import Image
from safetensors import numpy as safetensors

from fakedet_jax.models import backbones
from fakedet_jax.models.encoders import clip
from fakedet_jax.systems.fakespotter import coverage
from tests import tiny
from tests.golden import encoder_weights
from tests.models.encoders import narrow

CLIP = clip.backbone("narrow_clip", encoder_weights.NARROW["clip"])
# One network, and four layers and the sum of each of two blocks.
NUM_LAYERS = 1 + 2 * 5 + 1


@pytest.fixture(scope="module", autouse=True)
def known():
    with tiny.registration(backbones, CLIP):
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A published file, its converted form, and the golden pictures."""
    root = tmp_path_factory.mktemp("encoders")
    tensors = narrow.tensors("clip_hugging_face")
    (root / "file").write_bytes(safetensors.save(tensors))
    (root / "pictures").mkdir()
    for number, picture in enumerate(encoder_weights.make_pictures(28)):
        Image.fromarray(picture).save(root / "pictures" / f"{number}.png")
    flags = (f"--weights={root / 'file'}", f"--output={root / 'weights'}")
    assert tiny.run_cli("--mode=convert", "--model=narrow_clip", *flags) == 0
    return root


def extract(root, output, features, *flags):
    places = (f"--weights={root / 'weights'}", f"--output={output}")
    chosen = (f"--features={features}", "--backbone=narrow_clip", "--batch_size=8")
    pictures = str(root / "pictures")
    code = tiny.run_cli("--mode=extract", *chosen, *places, *flags, pictures)
    assert code == 0
    with np.load(output / "features.npz") as archive:
        return dict(archive)


def test_embeddings_are_those_of_pytorch(root, tmp_path):
    expected = np.reshape(narrow.golden()["clip_hugging_face"]["embedding"], (2, -1))
    found = extract(root, tmp_path, "embedding")["features"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=narrow.TOLERANCE * scale)


@pytest.mark.few(1)
@pytest.mark.parametrize("neuron", coverage.NEURONS)
def test_counts_are_those_of_the_outputs(root, tmp_path, neuron):
    _, out = narrow.run(CLIP, narrow.variables("clip_hugging_face", CLIP))
    found = extract(root, tmp_path, "coverage", f"--neuron={neuron}")
    assert found["layers"][[0, 1, 5, -1]].tolist() == [
        *("patch_embedding", "block0/qkv", "block0", "projection")
    ]
    assert sorted(found["layers"]) == sorted(out)
    assert len(out) == NUM_LAYERS
    for index, name in enumerate(found["layers"]):
        values = out[name]
        threshold = values.mean(dtype=np.float64)
        assert found["thresholds"][index] == pytest.approx(threshold, abs=1e-5)
        if neuron == "channel" and values.ndim == 3:
            values = values.mean(1)
        neurons = values.reshape(2, -1)
        assert found["layer_sizes"][index] == neurons.shape[1]
        counts = (neurons > found["thresholds"][index]).sum(1)
        np.testing.assert_allclose(found["features"][:, index], counts, atol=1)


@pytest.mark.slow
def test_fakespotter_trains_on_an_encoder(root, tmp_path):
    data_dir = tiny.write_pictures(tmp_path / "pictures")
    workdir = tmp_path / "workdir"
    flags = tiny.spotter_flags(data_dir, workdir, root / "weights", tmp_path / "cache")
    assert tiny.run_cli(*flags, "--backbone=narrow_clip", "--num_epochs=1") == 0
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") == 0
    metrics = workdir / "evaluations" / "folder_test" / "metrics.json"
    assert '"auc"' in metrics.read_text("utf-8")

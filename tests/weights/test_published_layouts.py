# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Real-sized networks from published files of every layout, up to PyTorch's numbers."""

import shutil

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.models import backbones
from fakedet_jax.weights import folder, mapping, store
from tests import tiny
from tests.golden import backbone_weights, make_backbone_golden
from tests.models import backbone_outputs
from tests.weights import published

# Where a whole network is run: its layout, and how many layers it must show.
RUNS = {
    "vggface2_resnet50": ("python2_pickle", 54),
    "vggface2_senet50": ("caffe", 86),
    "vggface_vgg16": ("keras", 16),
}
# What else is quick enough to be read each time.
QUICK = {
    ("vggface2_resnet50", "torch_zip"),
    ("vggface2_senet50", "safetensors"),
}


def _param(*values, slow):
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(*values, marks=marks, id="-".join(map(str, values[:2])))


def layouts():
    for name in RUNS:
        for layout in published.LAYOUTS:
            if layout != "old_caffe" or name == "vggface_vgg16":
                quick = (name, layout) in QUICK
                yield _param(name, layout, slow=not quick)


def runs():
    for name, (layout, num_layers) in RUNS.items():
        # VGG-16 takes half a gigabyte, several times.
        yield _param(name, layout, num_layers, slow=name == "vggface_vgg16")


@pytest.fixture
def write(tmp_path):
    """Writes a published file; nothing so large stays when the test is done."""
    path = tmp_path / "published"

    def write_layout(name, layout):
        published.write(path, layout, backbone_weights.torch_tensors(name))
        return path

    yield write_layout
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("name, layout", [*layouts()])
@pytest.mark.slow
def test_every_layout_gives_the_same_numbers(name, layout, write):
    _, card = store.load(backbones.create(name), write(name, layout))
    same = folder.digest(backbone_outputs.seeded_variables(name))
    assert card["digest"] == same


@pytest.mark.parametrize("name, layout, num_layers", [*runs()])
@pytest.mark.slow
def test_the_network_of_a_file_is_that_of_pytorch(name, layout, num_layers, write):
    variables, _ = store.load(backbones.create(name), write(name, layout))
    pictures = backbone_weights.make_pictures(name)
    _, outputs = backbone_outputs.run(name, variables, pictures)
    assert len(outputs["layer"]) == num_layers
    # The logits are among them.
    assert backbone_outputs.deviating_layers(name, "layer", outputs) == {}


@pytest.mark.parametrize("name", RUNS)
def test_names_and_shapes_are_those_of_keras(name):
    one = np.float32(1)
    tensors = {
        key: np.broadcast_to(one, shape)
        for key, shape in backbone_weights.torch_shapes(name).items()
    }
    found = {
        f"{layer}/{leaf}": array.shape
        for layer, arrays in published.keras_layers(tensors)
        for leaf, array in arrays.items()
    }
    backbone = backbones.create(name)
    assert found == mapping.expected(backbone.layers, "keras", store.abstract(backbone))


@pytest.mark.slow
def test_a_converted_network_embeds_pictures_as_pytorch_does(tmp_path, write):
    name = "vggface2_resnet50"
    weights, converted = write(name, "python2_pickle"), tmp_path / "converted"
    model = [f"--model={name}", f"--weights={weights}", f"--output={converted}"]
    assert tiny.run_cli("--mode=convert", *model) == 0
    pictures = backbone_weights.make_pictures(name)
    for number, picture in enumerate(pictures):
        # The network looks at the middle of a picture of this size, as it is.
        framed = np.pad(picture, ((16, 16), (16, 16), (0, 0)))
        Image.fromarray(framed).save(tmp_path / f"{number}.png")
    code = tiny.run_cli(
        "--mode=extract",
        "--features=embedding",
        f"--backbone={name}",
        f"--weights={converted}",
        f"--output={tmp_path / 'features'}",
        "--batch_size=8",
        *(str(tmp_path / f"{number}.png") for number in range(len(pictures))),
    )
    assert code == 0
    with np.load(tmp_path / "features" / "features.npz") as archive:
        found = make_backbone_golden.pick_entries(archive["features"])
    expected = backbone_outputs.golden()[name]["embedding"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=backbone_outputs.TOLERANCE * scale
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Another package adds a detector, a backbone, a layout and a perturbation.

It is a real distribution on the path, found by its entry point, beside one that cannot
be imported and one that registers a name that is taken.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import pictures

ROOT = Path(__file__).parents[1]

PLUGIN = """
import dataclasses
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp

from fakedet_jax import systems
from fakedet_jax.data import layouts
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.perturb import perturbation
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.networks.options import NetworkOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

PREPROCESSING = Preprocessing(Framing.square(16), mean=(128,) * 3, std=(64,) * 3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    width: int = option(4, "Width of the network.", minimum=1, is_architecture=True)


class Net(nn.Module):
    num_classes: int
    dtype: object = jnp.float32

    @nn.compact
    def __call__(self, images, *, train=False):
        logits = nn.Dense(self.num_classes, name="fc")(images.mean((1, 2)))
        return logits, {"fc": logits}


systems.register(
    NetworkDetector(
        name="their_net",
        build=Net,
        preprocessing=PREPROCESSING,
        recipe=Recipe(optimizer="adam", batch_size=8, num_epochs=1),
        Options=Options,
    )
)


class Recogniser(nn.Module):
    @nn.compact
    def __call__(self, images, *, train=False):
        flat = images.reshape(len(images), -1)
        embedding = nn.Dense(3, name="head")(flat)
        return embedding, {"head": embedding}


backbones.register(
    Backbone(
        name="their_faces",
        build=lambda dtype, site: Recogniser(),
        preprocessing=PREPROCESSING,
        layers=(Layer("head", "dense", torch="head", flattened=(16, 16, 3)),),
        embedding="three numbers",
    )
)


@dataclasses.dataclass(frozen=True)
class LayoutOptions(Settings):
    their_year: int = option(2024, "Year of the pictures.", choices=(2024, 2025))


def list_files(root: Path, options: LayoutOptions) -> layouts.Listing:
    return layouts.Listing(
        [
            layouts.Item(
                path=str(path.relative_to(root)),
                kind="photo",
                class_name=path.stem.split("_")[0],
                is_fake=path.stem.startswith("fake"),
            )
            for path in sorted((root / str(options.their_year)).glob("*.png"))
        ]
    )


layouts.register(
    layouts.Layout("theirs", "ask them for it", list_files, options_type=LayoutOptions)
)
perturbation.register(
    perturbation.Operation(
        name="darken",
        title="Darkening",
        strength_name="divisor",
        expected="a divisor of at least 1",
        accepts=lambda strength: strength >= 1,
        on_host=lambda picture, strength: (picture // strength).astype("uint8"),
    )
)
"""

COUNT = """
import jax, numpy as np
from fakedet_jax.runtime import plugins
assert plugins.load() == ("theirs",), plugins.load()
from fakedet_jax.models import backbones
from fakedet_jax.perturb import apply, specification
from fakedet_jax.systems.fakespotter.counts import CountSettings
from fakedet_jax.weights import store
network = CountSettings(backbones.create("their_faces")).network
variables = store.initial(backbones.create("their_faces"))
images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
counts = network.counts(variables, images, np.full(1, -1e9, np.float32))
assert counts.tolist() == [[3], [3]], counts
(dark,) = apply.apply(
    specification.parse("darken:2"), [images[0]], key=jax.random.key(0)
)
np.testing.assert_array_equal(dark, images[0] // 2)
print("counted")
"""


def _distribution(folder, name, code):
    (folder / f"{name}_plugin.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[fakedet_jax.plugins]\n{name} = {name}_plugin\n"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    _distribution(folder, "theirs", PLUGIN)
    _distribution(folder, "broken", "import no_such_package_at_all\n")
    again = "from fakedet_jax.models import backbones\n"
    again += "backbones.register(backbones.create('mobilefacenet'))\n"
    _distribution(folder, "twice", again)
    path = os.pathsep.join((str(folder), str(ROOT)))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )

    return run


def _command(run, *flags):
    done = run("-m", "fakedet_jax", *flags)
    assert done.returncode == 0, done.stderr
    return done


def test_a_detector_and_a_perturbation_are_trained_and_tested(run, tmp_path):
    counts = {"train/real": 8, "train/fake": 8, "validation/real": 2}
    counts |= {"validation/fake": 2, "test/real": 3, "test/fake": 3}
    data = pictures.write_folder(tmp_path / "data", counts, 20)
    workdir = f"--workdir={tmp_path / 'workdir'}"
    flags = (f"--data_dir={data}", "--width=3", "--perturb=none,darken:2")
    done = _command(run, "--mode=train", "--detector=their_net", workdir, *flags)
    # The plugins that fail are one line each, and the rest works.
    assert done.stderr.count("the plugin ") == 2
    assert (
        "the plugin broken (broken_plugin) failed: ModuleNotFoundError" in done.stderr
    )
    assert "'mobilefacenet' is registered already" in done.stderr
    _command(run, "--mode=evaluate", workdir, "--perturb=darken:4")
    scores = tmp_path / "workdir/evaluations/folder_test_darken_4/scores.csv"
    with scores.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6


def test_a_layout_is_prepared(run, tmp_path):
    for year, number in (("2024", 1), ("2025", 4)):
        for kind in ("real", "fake"):
            for index in range(number):
                name = tmp_path / "in" / year / f"{kind}_{index}.png"
                name.parent.mkdir(parents=True, exist_ok=True)
                picture = pictures.colourful(20, 20, 10 * index + len(kind)).copy()
                picture[0, 0] = (index, len(kind), ord(kind[0]))
                name.write_bytes(pictures.encode(picture))
    flags = ("--mode=prepare", "--dataset=theirs", f"--data_dir={tmp_path / 'in'}")
    more = (f"--output={tmp_path / 'out'}", "--face_detector=none", "--their_year=2025")
    _command(run, *flags, *more, "--num_workers=1")
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["path"].split("/")[0] for row in rows} == {"2025"}


def test_a_backbone_counts_and_a_perturbation_is_applied(run):
    done = run("-c", COUNT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "counted\n"

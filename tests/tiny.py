# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A detector of a few hundred parameters, its pictures, and ways to run and kill it.

There is a recognition network as small, too, and its weights; and a network that learns
from the tags of photographs, which are written here.

`python -m tests.tiny FLAGS` is the command line with this detector. The variable
`TINY_SIGNAL=STEP:NUMBER` sends the process a signal when the step STEP is due.
"""

import contextlib
import dataclasses
import functools
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import flagsaver
from PIL import ExifTags, Image

from fakedet_jax import cli, config, systems
from fakedet_jax.jobs import train
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.networks import amtennet
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training import loop, optim
from fakedet_jax.weights import folder, store
from tests.data import pictures

SIZE = 16
PREPROCESSING = Preprocessing(
    Framing.square(SIZE), mean=(128, 128, 128), std=(64, 64, 64)
)
NUM_STEPS = 12
# Landmarks and camera settings of a row of `Facts` of which they are not known.
UNKNOWN_PORTRAIT = (np.full((5, 2), np.nan), np.full(4, np.nan))
# 20 pictures in batches of 8 are 3 steps per epoch, the third with pictures of the
# next epoch.
COUNTS = {
    "train/real": 10,
    "train/fake": 10,
    "validation/real": 3,
    "validation/fake": 3,
    "test/real": 5,
    "test/fake": 6,
}
# Photographs alone, again 3 steps per epoch.
NUM_PHOTOGRAPHS = {"train/real": 20, "validation/real": 12}
# Enough pixels for a face to be warped in.
PHOTOGRAPH_SIZE = 32
# What cameras are set to, by the numbers of the tags.
CAMERA_TAGS = {
    ExifTags.Base.ISOSpeedRatings: (100, 200, 400, 800, 1600, 3200),
    ExifTags.Base.FNumber: (1.8, 2.8, 4.0, 5.6, 8.0),
    ExifTags.Base.ExposureTime: (0.5, 0.25, 0.125, 0.0625, 0.03125),
    ExifTags.Base.FocalLength: (24.0, 35.0, 50.0, 85.0, 135.0),
}


class Net(nn.Module):
    """A convolution, batch norm, dropout and a dense layer."""

    num_classes: int
    dtype: Any = jnp.float32
    noisy: bool = True

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        hidden = nn.Conv(8, (3, 3), strides=2, dtype=self.dtype, name="conv")(images)
        if self.noisy:
            norm = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, name="bn")
            hidden = norm(hidden)
        hidden = nn.relu(hidden).mean((1, 2))
        if self.noisy:
            hidden = nn.Dropout(0.2, deterministic=not train)(hidden)
        logits = nn.Dense(self.num_classes, name="fc")(hidden)
        return logits.astype(jnp.float32), {"fc": logits}


DETECTOR = NetworkDetector(
    name="tiny",
    build=Net,
    preprocessing=PREPROCESSING,
    recipe=optim.Recipe(
        optimizer="adam", learning_rate=0.03, batch_size=8, num_epochs=4
    ),
)


# Nothing in it depends on the place of a picture within its batch.
PLAIN = dataclasses.replace(
    DETECTOR, name="plain", build=functools.partial(Net, noisy=False)
)


class TraceNet(nn.Module):
    """AMTEN with a linear classifier of the mean strengths of its traces."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        traces, out = amtennet.Amten(self.dtype, name="amten")(images)
        logits = nn.Dense(self.num_classes, name="fc")(jnp.abs(traces).mean((2, 3)))
        return logits.astype(jnp.float32), out


# Compiles in a tenth of the time of AMTENnet, and has its traces.
TRACING = NetworkDetector(
    name="tracing",
    build=TraceNet,
    preprocessing=amtennet.PREPROCESSING,
    recipe=DETECTOR.recipe,
    features=amtennet.create().features,
)


class Recognizer(nn.Module):
    """Two convolutions and a dense layer, not in alphabetical order."""

    dtype: Any = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        out, hidden = {}, images
        settings = {"dtype": self.dtype, "precision": jax.lax.Precision.HIGHEST}
        for name, features, stride in (("stem", 6, 1), ("body", 8, 2)):
            conv = nn.Conv(features, (3, 3), strides=stride, name=name, **settings)
            layer = conv(hidden)
            hidden = nn.relu(layer)
            out[name] = layer if self.site == "layer" else hidden
        flat = hidden.reshape(hidden.shape[0], -1)
        out["head"] = nn.Dense(5, name="head", **settings)(flat)
        return out["head"].astype(jnp.float32), out


BACKBONE = Backbone(
    name="tiny_faces",
    build=lambda dtype, site: Recognizer(dtype, site),
    preprocessing=Preprocessing(
        Framing(18, 16), bgr=True, mean=(90, 100, 110), std=(64, 64, 64)
    ),
    layers=(
        Layer("stem", "conv", torch="stem", bias=True),
        Layer("body", "conv", torch="body", bias=True),
        Layer("head", "dense", torch="head", bias=True, flattened=(9, 8, 8)),
    ),
    embedding="five numbers",
)
# Of its layers, counted by hand.
LAYER_SIZES = {"stem": 18 * 16 * 6, "body": 9 * 8 * 8, "head": 5}


class Body(nn.Module):
    """A convolution, batch norm and a dense layer: eight features."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        hidden = nn.Conv(8, (3, 3), strides=2, dtype=self.dtype, name="conv")(images)
        norm = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, name="bn")
        hidden = nn.relu(norm(hidden)).mean((1, 2))
        embedding = nn.Dense(8, dtype=self.dtype, name="fc")(hidden)
        return embedding.astype(jnp.float32), {}


EMBEDDER = face_ranker.Embedder(
    name="tiny_ranker",
    build=lambda dtype: face_ranker.FaceRanker(Body, dtype),
    preprocessing=PREPROCESSING,
)


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Makes `tiny`, `plain`, the backbone `tiny_faces` and `tiny_ranker` known."""
    with contextlib.ExitStack() as stack:
        for table, value in (
            (backbones, BACKBONE),
            (face_ranker, EMBEDDER),
            (systems, DETECTOR),
            (systems, PLAIN),
        ):
            stack.enter_context(registration(table, value))
        yield


@contextlib.contextmanager
def registration(table: Any, value: Any) -> Iterator[None]:
    """Registers a value for a while, unless it is registered already."""
    if value.name in table.names():
        yield
        return
    table.register(value)
    try:
        yield
    finally:
        table.unregister(value.name)


@functools.cache
def recognizer_variables(seed: int = 0) -> dict[str, Any]:
    """Weights of `BACKBONE`, NumPy float32, so that layers are half on."""
    rng = np.random.default_rng(seed)
    shapes = jax.tree.map(lambda leaf: leaf.shape, store.abstract(BACKBONE))

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        scale = np.sqrt(np.prod(shape[:-1]))
        return (rng.standard_normal(shape) / scale).astype(np.float32)

    return jax.tree.map(draw, shapes, is_leaf=lambda node: isinstance(node, tuple))


def write_weights(output: Path, seed: int = 0) -> Path:
    """Writes weights of `BACKBONE` as `--mode=convert` does."""
    variables = recognizer_variables(seed)
    card = {
        "model": BACKBONE.name,
        "sha256": "",
        "bytes": 0,
        "format": "random numbers",
        **folder.identity(variables),
    }
    store.save(output, variables, card)
    return output


@contextlib.contextmanager
def at_step(step: int, action: Callable[[], None]) -> Iterator[None]:
    """Does something when a step is due: the one before is done, this one is not."""
    compile_step = loop.compile_step

    def compile_with_action(train_step, mesh):  # type: ignore[no-untyped-def]
        compiled = compile_step(train_step, mesh)

        def run(state, images, labels):  # type: ignore[no-untyped-def]
            if int(jax.device_get(state.step)) + 1 == step:
                action()
            return compiled(state, images, labels)

        return run

    with mock.patch.object(loop, "compile_step", compile_with_action):
        yield


def write_pictures(root: Path) -> Path:
    """Writes the pictures into split folders."""
    return pictures.write_folder(root, COUNTS, SIZE + 4)


def photograph(seed: int, tags: Collection[int] = tuple(CAMERA_TAGS)) -> bytes:
    """A JPEG file that tells some settings of a camera."""
    rng = np.random.default_rng(seed)
    drawn = {tag: rng.choice(values).item() for tag, values in CAMERA_TAGS.items()}
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({tag: drawn[tag] for tag in tags})
    picture = pictures.colourful(PHOTOGRAPH_SIZE, PHOTOGRAPH_SIZE, seed)
    return pictures.encode(picture, "JPEG", quality=95, exif=exif)


def write_photographs(
    root: Path,
    counts: Mapping[str, int] = NUM_PHOTOGRAPHS,
    tags: Collection[int] = tuple(CAMERA_TAGS),
) -> Path:
    """Writes different photographs into folders such as `train/real`."""
    seed = 0
    for folder_name, count in counts.items():
        (root / folder_name).mkdir(parents=True)
        for number in range(count):
            seed += 1
            path = root / folder_name / f"{number:03}.jpg"
            path.write_bytes(photograph(seed, tags))
    return root


def train_config(data_dir: Path, workdir: Path, **changes: Any) -> config.TrainConfig:
    """Settings of a short training run: a checkpoint after every fourth step.

    Changes are fields of `TrainConfig`, or options of the detector.
    """
    fields = {field.name for field in dataclasses.fields(config.TrainConfig)}
    whole: dict[str, Any] = {
        "detector": "tiny",
        "workdir": workdir,
        "data": config.DataConfig(dataset="folder", data_dir=data_dir),
        **{name: value for name, value in changes.items() if name in fields},
    }
    with registered():
        options = systems.options_of(whole)
        known = {field.name for field in dataclasses.fields(options)}
        intervals = {"log_every": 2, "checkpoint_every": 4}
        chosen = {
            **{name: value for name, value in intervals.items() if name in known},
            **{name: value for name, value in changes.items() if name not in fields},
        }
        return config.TrainConfig(**whole, options=options(**chosen))


def train_flags(data_dir: Path, workdir: Path) -> list[str]:
    """The same settings as flags."""
    return [
        "--mode=train",
        "--detector=tiny",
        "--dataset=folder",
        f"--data_dir={data_dir}",
        f"--workdir={workdir}",
        "--log_every=2",
        "--checkpoint_every=4",
    ]


def spotter_config(
    data_dir: Path, workdir: Path, weights: Path, cache_dir: Path, **changes: Any
) -> config.TrainConfig:
    """Settings of a short training of the classifier of neuron counts."""
    settings: dict[str, Any] = {
        "detector": "fakespotter",
        "backbone": BACKBONE.name,
        "weights": weights,
        "cache_dir": cache_dir,
        "recipe": {"num_epochs": 3, "learning_rate": 0.01},
        "input": config.InputConfig(num_threads=2),
        **changes,
    }
    return train_config(data_dir, workdir, **settings)


def spotter_flags(
    data_dir: Path, workdir: Path, weights: Path, cache_dir: Path
) -> list[str]:
    """The same settings as flags."""
    return [
        "--mode=train",
        "--detector=fakespotter",
        f"--backbone={BACKBONE.name}",
        f"--weights={weights}",
        f"--cache_dir={cache_dir}",
        "--dataset=folder",
        f"--data_dir={data_dir}",
        f"--workdir={workdir}",
        "--num_epochs=3",
        "--learning_rate=0.01",
        "--num_threads=2",
    ]


def anomaly_config(data_dir: Path, workdir: Path, **changes: Any) -> config.TrainConfig:
    """Settings of a short training on photographs, and of a small mixture."""
    settings: dict[str, Any] = {
        "detector": "exif_anomaly",
        "embedder": EMBEDDER.name,
        "recipe": {"batch_size": 8, "num_epochs": 2, "learning_rate": 0.01},
        "num_components": (2,),
        "input": config.InputConfig(num_threads=2),
        **changes,
    }
    return train_config(data_dir, workdir, **settings)


def anomaly_flags(data_dir: Path, workdir: Path) -> list[str]:
    """The same settings as flags."""
    return [
        *train_flags(data_dir, workdir),
        "--detector=exif_anomaly",
        f"--embedder={EMBEDDER.name}",
        "--batch_size=8",
        "--num_epochs=2",
        "--learning_rate=0.01",
        "--num_components=2",
        "--num_threads=2",
    ]


def fit(data_dir: Path, workdir: Path, **changes: Any) -> Path:
    """Trains in this process and returns the workdir."""
    with registered():
        train.train(train_config(data_dir, workdir, **changes))
    return workdir


def run_cli(*arguments: str) -> int:
    """Runs the command line in this process and returns its exit code."""
    import grain  # noqa: F401 - defines flags, which must outlive this call

    cli.define_flags()
    with (
        registered(),
        _logging_restored(),
        flagsaver.flagsaver(),
        mock.patch.object(sys, "argv", ["fakedet", *arguments]),
        # The command line changes it for good.
        mock.patch.object(sys, "unraisablehook", sys.unraisablehook),
    ):
        try:
            cli.run()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Gives back the logger, whose handler would outlive the stream it writes to."""
    logger = logging.getLogger("fakedet_jax")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def start(
    *arguments: str, signal_at: tuple[int, int] | None = None, num_devices: int = 8
) -> subprocess.Popen[str]:
    """Runs the command line in a process of its own, compiled as here."""
    count = "--xla_force_host_platform_device_count="
    others = [flag for flag in os.environ["XLA_FLAGS"].split() if count not in flag]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": " ".join([*others, f"{count}{num_devices}"]),
    }
    if signal_at is not None:
        environment["TINY_SIGNAL"] = "{}:{}".format(*signal_at)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tiny", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env=environment,
    )


def result(workdir: Path) -> dict[str, Any]:
    """All that a run must leave alike: parameters, metrics and the best detector."""
    return {
        "metrics": (workdir / "metrics.jsonl").read_text(),
        "state": arrays(workdir / "checkpoints"),
        "best": arrays(workdir / "best"),
        "info": facts(workdir / "best"),
        "config": json.loads((workdir / "config.json").read_text()),
    }


def newest(folder: Path) -> Path:
    """The newest complete step of a folder of checkpoints."""
    return max(
        (path for path in folder.iterdir() if path.name.isdigit()),
        key=lambda path: int(path.name),
    )


def facts(folder: Path) -> dict[str, Any]:
    """The JSON object of the newest checkpoint."""
    return json.loads((newest(folder) / "facts" / "metadata").read_text())


def arrays(folder: Path) -> dict[str, bytes]:
    """Every array of the newest checkpoint, bit for bit, without the toolkit's help."""
    import orbax.checkpoint as ocp

    step = newest(folder)
    with ocp.StandardCheckpointer() as checkpointer:
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape,
                leaf.dtype,
                sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0]),
            ),
            checkpointer.metadata(step / "tree").item_metadata.tree,
        )
        tree = checkpointer.restore(step / "tree", abstract)
    found = {
        jax.tree_util.keystr(path): np.asarray(leaf).tobytes()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    return {"step": step.name.encode(), **found}


def _main() -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(registered())
        if "TINY_SIGNAL" in os.environ:
            step, number = map(int, os.environ["TINY_SIGNAL"].split(":"))
            stack.enter_context(
                at_step(step, lambda: os.kill(os.getpid(), signal.Signals(number)))
            )
        cli.run()


if __name__ == "__main__":
    _main()

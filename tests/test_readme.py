# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands of README.md and its pages work as they are written, on twenty pictures.

Run by `make test-readme`; `.ci/run` runs those of README.md. Names in capitals stand
for files and folders, which are made here of real faces; trainings are cut to an epoch
or two.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fakedet_jax.models import backbones
from fakedet_jax.weights import packaged

ROOT = Path(__file__).parents[1]

# What is not run, by a part of the command, and why.
SKIPPED = {
    "resnet50.pth": "ImageNet's weights are not at hand",
    "FILE.pth": "ImageNet's weights are not at hand",
    "--weights=START": "ImageNet's weights are not at hand",
    "--weights=IMAGENET": "ImageNet's weights are not at hand",
    "--weights=CLIP": "weights of encoders are not at hand",
    "--weights=fc_weights.pth": "published detectors are not at hand",
    "--weights=model.safetensors": "published detectors are not at hand",
    "--weights=blur_jpg_prob0.5.pth": "published detectors are not at hand",
    "--weights=hf://": "nothing is downloaded in tests",
    "--format=onnx": "its converter is installed by itself",
    "--dataset=exif_faces": "takes many photographs",
    "--mode=study": "trains for an hour; see tests/cli/studies",
    "exif_anomaly_synthetic_faces.flags": "trains for an hour",
    "--scores=SCORES.csv": "needs scores of other programs",
    "OTHER_RUN": "needs another run",
    "--mode=compile": "needs compilers for absent devices; see tests/compiler",
    "--features=embedding --workdir=RUN": "needs the run of another block",
    "--engine=ray": "needs Ray",
    "--container=": "the weights at hand are the only ones in their file",
    "--mode=suite ": "takes minutes; see tests/jobs/test_suite.py",
    "--files": "takes minutes; see tests/jobs/test_benchmark_files.py",
    "fakespotter_robustness.flags": "takes minutes; see tests/jobs/test_suite.py",
}
QUICK = ("--num_epochs=1", "--batch_size=8")
# Where the package with the weights of one network is missing, another one takes its
# place.
PACKAGED = "--backbone=dlib_resnet29"
AT_HAND = "--backbone=mobilefacenet --weights=WEIGHTS"

# Published datasets, clusters and traces are not at hand.
LEFT_OUT = {"DATASETS", "CLUSTER", "BOTTLENECK", "RESULTS"}


def _pages():
    pages = sorted((ROOT / "experiments").glob("*.md"))
    return [ROOT / "README.md", *(page for page in pages if page.stem not in LEFT_OUT)]


def _blocks():
    seen = set()
    for page in _pages():
        text = page.read_text("utf-8")
        found = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for number, block in enumerate(found):
            lines = re.sub(r"\s*\\\n\s*", " ", block).splitlines()
            commands = [line.partition("  #")[0].strip() for line in lines]
            commands = [
                re.sub(r"^fakedet (\w+)", r"python main.py --mode=\1", line)
                for line in commands
            ]
            commands = [line for line in commands if line.startswith("python main.py")]
            # A page may repeat what README.md says.
            if set(commands) - seen:
                marks = [] if page.stem == "README" else [pytest.mark.slow]
                yield pytest.param(commands, id=f"{page.stem}-{number}", marks=marks)
            seen |= set(commands)


@pytest.fixture(scope="module")
def place(tmp_path_factory, shared_data):
    """A folder with all that the commands name: a copy of one for all processes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / "readme"
    with (base / "readme.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _fill(made, shared_data)
    place = tmp_path_factory.mktemp("readme") / "place"
    return shutil.copytree(made, place, symlinks=True)


def _fill(place, shared_data):
    faces = shared_data / "faces256"
    kinds = sorted(path.name for path in (faces / "train").iterdir())
    for folder in ("PICTURES", "OTHER", "MEDIA"):
        for kind in kinds:
            found = sorted((faces / "train" / kind).iterdir())
            for split, chosen in (
                ("train", found[:5]),
                ("validation", found[5:7]),
                ("test", found[7:9]),
            ):
                target = place / folder / split / kind
                target.mkdir(parents=True)
                for path in chosen:
                    shutil.copy(path, target)
    portraits = sorted((shared_data / "portraits").glob("*.jpg"))
    models = shared_data.parent / "models"
    yunet = "face_detection_yunet_2023mar.onnx"
    shutil.copy(models / "face_detection_yunet.onnx", place / yunet)
    shutil.copy(models / "Meso4_DF.h5", place)
    shutil.copy(models / "mobilefacenet_casia.ckpt", place / "FILE")
    shutil.copy(portraits[0], place / "photo.jpg")
    shutil.copy(next((shared_data / "videos").glob("*.mp4")), place / "video.mp4")
    (place / "FOLDER").mkdir()
    shutil.copy(portraits[-1], place / "FOLDER")
    listed = [str(path) for path in portraits[:3]]
    (place / "LIST.csv").write_text("\n".join(["path", *listed]) + "\n")
    (place / "experiments").symlink_to(ROOT / "experiments")
    _run(
        "python main.py --mode=convert --model=mobilefacenet --weights=FILE "
        "--output=WEIGHTS",
        place,
    )
    # A detector with traces, which some pages extract.
    _run(
        "python main.py --mode=train --detector=amtennet --data_dir=PICTURES "
        "--workdir=TRAINED",
        place,
    )


@pytest.mark.readme
@pytest.mark.parametrize("commands", list(_blocks()))
def test_the_commands_of_a_block_work(commands, place):
    made = [
        "RUN",
        "SPOTTER",
        "FUSED",
        "DIR",
        "COPIES",
        "COMPARISON",
        "SCORES",
        "REVIEW",
    ]
    for name in (*made, "FACES"):
        shutil.rmtree(place / name, ignore_errors=True)
    if "--mode=prepare" not in commands[0]:
        # Another block has made a dataset there.
        shutil.copytree(place / "PICTURES", place / "FACES")
    first = next((one for one in commands if "--workdir=RUN" in one), None)
    if first is not None and not _is_training(first):
        shutil.copytree(place / "TRAINED", place / "RUN")
    for command in commands:
        if not any(part in command for part in SKIPPED):
            _run(command, place)
        elif _is_training(command):
            return  # What follows needs the training.


def _is_training(command):
    return (
        "--mode=train" in command
        or "_faces.flags" in command
        or ("few_pictures.flags" in command)
        or ("post_processed.flags" in command)
    )


def _run(command, place):
    if not packaged.is_installed(backbones.create("dlib_resnet29")):
        command = command.replace(PACKAGED, AT_HAND)
    # A fusion is fitted and has no epochs.
    has_epochs = _is_training(command) and "--detector=fusion" not in command
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "main.py"),
            *command.split()[2:],
            *QUICK * has_epochs,
        ],
        cwd=place,
        env=_environment(place),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def _environment(place):
    """The variables of a user, who has one device and sets no flags of XLA."""
    return {
        **{name: os.environ[name] for name in os.environ if name != "XLA_FLAGS"},
        "XDG_CACHE_HOME": str(place / "cache"),
    }

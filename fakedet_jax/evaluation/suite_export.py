# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=export` `suite=NAME`: a dataset as a suite shows it to detectors, as files.

Whatever scores them, `jobs.suite_scores` makes the table of the suite from the scores.
"""

import collections
import functools
import io
import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fakedet_jax.config import ExportConfig, InputConfig
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.perturbed import Pictures
from fakedet_jax.perturb import suites
from fakedet_jax.report.robustness import UNPERTURBED
from fakedet_jax.runtime import progress, storage
from fakedet_jax.runtime.text import PlainNames

# The files beside the folders of pictures, and the columns of the first.
PICTURES_FILE = "pictures.csv"
SKIPPED_FILE = "skipped.csv"
SUITE_FILE = "suite.json"
COLUMNS = ("path", "label", "operation", "strength")

_LOGGER = logging.getLogger(__name__)

# More makes files of photographs hardly smaller and takes twice the time.
_PNG_LEVEL = 1
# Pictures that are encoded at the same time.
_WINDOW = 32


def conditions(suite: suites.Suite) -> list[tuple[str, str]]:
    """Operation and strength of every condition, first of the pictures as they are.

    >>> conditions(suites.create("fakespotter"))[:2]
    [('none', ''), ('jpeg', '90')]
    """
    own = [(one.operation, str(one.strength)) for one in suite.conditions]
    return [(UNPERTURBED, ""), *own]


def export_suite(config: ExportConfig, dataset: Dataset) -> int:
    """Writes `OUTPUT/CONDITION/CLASS/NAME.png` for every condition, and what they are.

    The pixels are those that `evaluate_suite` scores. `pictures.csv` has a row for each
    picture: its path in the folder, real or fake, operation and strength.
    `skipped.csv` names the files that cannot be read. `suite.json` comes last: a folder
    that has it is complete. Its `num_conditions` are those of the suite; the pictures
    as they are come in addition.

    Args:
        config: The settings, with a suite.
        dataset: The pictures.

    Returns:
        How many pictures were written.

    Raises:
        RequestError: The settings or the data are not as expected, or the folder has
            other files, which would be taken for pictures of the suite.
        OSError: The folder cannot be written.
    """
    suite = suites.create(config.suite)
    folders = _folders(suite)
    paths = _picture_paths(dataset)
    _prepare_output(config.output, folders, paths)
    with (
        Pictures(dataset, InputConfig().num_threads) as pictures,
        progress.Progress(len(folders) * len(paths), label="export") as shown,
    ):
        perturbed = (
            pictures.perturbed(suite, place) for place in range(len(suite.conditions))
        )
        for folder, numbered in zip(
            folders, itertools.chain([iter(pictures)], perturbed), strict=True
        ):
            write = functools.partial(_write_png, config.output / folder, paths)
            while window := list(itertools.islice(numbered, _WINDOW)):
                collections.deque(pictures.pool.map(write, window), maxlen=0)
                shown.update(len(window))
            shown.update(len(pictures.reasons))
    _describe(config, suite, dataset, pictures, paths)
    return len(folders) * len(pictures.readable)


def _describe(
    config: ExportConfig,
    suite: suites.Suite,
    dataset: Dataset,
    pictures: Pictures,
    paths: Sequence[Path],
) -> None:
    """Writes the files that say what lies in the folders."""
    readable, labels = pictures.readable, dataset.fake_labels
    folders, meanings = _folders(suite), conditions(suite)

    def rows() -> Iterator[tuple[str, str, str, str]]:
        for folder, meaning in zip(folders, meanings, strict=True):
            for index in readable:
                path = (folder / paths[index]).as_posix()
                yield path, BINARY_CLASSES[labels[index]], *meaning

    skipped = sorted(pictures.reasons.items())
    storage.write_csv(config.output / PICTURES_FILE, COLUMNS, rows())
    storage.write_csv(
        config.output / SKIPPED_FILE,
        ("path", "reason"),
        [(dataset.names[index], reason) for index, reason in skipped],
    )
    num_fake = int(labels[readable].sum())
    storage.write_json(
        config.output / SUITE_FILE,
        {
            "suite": suite.name,
            "version": suite.version,
            "seed": suite.seed,
            "dataset": dataset.name,
            "split": dataset.split,
            "num_examples": len(readable),
            "num_real": len(readable) - num_fake,
            "num_fake": num_fake,
            "num_skipped": len(skipped),
            "num_conditions": len(suite.conditions),
            "num_pictures": len(folders) * len(readable),
        },
    )


def _write_png(
    folder: Path, paths: Sequence[Path], numbered: tuple[int, np.ndarray]
) -> None:
    index, picture = numbered
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG", compress_level=_PNG_LEVEL)
    storage.write_bytes(folder / paths[index], encoded.getvalue())


def _folders(suite: suites.Suite) -> list[Path]:
    """A folder for each condition, in the order of the suite where they are sorted."""
    names = ["_".join(dict.fromkeys(own)).strip("_") for own in conditions(suite)]
    width = len(str(len(names)))
    return [Path(f"{place:0{width}d}_{name}") for place, name in enumerate(names)]


def _picture_paths(dataset: Dataset) -> list[Path]:
    """`CLASS/NAME.png` for every picture: portable, and no two alike."""
    classes = PlainNames()
    folders = [classes.make(name) for name in dataset.classes]
    names = [PlainNames() for _ in folders]
    return [
        Path(folders[label], f"{names[label].make(Path(name).stem)}.png")
        for name, label in zip(dataset.names, dataset.labels, strict=True)
    ]


def _prepare_output(
    output: Path, folders: Sequence[Path], paths: Sequence[Path]
) -> None:
    """Makes the folders; an export into them is not complete from now on."""
    own = {str(folder / path) for folder in folders for path in paths}
    own.update((PICTURES_FILE, SKIPPED_FILE, SUITE_FILE))
    for folder, _, names in os.walk(output):
        for name in names:
            found = str(Path(folder, name).relative_to(output))
            is_rest = name.startswith(".") and name.endswith(".tmp")
            if found not in own and not is_rest:
                raise RequestError(
                    f"`output`: expected a new folder, or one with an export of the "
                    f"same pictures and suite, found {found!r} in {str(output)!r}; "
                    "name another folder"
                )
    (output / SUITE_FILE).unlink(missing_ok=True)
    for parent in {
        output / folder / path.parent for folder in folders for path in paths
    }:
        parent.mkdir(parents=True, exist_ok=True)

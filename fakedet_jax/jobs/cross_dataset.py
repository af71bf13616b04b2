# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=cross_dataset`: one detector on several datasets, in one table.

A detector is trained on one dataset and met by fakes of others; how much of its AUC is
left there is the cross-dataset protocol of the field.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fakedet_jax.config import CrossDatasetConfig, DataConfig, EvaluateConfig
from fakedet_jax.data import prepared
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import data as evaluation_data
from fakedet_jax.jobs.evaluate import Evaluator
from fakedet_jax.report import cross_dataset as report
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.workdir import Workdir

_LOGGER = logging.getLogger(__name__)

_FOLDER = "folder"


@dataclasses.dataclass(frozen=True)
class _Target:
    """A dataset that was asked for.

    Attributes:
        name: What to call it.
        folder: Where it lies.
        is_named: Whether the request gave it the name.
    """

    name: str
    folder: Path
    is_named: bool


def evaluate_datasets(config: CrossDatasetConfig) -> dict[str, Any]:
    """Scores several datasets as real against fake, and compares the numbers.

    Each is evaluated as by `evaluate`, into `WORKDIR/evaluations/NAME`; the table
    is written to `WORKDIR/evaluations/cross_dataset_SPLIT`, or as `config.name` says,
    by `report.cross_dataset.write_cross_dataset`. A dataset that cannot be evaluated
    has a row with the reason.

    Args:
        config: The settings. `datasets` are folders of pictures or of prepared
            datasets; names that are not given are those of the prepared datasets or
            of the folders.

    Returns:
        The content of `cross_dataset.json`; nothing but in the first process.

    Raises:
        RequestError: The settings are not as expected, or no dataset can be evaluated.
    """
    targets = _targets(config)
    table_name = config.name or f"cross_dataset_{config.split}"
    table_name += "" if config.name else evaluation_data.suffix(config)
    _check(config, targets, table_name)
    evaluator = Evaluator(config)
    workdir = evaluator.workdir
    trained_on, training_folder = _training(workdir)
    rows = []
    evaluations: list[Evaluation] = []
    for target in targets:
        _LOGGER.info("evaluating on %s", target.name)
        row = {
            "name": target.name,
            "data_dir": str(target.folder),
            "split": config.split,
            "trained_on": trained_on,
            "in_domain": target.folder.resolve() == training_folder,
        }
        try:
            found, evaluation = _evaluate(config, evaluator, target)
            row = found | row  # The folder as it was given.
            if evaluation is not None:
                evaluations.append(evaluation)
        except RequestError as error:
            _LOGGER.warning("%s was not evaluated: %s", target.name, error)
            row["reason"] = str(error)
        rows.append(row)
    if all("reason" in row for row in rows):
        raise RequestError(
            f"`datasets`: none of {len(rows)} could be evaluated; the first, "
            f"{rows[0]['name']}: {rows[0]['reason']}"
        )
    if jax.process_index() > 0:
        return {}
    folder = config.workdir / "evaluations" / table_name
    condition = f", {config.perturb}" if config.perturb else ""
    summary = report.write_cross_dataset(
        folder,
        rows,
        title=f"{workdir.title}, split {config.split}{condition}",
        facts={
            "detector": workdir.title,
            "trained_on": trained_on,
            "split": config.split,
            "perturb": config.perturb,
            "threshold": evaluator.info.threshold,
            "num_resamples": config.num_resamples,
        },
        pooled=report.pooled_row(
            evaluations, num_resamples=config.num_resamples, seed=config.seed
        )
        if len(evaluations) > 1
        else None,
    )
    _LOGGER.info("wrote %s", folder / "cross_dataset.md")
    return summary


def _evaluate(
    config: CrossDatasetConfig, evaluator: Evaluator, target: _Target
) -> tuple[dict[str, Any], Evaluation | None]:
    """The numbers of a row, and the scores."""
    name = _folder_of(config, target)
    if not config.name and not target.is_named:
        evaluation_data.check_free(config.workdir / "evaluations" / name, target.folder)
    own = EvaluateConfig(
        workdir=config.workdir,
        split=config.split,
        perturb=config.perturb,
        data=DataConfig(_FOLDER, target.folder, task="binary"),
        name=name,
    )
    chosen = evaluation_data.choose(own, evaluator.info, pictures=target.name)
    summary, evaluation = evaluator.measure(chosen)
    return {"dataset": chosen.dataset.name, **summary}, evaluation


def check_complete(summary: Mapping[str, Any]) -> None:
    """Fails where a dataset has no numbers; the others are written all the same.

    Args:
        summary: What `evaluate_datasets` returned.

    Raises:
        RequestError: There is one.
    """
    rows = summary["rows"]
    failed = [row for row in rows if row["reason"]]
    if failed:
        raise RequestError(
            f"`datasets`: {len(failed)} of {len(rows)} could not be evaluated; the "
            f"first, {failed[0]['name']}: {failed[0]['reason']}"
        )


def _folder_of(config: CrossDatasetConfig, target: _Target) -> str:
    """What the evaluation of a dataset is called: no two commands share one."""
    if config.name:
        return f"{config.name}_{target.name}"
    return f"{target.name}_{config.split}{evaluation_data.suffix(config)}"


def _targets(config: CrossDatasetConfig) -> list[_Target]:
    """What was asked for, under names that differ."""
    targets: list[_Target] = []
    given = [_parse(entry) for entry in config.datasets]
    taken = {name for name, _ in given if name}
    for place, (name, folder) in enumerate(given):
        if name and name in [other for other, _ in given[:place]]:
            raise RequestError(
                f"`datasets`: expected different names, found {name!r} twice"
            )
        own_name = name or _unique(_name_of(folder), taken)
        taken.add(own_name)
        targets.append(_Target(own_name, folder, is_named=bool(name)))
    return targets


def _parse(entry: str) -> tuple[str, Path]:
    """The name, empty where none is given, and the folder.

    >>> _parse("ff=/data/ff")[0], _parse("/data/a=b")[0]
    ('ff', '')
    """
    name, sign, folder = entry.partition("=")
    # Names of folders may have the sign too.
    if not sign or "/" in name or (entry and Path(entry).exists()):
        name, folder = "", entry
    if not folder or (folder != entry and not evaluation_data.is_plain(name)):
        raise RequestError(
            "`datasets`: expected folders, or NAME=FOLDER with a plain name, found "
            f"{entry!r}"
        )
    return name, Path(folder)


def _name_of(folder: Path) -> str:
    """What to call a dataset: by what was prepared there, or as its folder is called.

    >>> _name_of(Path("/no/such folder"))
    'such_folder'
    """
    name = _FOLDER
    # If it is no dataset at all, its row will say so.
    with contextlib.suppress(RequestError):
        name = prepared.read_info(folder).name
    if name == _FOLDER:
        name = evaluation_data.folder_name(folder)
    return name or "dataset"


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number where others have it.

    >>> _unique("ff", {"ff", "ff_2"})
    'ff_3'
    """
    result, number = name, 1
    while result in taken:
        number += 1
        result = f"{name}_{number}"
    return result


def _check(config: CrossDatasetConfig, targets: list[_Target], table_name: str) -> None:
    if not targets:
        raise RequestError("`datasets`: expected at least one folder, found none")
    evaluation_data.check_name(table_name)
    if table_name in (_folder_of(config, target) for target in targets):
        raise RequestError(
            f"`name`: expected another name than those of the datasets, found "
            f"{table_name!r}"
        )


def _training(workdir: Workdir) -> tuple[str | None, Path | None]:
    """What a detector was trained on, and where it lay, as far as its config says."""
    try:
        data = workdir.data
    except RequestError:
        return None, None  # converted weights
    if data.data_dir is None:
        return data.dataset, None
    name = _name_of(data.data_dir) if data.dataset == _FOLDER else data.dataset
    return name, data.data_dir.resolve()

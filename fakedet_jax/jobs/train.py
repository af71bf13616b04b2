# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=train`: trains a detector in a workdir, or goes on where it stopped."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from fakedet_jax import __version__, systems
from fakedet_jax.config import DataConfig, TrainConfig
from fakedet_jax.data import catalog, inspection, layouts, leaks
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.splits import find_leaks as find_torn_groups
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import checkpoint, parallel, storage
from fakedet_jax.runtime.signals import StopRequest
from fakedet_jax.systems.base import Detector
from fakedet_jax.training import optim

_LOGGER = logging.getLogger(__name__)

_MAX_SEED = 2**32
SELECT_BY = ("accuracy", "auc", "loss")

# What may change between the runs that share a workdir: none of it changes the result.
_FREE_SETTINGS = ("version", "data_dir", "num_threads")


def train(config: TrainConfig) -> None:
    """Trains to the end, resuming what an earlier run with the same settings left.

    Args:
        config: The settings.

    Raises:
        RequestError: The settings or the data are not as expected.
        Stopped: The run was asked to stop and has saved.
    """
    detector = systems.create(config.detector, vars(config))
    recipe = create_recipe(detector, config)
    mesh = parallel.data_mesh()
    detector.check(config, recipe, mesh)
    splits = _load_splits(config.data, detector.needs_fakes)
    train, validation = splits["train"], splits["validation"]
    pictures = detector.training_pictures(config, train, validation)
    settings = _settings(config, recipe, detector, train)
    is_new = _check_workdir(config, settings)
    if is_new and jax.process_index() == 0:
        config.workdir.mkdir(parents=True, exist_ok=True)
        _check_pictures(config, splits, detector.needs_fakes)
        checkpoint.write_config(config.workdir, settings)
    parallel.wait_for_all("workdir")
    _LOGGER.info(
        "training %s on %d pictures of %s, validating on %d; workdir %s",
        systems.title(settings),
        pictures.num_examples,
        pictures.name,
        validation.num_examples,
        config.workdir,
    )
    with StopRequest() as stop:
        detector.fit(
            systems.FitRequest(
                config=config,
                recipe=recipe,
                train=pictures,
                validation=validation,
                mesh=mesh,
                stop=stop,
            )
        )
    _LOGGER.info("done; evaluate with `mode=evaluate` `workdir=%s`", config.workdir)


def create_recipe(detector: Detector, config: TrainConfig) -> optim.Recipe:
    """The detector's published recipe with what the request changes.

    Raises:
        RequestError: A value is out of range.
    """
    recipe = dataclasses.replace(detector.recipe, **config.recipe)  # type: ignore[arg-type]
    positive = ("learning_rate", "batch_size", "num_epochs", "decay_steps")
    for name in positive:
        value = getattr(recipe, name)
        if not (value > 0 and math.isfinite(value)):
            raise RequestError(f"`{name}`: expected a positive number, found {value}")
    final = recipe.final_learning_rate
    if final is not None and not 0 <= final <= recipe.learning_rate:
        raise RequestError(
            "`final_learning_rate`: expected a number from 0 to the learning rate "
            f"{recipe.learning_rate:g}, found {final:g}"
        )
    if config.recipe.get("final_learning_rate") and recipe.schedule != "cosine":
        raise RequestError(
            "`final_learning_rate`: it ends `schedule=cosine`, found "
            f"`schedule={recipe.schedule}`; leave it out"
        )
    at_least_zero = (
        "momentum",
        "weight_decay",
        "decay_factor",
        "decay_per_step",
        "dampening",
    )
    for name in at_least_zero:
        value = getattr(recipe, name)
        if not (value >= 0 and math.isfinite(value)):
            raise RequestError(
                f"`{name}`: expected a number of at least 0, found {value}"
            )
    if not 0 <= config.seed < _MAX_SEED:
        raise RequestError(
            f"`seed`: expected a number from 0 to {_MAX_SEED - 1}, found {config.seed}"
        )
    if config.select_by not in SELECT_BY:
        raise RequestError(
            f"`select_by`: expected {', '.join(SELECT_BY)}, found {config.select_by!r}"
        )
    for name in ("log_every", "checkpoint_every", "num_microbatches"):
        if getattr(config, name) < 1:
            raise RequestError(
                f"`{name}`: expected at least 1, found {getattr(config, name)}"
            )
    return recipe


def _load_splits(data: DataConfig, needs_fakes: bool) -> dict[str, Dataset]:
    """The splits that training reads, and `test` where there is one, to look for leaks.

    The pictures of `test` are compared with the others by content and by what their
    files give away; nothing is trained or chosen on them.
    """
    # One process builds what is not there yet.
    if jax.process_index() > 0:
        parallel.wait_for_all("data")
    needs = {
        "train": "both" if needs_fakes else "real",
        "validation": "either" if needs_fakes else "real",
    }
    splits = {
        split: catalog.load_configured(data, split, needs=side)
        for split, side in needs.items()
    }
    if jax.process_index() == 0:
        parallel.wait_for_all("data")
    for split, dataset in splits.items():
        if not dataset.num_examples:
            raise RequestError(
                f"`dataset`: {data.dataset} has no pictures in the split {split!r}; "
                "add some, or raise `validation_fraction`"
            )
    if needs_fakes and len(set(splits["validation"].fake_labels.tolist())) == 1:
        _LOGGER.warning(
            "the validation split holds only real or only fake pictures, so that no "
            "threshold can be chosen (it will be one half); raise "
            "`validation_fraction`, or add pictures"
        )
    try:
        needed = needs["validation"]
        splits["test"] = catalog.load_configured(data, "test", needs=needed)
    except RequestError as error:
        _LOGGER.info("no test split to compare with: %s", error)
    return splits


def _check_pictures(
    config: TrainConfig, splits: Mapping[str, Dataset], needs_fakes: bool
) -> None:
    """Reads every picture once: names the unusable, warns of what gives labels away.

    Raises:
        RequestError: A class of the training split has no usable picture.
    """
    facts = {
        split: inspection.inspect(dataset, config.input.num_threads)
        for split, dataset in splits.items()
    }
    skipped = [
        (fact.name, fact.error)
        for split_facts in facts.values()
        for fact in split_facts
        if fact.error
    ]
    storage.write_csv(config.workdir / "skipped.csv", ("path", "reason"), skipped)
    if skipped:
        _LOGGER.warning(
            "%d pictures cannot be used and are skipped, such as %s, which %s; all are "
            "listed in %s",
            len(skipped),
            skipped[0][0],
            skipped[0][1],
            config.workdir / "skipped.csv",
        )
    _check_classes(splits["train"], facts["train"], needs_fakes)
    warnings = leaks.find_leaks(
        facts,
        {split: dataset.labels for split, dataset in splits.items()},
        splits["train"].classes,
        splits["train"].is_fake,
    )
    for warning in [*warnings, *_find_torn_groups(splits)]:
        _LOGGER.warning("leak check: %s", warning)


def _find_torn_groups(splits: Mapping[str, Dataset]) -> list[str]:
    """Warns of people and videos on several sides, where these are known."""
    items = {
        layouts.Item(
            path=facts.paths[place],
            kind="video" if facts.videos[place] else "photo",
            class_name=dataset.classes[dataset.labels[place]],
            is_fake=dataset.is_fake[dataset.labels[place]],
            split=split,
            video=facts.videos[place],
            identities=tuple(filter(None, facts.identities[place].split(";"))),
        )
        for split, dataset in splits.items()
        if (facts := dataset.facts) is not None
        for place in range(len(facts))
    }
    return find_torn_groups(sorted(items, key=lambda item: item.path))


def _check_classes(
    dataset: Dataset, facts: Sequence[inspection.Facts], needs_fakes: bool
) -> None:
    usable = {
        int(label)
        for label, fact in zip(dataset.labels, facts, strict=True)
        if not fact.error
    }
    for label, name in enumerate(dataset.classes):
        needed = needs_fakes or not dataset.is_fake[label]
        if needed and label not in usable:
            raise RequestError(
                f"`dataset`: the class {name!r} has no usable picture in the training "
                "split; add some, or remove its folder"
            )


def _settings(
    config: TrainConfig, recipe: optim.Recipe, detector: Detector, dataset: Dataset
) -> dict[str, Any]:
    """All that decides what a run computes, for `config.json`."""
    data = config.data
    faces = catalog.read_faces(data)
    return {
        "version": __version__,
        "detector": detector.name,
        "dataset": data.dataset,
        "data_dir": str(data.data_dir.absolute()) if data.data_dir else None,
        "real_classes": list(data.real_classes),
        "task": data.task,
        "validation_fraction": data.validation_fraction,
        "num_identities": data.num_identities,
        "classes": list(dataset.classes),
        **dataclasses.asdict(recipe),
        "seed": config.seed,
        "flip": config.flip,
        "dtype": config.dtype,
        "batch_norm_fraction": config.batch_norm_fraction,
        "num_microbatches": config.num_microbatches,
        "select_by": config.select_by,
        # None where there is nothing, as in the runs of earlier versions.
        "perturb": list(config.perturb) or None,
        "perturb_copies": config.perturb_copies,
        "num_workers": config.input.num_workers,
        "num_threads": config.input.num_threads,
        "face_detector": faces["detector"]["name"] if faces else "none",
        "faces": faces,
        **detector.settings(config),
    }


def _check_workdir(config: TrainConfig, settings: Mapping[str, Any]) -> bool:
    """Whether the workdir is new; refuses one that belongs to another run."""
    if config.workdir.exists() and not config.workdir.is_dir():
        raise RequestError(f"`workdir`: {str(config.workdir)!r} is not a folder")
    if not (config.workdir / "config.json").exists():
        for name in ("checkpoints", "best"):
            if (config.workdir / name).exists():
                raise RequestError(
                    f"`workdir`: {str(config.workdir)!r} holds {name!r} of an earlier "
                    "run but no config.json, so nobody knows its settings; choose "
                    "another `workdir`"
                )
        return True
    earlier = checkpoint.read_config(config.workdir)
    if "converted_from" in earlier:
        raise RequestError(
            f"`workdir`: {str(config.workdir)!r} holds a detector that was converted; "
            "choose another `workdir`"
        )
    different = [
        f"{name}={earlier.get(name)!r} (now {value!r})"
        for name, value in settings.items()
        if name not in _FREE_SETTINGS and earlier.get(name) != value
    ]
    if different:
        raise RequestError(
            f"`workdir`: {str(config.workdir)!r} belongs to a run with "
            f"{', '.join(different)}; repeat its settings to go on with it, or choose "
            "another `workdir`"
        )
    return False

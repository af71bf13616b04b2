# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=train`: trains a detector in a workdir, or goes on where it stopped."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence

import jax

from fakedet_jax import systems, workdir
from fakedet_jax.config import DataConfig, TrainConfig
from fakedet_jax.data import catalog, inspection, layouts, leaks
from fakedet_jax.data import splits as data_splits
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.folder import VALIDATION_FRACTION, note_folders
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import calibration
from fakedet_jax.evaluation.info import FEW_PICTURES
from fakedet_jax.faces import expected, widths
from fakedet_jax.jobs import compute
from fakedet_jax.runtime import parallel, storage
from fakedet_jax.runtime.signals import StopRequest
from fakedet_jax.systems import advice
from fakedet_jax.systems.base import FitRequest, read_info
from fakedet_jax.systems.options import Options, TableOptions
from fakedet_jax.training.recipe import change

_LOGGER = logging.getLogger(__name__)


def train(config: TrainConfig) -> None:
    """Trains to the end, resuming what an earlier run with the same settings left.

    Args:
        config: The settings.

    Raises:
        RequestError: The settings or the data are not as expected.
        Stopped: The run was asked to stop and has saved.
    """
    compute.prepare(config.compute)
    system = systems.create(config.detector, config.options)
    recipe = change(system.recipe, config.recipe)
    mesh = parallel.data_mesh()
    compute.set_up(config.compute)
    plan = system.plan(config, recipe, mesh)
    # A resumed run must hold out the same pictures, and `config.json` tells which.
    fraction = catalog.validation_fraction(config.data)
    if config.data.validation_fraction is None and fraction > VALIDATION_FRACTION:
        _LOGGER.info(
            "the pictures are few, so that validation gets %.0f %% of them instead of "
            "%.0f %%; `validation_fraction` says otherwise",
            100 * fraction,
            100 * VALIDATION_FRACTION,
        )
    data = dataclasses.replace(config.data, validation_fraction=fraction)
    config = dataclasses.replace(config, data=data)
    needs_fakes = system.needs_fakes and not config.options.makes_fakes
    splits = _load_splits(config.data, needs_fakes)
    train, validation = splits["train"], splits["validation"]
    pictures = system.training_pictures(config, train, validation)
    faces = catalog.read_faces(config.data)
    facts = {
        "classes": list(train.classes),
        "face_detector": faces["detector"]["name"] if faces else "none",
        "faces": faces,
    }
    record = workdir.record_of(config, recipe, {**facts, **plan.record})
    is_new = not (config.workdir / workdir.FILE_NAME).exists()
    if not is_new:
        earlier = workdir.open_workdir(config.workdir).record
        record |= {name: earlier[name] for name in workdir.MEASURED if name in earlier}
    must_write = workdir.claim(config.workdir, record, can_go_on=system.can_go_on)
    if must_write and jax.process_index() == 0:
        config.workdir.mkdir(parents=True, exist_ok=True)
        if is_new:
            sizes = _check_pictures(config, splits, needs_fakes)
            record["pictures"] = expected.of_pictures(sizes).record
            searched = widths.search([train], config.input.num_threads)
            record["face_widths"] = widths.to_record(widths.summarize(searched))
        elif recipe.schedule == "cosine":
            _LOGGER.warning(
                "`num_epochs` was raised, and `schedule=cosine` spans all epochs: the "
                "learning rate rises again where the run goes on"
            )
        workdir.write(config.workdir, record)
    parallel.wait_for_all("workdir")
    _LOGGER.info("classes: %s", train.reading)
    if config.data.subfolders == "together":
        for note in note_folders(train.folders):
            _LOGGER.info("%s", note)
    _LOGGER.info(
        "training %s on %d pictures of %s, validating on %d; workdir %s",
        systems.title(record),
        pictures.num_examples,
        pictures.name,
        validation.num_examples,
        config.workdir,
    )
    if system.needs_fakes:
        _warn_of_few_to_learn_from(train, config.options)
        _warn_of_few_pictures(train, validation, config.options)
    with StopRequest() as stop:
        system.fit(
            FitRequest(
                config=config,
                recipe=recipe,
                plan=plan,
                train=pictures,
                validation=validation,
                mesh=mesh,
                stop=stop,
            )
        )
    _tell_calibration(config)
    _LOGGER.info("done; evaluate with `mode=evaluate` `workdir=%s`", config.workdir)


def _tell_calibration(config: TrainConfig) -> None:
    """Logs how scores were calibrated, and warns where what was asked for was not."""
    wanted = getattr(config.options, "calibration", None)
    if wanted is None:
        return
    try:
        found = read_info(workdir.open_workdir(config.workdir)).calibration
    except RequestError:  # Nothing was chosen yet; who uses the workdir is told.
        return
    failed = wanted not in (calibration.AUTO, found.kind)
    _LOGGER.log(logging.WARNING if failed else logging.INFO, "%s", found.reason)


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
        split: catalog.load(data, split, needs=side) for split, side in needs.items()
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
        splits["test"] = catalog.load(data, "test", needs=needed)
    except RequestError as error:
        _LOGGER.info("no test split to compare with: %s", error)
    return splits


def _warn_of_few_to_learn_from(train: Dataset, options: Options) -> None:
    """Warns where a side has few training pictures."""
    counts = {"real": train.num_real}
    if not options.makes_fakes:
        counts["fake"] = train.num_fake
    if few := advice.shortage(counts, advice.least_pictures(options)):
        _LOGGER.warning("%s", few)


def _warn_of_few_pictures(
    train: Dataset, validation: Dataset, options: Options
) -> None:
    """Warns where the threshold will rest on few pictures."""
    folds = options.threshold_folds if isinstance(options, TableOptions) else None
    chosen_on = [validation] if folds is None else [validation, train]
    num_real = sum(dataset.num_real for dataset in chosen_on)
    num_fake = sum(dataset.num_fake for dataset in chosen_on)
    where = "validation has" if folds is None else "training and validation have"
    remedy = ""
    if isinstance(options, TableOptions) and folds is None:
        remedy = "; `threshold_folds=5` lets it rest on the training pictures, too"
    rate = getattr(options, "max_false_alarms", None)
    if rate is not None:
        needed = math.ceil(1 / rate)
        if num_real < needed:
            _LOGGER.warning(
                "%s %d real pictures; `max_false_alarms=%g` needs at least %d, so that "
                "the threshold will lie above all of them; raise "
                "`validation_fraction` or add pictures%s",
                where,
                num_real,
                rate,
                needed,
                remedy,
            )
    elif 0 < min(num_real, num_fake) < FEW_PICTURES:
        _LOGGER.warning(
            "%s %d real and %d fake pictures; with fewer than %d of each the threshold "
            "is a rough one%s. You need about %s real and %s fake pictures in all for "
            "%d of each in validation",
            where,
            num_real,
            num_fake,
            FEW_PICTURES,
            remedy,
            *2 * [f"{_enough_pictures(train, validation):,}"],
            FEW_PICTURES,
        )


def _enough_pictures(train: Dataset, validation: Dataset) -> int:
    """Pictures of each kind, of which `FEW_PICTURES` would be held out; whole tens."""
    held_out = validation.num_examples
    needed = FEW_PICTURES * (train.num_examples + held_out) / held_out
    return 10 * math.ceil(needed / 10)


def _check_pictures(
    config: TrainConfig, splits: Mapping[str, Dataset], needs_fakes: bool
) -> list[tuple[int, int]]:
    """Reads every picture once: names the unusable, warns of what gives labels away.

    Returns:
        Height and width of each training picture that can be used.

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
    for warning in [*warnings, *find_torn_groups(splits)]:
        _LOGGER.warning("leak check: %s", warning)
    return [(fact.height, fact.width) for fact in facts["train"] if not fact.error]


def find_torn_groups(splits: Mapping[str, Dataset]) -> list[str]:
    """Warns of people, videos and folders on several sides, where these are known.

    Args:
        splits: The pictures, by split.

    Returns:
        Warnings of one line each.
    """
    lying = {
        layouts.Item(folder, "photo", "", False, split, folder=folder)
        for split, dataset in splits.items()
        for place, within in enumerate(dataset.folders)
        if within and (folder := _folder_of(dataset, place, within))
    }
    items = {
        layouts.Item(
            path=facts.paths[place],
            kind="video" if facts.videos[place] else "photo",
            class_name=dataset.classes[dataset.labels[place]],
            is_fake=dataset.is_fake[dataset.labels[place]],
            split=split,
            video=facts.videos[place],
            identities=people,
        )
        for split, dataset in splits.items()
        if (facts := dataset.facts) is not None
        for place, people in enumerate(facts.people)
    }
    return data_splits.find_leaks(sorted(items | lying, key=lambda item: item.path))


def _folder_of(dataset: Dataset, place: int, within: str) -> str:
    return f"{dataset.classes[dataset.labels[place]]}/{within}"


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

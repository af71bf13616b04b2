# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=check`: what to know of labelled pictures before a detector is trained on them.

Nothing is trained and nothing is written but the results that were asked for.
"""

import collections
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.compiler import Program
from fakedet_jax.config import CheckConfig, DataConfig
from fakedet_jax.data import catalog, inspection, leaks, near_duplicates
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.folder import WANTED_PICTURES
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import expected, widths
from fakedet_jax.jobs.train import find_torn_groups
from fakedet_jax.media.files import MISSING
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime import parallel, storage
from fakedet_jax.runtime.processes import available_cores
from fakedet_jax.runtime.text import counted
from fakedet_jax.systems import advice
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

_SPLITS = ("train", "validation", "test")
# A crop shows little but the face: side of its box / side of the picture.
_MIN_SHARE_OF_CROP = 0.4
_NOTHING_TO_RUN = (
    "none yet: collect some hundred pictures of each side, or fewer and the weights of "
    "a face-recognition network, which knows faces already, and run this again"
)
# Comparing more pictures with each other would take minutes.
_MAX_COMPARED = 50_000
# Calls of a program that are timed; the first one warms up.
_NUM_CALLS = 3
_MAX_LISTED = 5

Facts = inspection.Facts


def check(config: CheckConfig) -> dict[str, Any]:
    """Looks at a folder of labelled pictures.

    Args:
        config: The settings.

    Returns:
        What was found, JSON-able: `classes`, `splits`, `unusable`, `framing`,
        `warnings`, `unchecked`, `detectors` (what fits first) and `commands`.

    Raises:
        RequestError: There is no such folder, or it holds no labelled pictures.
    """
    root = _root(config)
    data = DataConfig(
        "folder",
        root,
        real_classes=config.real_classes,
        fake_classes=config.fake_classes,
        subfolders=config.subfolders,
    )
    splits = _load(data)
    workdir = None if config.workdir is None else open_workdir(config.workdir)
    if config.output is not None:
        storage.make_folder(config.output.parent, "output")
    _LOGGER.info("reading %s", counted(_total(splits), "picture"))
    facts = {
        split: inspection.inspect(dataset, config.num_threads)
        for split, dataset in splits.items()
    }
    faces = widths.search(splits.values(), config.num_threads)
    warnings, unchecked = _warnings(splits, facts, faces)
    framing = _framing(facts, faces)
    if workdir is not None and faces is not None:
        try:
            told = _compare_with_training(workdir, faces, config.num_threads)
            framing["like_training"] = not told
            warnings += [told] if told else []
        except RequestError as error:
            unchecked.append(
                f"whether faces are framed like those of the training: {error}"
            )
    results: dict[str, Any] = {
        "data_dir": str(root),
        "classes": _classes(splits, facts),
        "validation_fraction": catalog.validation_fraction(data),
        "unusable": [
            [fact.name, fact.error]
            for found in facts.values()
            for fact in found
            if fact.error
        ],
        "framing": framing,
        "warnings": warnings,
        "unchecked": unchecked,
        "threshold": _threshold(splits.get("validation")),
    }
    results["machine"] = _machine()
    results["detectors"] = _detectors(config, splits)
    results["commands"] = _commands(config, results)
    if config.output is not None:
        storage.write_json(config.output, results)
    return results


def to_text(results: Mapping[str, Any]) -> str:
    """Puts results into lines for reading.

    Args:
        results: Of `check`.
    """
    splits = [
        split
        for split in _SPLITS
        if any(split in row["pictures"] for row in results["classes"])
    ]
    rows = [["class", "kind", *splits, "size"]]
    for row in results["classes"]:
        numbers = [f"{row['pictures'].get(split, 0):,}" for split in splits]
        rows.append([row["name"], row["kind"], *numbers, row["size"]])
    unusable = [f"{name} {reason}" for name, reason in results["unusable"]]
    if (more := len(unusable) - _MAX_LISTED) > 0:
        unusable[_MAX_LISTED:] = [f"and {counted(more, 'other file')}"]
    detectors = [
        f"{one['name']} ({_verdict(one)}): {one['reason']}"
        for one in results["detectors"]
    ]
    sections = {
        "Framing": _framing_lines(results["framing"]),
        "Threshold": [results["threshold"]],
        "Warnings": results["warnings"] or ["none"],
        "Not checked": results["unchecked"],
        "Cannot be used": unusable,
        f"Detectors, on {results['machine']}": detectors,
        "Commands": results["commands"] or [_NOTHING_TO_RUN],
    }
    lines = text_table(rows, left=(0, 1, len(rows[0]) - 1))
    for title, told in sections.items():
        if told:
            lines += ["", f"{title}:", *(f"  {line}" for line in told)]
    return "\n".join(lines)


def _framing_lines(framing: Mapping[str, Any]) -> list[str]:
    lines = [framing["summary"]]
    if framing.get("like_training"):
        lines.append("faces are as wide as those of the training")
    return lines


def _verdict(detector: Mapping[str, Any]) -> str:
    if not detector["fits"]:
        return "not yet"
    if detector["minutes"] is None:
        return "suits"
    if detector["minutes"] < 2:
        return "suits; a minute or two"
    return f"suits; about {detector['minutes']:.0f} minutes"


def _root(config: CheckConfig) -> Path:
    if len(config.paths) != 1:
        found = "none" if not config.paths else ", ".join(map(repr, config.paths))
        raise RequestError(
            "`mode=check`: name one folder, which holds a folder of pictures for each "
            f"class; found {found}"
        )
    root = Path(config.paths[0])
    if not root.exists():
        raise RequestError(f"`mode=check`: {str(root)!r} {MISSING}")
    if not root.is_dir():
        raise RequestError(
            f"`mode=check`: {str(root)!r} is a file; name the folder that holds a "
            "folder of pictures for each class"
        )
    return root


def _load(data: DataConfig) -> dict[str, Dataset]:
    """The splits that a training would have; those without a picture are left out."""
    # What is wrong with all of it, first: nothing learns without real ones.
    everything = catalog.load(data, "all", needs="real")
    # That there are no fakes at all is told once, among the warnings.
    needs = "either" if everything.fake_labels.any() else "real"
    splits = {}
    for split in _SPLITS:
        try:
            splits[split] = catalog.load(data, split, needs=needs)
        except RequestError as error:
            _LOGGER.info("no split %s: %s", split, error)
    if "train" not in splits:
        raise RequestError(
            f"`mode=check`: {str(data.data_dir)!r} has no pictures to train on; make a "
            "folder train with a folder for each class"
        )
    return splits


def _classes(
    splits: Mapping[str, Dataset], facts: Mapping[str, Sequence[Facts]]
) -> list[dict[str, Any]]:
    dataset = next(iter(splits.values()))
    rows = []
    for label, (name, is_fake) in enumerate(
        zip(dataset.classes, dataset.is_fake, strict=True)
    ):
        sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        counts = {}
        for split, one in splits.items():
            own = np.flatnonzero(one.labels == label).tolist()
            counts[split] = len(own)
            found = (facts[split][index] for index in own)
            sizes.update((fact.width, fact.height) for fact in found if not fact.error)
        kind = "fake" if is_fake else "real"
        rows.append(
            {"name": name, "kind": kind, "pictures": counts, "size": _size(sizes)}
        )
    return rows


def _size(sizes: Mapping[tuple[int, int], int]) -> str:
    """The sizes of pictures in a few words."""
    if not sizes:
        return "\N{EM DASH}"
    if len(sizes) == 1:
        ((width, height),) = sizes
        return f"{width} × {height}"
    sides = [max(size) for size in sizes]
    return f"{len(sizes):,} sizes, longer side {min(sides):,} to {max(sides):,}"


def _framing(
    facts: Mapping[str, Sequence[Facts]], faces: Mapping[str, Sequence[float]] | None
) -> dict[str, Any]:
    """Whether the pictures are crops of faces, or whole photographs."""
    sizes = [
        (fact.height, fact.width)
        for found in facts.values()
        for fact in found
        if not fact.error
    ]
    if not sizes:
        summary = "no picture can be read"
        return {"are_crops": False, "are_alike": True, "summary": summary}
    known = expected.of_pictures(sizes)
    is_square = known.lowest_aspect > 0.95 and known.highest_aspect < 1.05
    shape = "square" if is_square else "of many shapes"
    if faces is None:
        words = "OpenCV is not installed, so that no face was searched for"
        summary = f"the pictures are {shape}; {words}"
        return {"are_crops": is_square, "are_alike": True, "summary": summary}
    pooled = [share for shares in faces.values() for share in shares]
    found = [share for share in pooled if share]
    share = float(np.median(found)) if found else 0.0
    are_crops = is_square and share >= _MIN_SHARE_OF_CROP
    what = "face crops" if are_crops else "whole photographs, or pictures without faces"
    return {
        "are_crops": are_crops,
        "are_alike": not _framed_otherwise(faces),
        "face_share": share,
        "num_searched": len(pooled),
        "num_with_face": len(found),
        "summary": (
            f"the pictures are {shape}; haar found a face in {len(found)} of "
            f"{len(pooled)}, {share:.0%} as wide as the picture: they look like {what}"
        ),
    }


def _warnings(
    splits: Mapping[str, Dataset],
    facts: Mapping[str, Sequence[Facts]],
    faces: Mapping[str, Sequence[float]] | None,
) -> tuple[list[str], list[str]]:
    """What gives labels away, and what could not be found out."""
    dataset = splits["train"]
    labels = {split: one.labels for split, one in splits.items()}
    warnings = leaks.find_leaks(facts, labels, dataset.classes, dataset.is_fake)
    warnings += find_torn_groups(splits)
    warnings += _duplicates(facts)
    unchecked = []
    num_fake = sum(one.num_fake for one in splits.values())
    num_real = _total(splits) - num_fake
    few = advice.shortage({"real": dataset.num_real, "fake": dataset.num_fake})
    warnings += [few] if few and num_fake else []
    for kind, number in (("real", num_real), ("fake", num_fake)):
        if not number:
            warnings.append(f"there are no {kind} pictures")
        elif number < leaks.MIN_PICTURES:
            unchecked.append(
                f"whether format, size, quality, EXIF data or greyness give labels "
                f"away: of {counted(number, f'{kind} picture')}, fewer than "
                f"{leaks.MIN_PICTURES}, such rules often hold by chance"
            )
    if _total(splits) > _MAX_COMPARED:
        unchecked.append("whether pictures look alike: there are too many to compare")
    if faces is None:
        unchecked.append(
            "whether real and fake faces are framed alike: OpenCV is not installed"
        )
    else:
        warnings += _framed_otherwise(faces)
    return warnings, unchecked


def _compare_with_training(
    workdir: Workdir, faces: Mapping[str, Sequence[float]], num_threads: int
) -> str:
    """Warns of faces that are cut out otherwise than those of a training.

    Raises:
        RequestError: Too few faces were found, or the training pictures are not there
            and nobody measured them before.
    """
    trained = widths.from_record(workdir.face_widths)
    if not trained:
        dataset = catalog.load(workdir.data, "train", needs="either")
        trained = widths.summarize(widths.search([dataset], num_threads))
    found = widths.summarize(faces)
    if not found.keys() & trained.keys():
        raise RequestError("haar found too few of them")
    return widths.compare(found, trained)


def _framed_otherwise(faces: Mapping[str, Sequence[float]]) -> list[str]:
    """Warns of faces of one kind that are framed otherwise than those of the other."""
    found = widths.summarize(faces)
    if len(found) < len(faces):
        return []
    real, fake = found["real"], found["fake"]
    if real.are_like(fake) and fake.are_like(real):
        return []
    return [
        f"faces are {real.median:.0%} as wide as real pictures and {fake.median:.0%} "
        "as wide as fake ones: the framing alone tells them apart; cut all faces out "
        "alike"
    ]


def _duplicates(facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    """Pictures that look like others of their own split."""
    warnings = []
    for split, found in facts.items():
        if len(found) > _MAX_COMPARED:
            continue
        hashes = np.array([fact.perceptual_hash for fact in found], np.uint64)
        pairs = [
            pair.indices
            for pair in near_duplicates.find_pairs({"one": hashes, "other": hashes})
            if pair.indices[0] < pair.indices[1]
        ]
        if pairs:
            alike = {index for pair in pairs for index in pair}
            one, other = (found[index].name for index in pairs[0])
            warnings.append(
                f"{counted(len(alike), 'picture')} of {split} look like others there, "
                f"such as {other!r} like {one!r}"
            )
    return warnings


def _threshold(validation: Dataset | None) -> str:
    """What a threshold would rest on."""
    if validation is None:
        return "there is no picture to choose a threshold on"
    num_real, num_fake = validation.num_real, validation.num_fake
    words = f"validation has {num_real:,} real and {num_fake:,} fake pictures"
    if not num_real:
        return f"{words}; without real ones no threshold can be chosen"
    if not num_fake and any(validation.is_fake):
        return f"{words}; without fake ones no threshold can be chosen"
    words += (
        f"; a threshold chosen on {counted(num_real, 'real picture')} cannot promise "
        f"fewer false alarms than 1 in {num_real:,}"
    )
    if min(num_real, num_fake or num_real) < WANTED_PICTURES:
        words += f"; with fewer than {WANTED_PICTURES} of each it is a rough one"
    return words


def _detectors(
    config: CheckConfig, splits: Mapping[str, Dataset]
) -> list[dict[str, Any]]:
    train, validation = splits["train"], splits.get("validation")
    found = advice.advise(
        train.num_real,
        train.num_fake,
        backbone=config.network.backbone,
        weights=None if config.network.weights is None else str(config.network.weights),
        few_to_validate=validation is None
        or min(validation.num_real, validation.num_fake) < WANTED_PICTURES,
    )
    mesh = parallel.data_mesh()
    return [
        {
            "name": one.name,
            "fits": one.fits,
            "reason": one.reason,
            "minutes": _minutes(one, mesh) if one.fits and one.what else None,
            "flags": dict(one.flags),
        }
        for one in found
    ]


def _minutes(one: advice.Advice, mesh: Mesh) -> float:
    """How long the training will take here, from a few calls of what it consists of."""
    _LOGGER.info("measuring %s", one.name)
    compiling, calling = _measure(one.program(mesh))
    return (compiling + calling * one.num_calls + one.other_seconds) / 60


def _measure(program: Program) -> tuple[float, float]:
    """Seconds to compile a program, and of a call."""
    start = time.monotonic()
    compiled = program.lower().compile()
    compiling = time.monotonic() - start
    seconds = []
    for _ in range(_NUM_CALLS):
        # Some programs take the memory of their arguments.
        arguments = jax.tree.map(_zeros, program.arguments)
        jax.block_until_ready(arguments)
        start = time.monotonic()
        jax.block_until_ready(compiled(*arguments))
        seconds.append(time.monotonic() - start)
    return compiling, float(np.median(seconds[1:]))


def _zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), leaf.sharding)


def _machine() -> str:
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return counted(available_cores(), "core")
    return f"{len(devices)} × {devices[0].device_kind}"


def _commands(config: CheckConfig, results: Mapping[str, Any]) -> list[str]:
    """What to run next, ready to paste; nothing where no detector suits."""
    data = {"data_dir": results["data_dir"]}
    for name in ("real_classes", "fake_classes"):
        if chosen := getattr(config, name):
            data[name] = ",".join(chosen)
    if config.subfolders != DataConfig.subfolders:
        data["subfolders"] = config.subfolders
    framing = results["framing"]
    if not (framing["are_crops"] and framing["are_alike"]):
        search = {"face_detector": "haar", "output": "FACES"}
        return [_command("prepare", data | search), _command("check", {}, "FACES")]
    best = results["detectors"][0]
    if not best["fits"]:
        return []
    training = {"detector": best["name"], **data, **best["flags"]}
    run = {"workdir": "RUN"}
    table = {"output": "scores.csv"}
    return [
        _command("train", training | run),
        _command("evaluate", run),
        _command("predict", run | table, "PHOTOGRAPHS"),
    ]


def _command(mode: str, flags: Mapping[str, str], *files: str) -> str:
    given = [f"--{name}={value}" for name, value in flags.items()]
    return shlex.join(["fakedet", mode, *given, *files])


def _total(splits: Mapping[str, Dataset]) -> int:
    return sum(dataset.num_examples for dataset in splits.values())

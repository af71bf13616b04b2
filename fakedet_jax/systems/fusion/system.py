# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several trained detectors with one verdict.

Members see each picture as they were trained to, in one pass: their inputs lie beside
each other in one array (`Framing.beside`). What they say becomes one score through a
`fusion.Fusion`, which is fitted to the validation pictures, whose classes, such as
generators, are left out as a whole to choose the threshold and to tell how good it is.

The workdir holds copies of the members' workdirs and needs the originals no more.
"""

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import fusion, systems
from fakedet_jax.config import BenchmarkConfig, DataConfig, TrainConfig
from fakedet_jax.data import catalog
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import (
    LogProbabilityFn,
    Scored,
    Scorer,
    log_odds_fn,
)
from fakedet_jax.fusion import model
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.systems import identity, perturbed
from fakedet_jax.systems.base import (
    Benchmark,
    FitRequest,
    Fitted,
    Plan,
    read_info,
    read_variables,
)
from fakedet_jax.systems.fusion.options import FusionOptions
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.systems.verdict import judge
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

_FOLDER = "members"
# Of a workdir, what scoring does not need.
_LEFT_BEHIND = ("checkpoints", "evaluations", "events.*", "*.jsonl", "skipped.csv")

_BATCH = 32
# The only step; nothing is learnt in steps.
_STEP = 1
# Within which the members' log-odds have ranks, as in `fusion.fit`.
_MOST = fusion.MOST


@dataclasses.dataclass(frozen=True)
class FusedDetector:
    """The detector. Classes are real and fake whatever the dataset has."""

    name: str = "fusion"
    Options: type[FusionOptions] = FusionOptions
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    needs_fakes: bool = True
    can_go_on: bool = False
    pretrained: None = None
    published: None = None

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Opens the members.

        Raises:
            RequestError: There are not two or more, one cannot be loaded, two are the
                same, they disagree on classes, or steps are asked for.
        """
        del recipe
        for name in (*config.recipe, *(["profile_dir"] if config.profile else [])):
            raise RequestError(
                f"`{name}`: {self.name} trains no network in steps; leave it out"
            )
        perturbed.check(config.options)
        paths = config.options.members
        if len(paths) < 2:
            raise RequestError(
                "`members`: expected the workdirs of two or more trained detectors, "
                f"found {len(paths)}"
            )
        members = _load(_paths(paths), mesh)
        identities = [identity.model_id(member) for member in members]
        for number, digest in enumerate(identities):
            if digest in identities[:number]:
                raise RequestError(
                    f"`members`: expected different detectors, found {paths[number]!r} "
                    "twice; name it once"
                )
        _check_classes(paths, members)
        return Plan({"members": identities}, members)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them, though only validation pictures are scored.

        Raises:
            RequestError: Validation has no real or no fake pictures, or a member was
                trained on some of them.
        """
        for path in config.options.members:
            _check_held_out(path, config.data, validation)
        if len(set(validation.fake_labels.tolist())) < 2:
            raise RequestError(
                f"`dataset`: a fusion is fitted to validation pictures, and those of "
                f"{validation.name} are all real or all fake; raise "
                "`validation_fraction` or add pictures"
            )
        return train

    def fit(self, request: FitRequest) -> None:
        """Scores the validation pictures with all members, and fits the fusion.

        Raises:
            RequestError: The pictures are not as expected.
        """
        config = request.config
        with checkpoint.Store(config.workdir / "best", max_to_keep=None) as bests:
            if bests.steps():
                _LOGGER.info("%s is trained already", config.workdir)
                return
            members: list[Fitted] = request.plan.weights
            # Each once: several copies would promise more than the pictures can.
            validation = perturbed.pictures(
                config.options, request.validation, config.seed, 1
            )
            request = dataclasses.replace(request, validation=validation)
            scored = _score(members, request)
            info, parameters = self._fit(members, scored, request)
            if jax.process_index() == 0:
                _keep(_paths(config.options.members), config.workdir)
            parallel.wait_for_all("members")
            placed = parallel.replicate(request.mesh, parameters)
            bests.save(_STEP, placed, dataclasses.asdict(info))

    def load(self, workdir: Workdir, mesh: Mesh) -> Fitted:
        """Loads the detector of a workdir.

        Raises:
            RequestError: There is none, or it or one of its members is damaged.
        """
        info = read_info(workdir)
        titles = info.details.get("members", [])
        paths = [workdir.path / _FOLDER / str(number) for number in range(len(titles))]
        members = _load(paths, mesh)
        parameters = read_variables(workdir, abstract_parameters(len(members)), mesh)
        return Fitted(
            info,
            {"members": [member.variables for member in members], "fusion": parameters},
            make_log_probability_fn(members),
            settings={
                "members": ", ".join(titles),
                "AUC on classes left out": f"{info.details['left_out_auc']:.3f}",
            },
        )

    def benchmark(self, config: BenchmarkConfig, mesh: Mesh) -> Benchmark:
        """Has nothing of its own to measure.

        Raises:
            RequestError: Always.
        """
        raise RequestError(
            f"`detector`: {self.name} runs other detectors; measure those one by one"
        )

    def programs(self, request: ProgramRequest) -> Programs:
        """Has none of its own.

        Raises:
            RequestError: Always.
        """
        raise RequestError(
            f"`detector`: {self.name} runs the programs of its members; compile those "
            "one by one"
        )

    def _fit(
        self, members: Sequence[Fitted], scored: Scored, request: FitRequest
    ) -> tuple[DetectorInfo, dict[str, np.ndarray]]:
        """What the detector says of itself, and its parameters, float32."""
        validation, options = request.validation, request.config.options
        values = np.where(scored.valid[:, None], scored.values, np.nan)
        own = np.flatnonzero(~np.isnan(values).all(1))
        if not own.size:
            raise RequestError(
                f"`dataset`: none of the {validation.num_examples} validation pictures "
                f"of {validation.name} can be read"
            )
        fake = validation.fake_labels[own] == 1
        classes = [validation.classes[label] for label in validation.labels[own]]
        paths = _paths(options.members)
        titles = [open_workdir(path, "members").title for path in paths]
        try:
            fitted = fusion.fit(
                titles,
                values[own],
                fake,
                classes,
                seed=request.config.seed,
                real_groups=options.new_sources,
            )
        except ValueError as error:
            raise RequestError(f"`dataset`: {error}") from error
        _LOGGER.info("%s", fitted.summary)
        evidence = np.zeros(len(values))
        evidence[own] = fitted.left_out.mean(0)
        valid = np.zeros(len(values), np.bool_)
        valid[own] = True
        plain = DetectorInfo(
            detector=self.name,
            classes=BINARY_CLASSES,
            is_fake=(False, True),
            task="binary",
            framing=Framing.beside([one.info.framing for one in members]),
            threshold=0.5,
            threshold_origin="",
            step=_STEP,
            details={
                "members": titles,
                "left_out_auc": fitted.auc,
                "left_out_calibration_error": fitted.calibration_error,
                "member_aucs": list(fitted.member_aucs),
                "left_out": fitted.summary,
            },
        )
        both = -np.logaddexp(0, np.stack([evidence, -evidence], axis=1))
        verdict = judge(
            plain,
            validation.as_binary(),
            Scored(both, valid),
            "auc",
            options.max_false_alarms,
            options.calibration,
        )
        info = DetectorInfo.from_json(verdict.facts)
        parameters = {
            name: array.astype(np.float32)
            for name, array in fitted.fusion.parameters.items()
        }
        return info, parameters


def make_member_fn(members: Sequence[Fitted]) -> LogProbabilityFn:
    """The log-odds of all members, a pure function.

    Args:
        members: The detectors.

    Returns:
        `fn(variables, images)` from a list of the members' variables and uint8
        `[batch, *Framing.beside(...).shape]` to float32 `[batch, members]`.
    """
    framing = Framing.beside([member.info.framing for member in members])
    places = list(zip(framing.columns, framing.parts, strict=False))
    evidence_fns = [
        log_odds_fn(member.log_probability_fn, member.info.is_fake)
        for member in members
    ]

    def member_log_odds(variables: Any, images: jax.Array) -> jax.Array:
        columns = []
        for evidence, own, (start, part) in zip(
            evidence_fns, variables, places, strict=True
        ):
            pictures = images[:, : part.height, start : start + part.width]
            odds = evidence(own, pictures)
            columns.append(jnp.clip(odds.astype(jnp.float32), -_MOST, _MOST))
        return jnp.stack(columns, axis=1)

    return member_log_odds


def make_log_probability_fn(members: Sequence[Fitted]) -> LogProbabilityFn:
    """Logarithms of the class probabilities of pictures, a pure function.

    Args:
        members: The detectors.

    Returns:
        `fn(variables, images)` as of `make_member_fn`, to float32 `[batch, 2]`: real,
        fake. The variables are a dict of `members` and `fusion`.
    """
    member_log_odds = make_member_fn(members)

    def log_probabilities(variables: Any, images: jax.Array) -> jax.Array:
        odds = member_log_odds(variables["members"], images)
        fused = model.log_odds(variables["fusion"], odds, jnp)
        return jnp.stack([jax.nn.log_sigmoid(-fused), jax.nn.log_sigmoid(fused)], -1)

    return log_probabilities


def abstract_parameters(num_members: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of what `fit` finds, for a number of members."""
    shapes = model.parameter_shapes(num_members)
    return {
        name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()
    }


def _paths(members: Sequence[str]) -> list[Path]:
    return [Path(member) for member in members]


def _load(paths: Sequence[Path], mesh: Mesh) -> list[Fitted]:
    return [systems.load(open_workdir(path, "members"), mesh) for path in paths]


def _check_classes(paths: Sequence[str], members: Sequence[Fitted]) -> None:
    """Refuses members of which one calls real what another calls fake.

    Raises:
        RequestError: There is such a class.
    """
    known: dict[str, tuple[str, bool]] = {}
    for path, member in zip(paths, members, strict=True):
        for name, fake in zip(member.info.classes, member.info.is_fake, strict=True):
            other, reading = known.setdefault(name, (path, fake))
            if reading != fake:
                raise RequestError(
                    f"`members`: expected detectors that agree on classes, found "
                    f"{name!r} {BINARY_CLASSES[reading]} for {other!r} and "
                    f"{BINARY_CLASSES[fake]} for {path!r}"
                )


def _check_held_out(path: str, config: DataConfig, validation: Dataset) -> None:
    """Refuses a member that knows validation pictures: it would be trusted too much.

    Raises:
        RequestError: It was trained on some of them, as the same folder was split
            otherwise then.
    """
    try:
        data = open_workdir(Path(path), "members").data
    except RequestError:  # Of a converted detector; nobody knows.
        return
    if data.dataset != config.dataset or not _is_same(data.data_dir, config.data_dir):
        return
    # Names begin with the folder as it was given.
    data = dataclasses.replace(data, data_dir=config.data_dir)
    trained = catalog.load(data, "train", needs="either")
    known = set(trained.names) & set(validation.names)
    if known:
        raise RequestError(
            f"`members`: {path!r} was trained on {len(known)} of the "
            f"{validation.num_examples} validation pictures, such as {min(known)!r}; "
            "train it with the same share held out (`validation_fraction` was "
            f"{data.validation_fraction}, now {config.validation_fraction})"
        )


def _is_same(one: Path | None, other: Path | None) -> bool:
    """Whether two folders are the same one; both may be none."""
    if one is None or other is None:
        return one is other
    return one.resolve() == other.resolve()


def _score(members: Sequence[Fitted], request: FitRequest) -> Scored:
    """The members' log-odds of the validation pictures, float32 `[n, members]`."""
    mesh = request.mesh
    scorer = Scorer(
        make_member_fn(members), mesh, parallel.round_up_batch_size(_BATCH, mesh)
    )
    framing = Framing.beside([member.info.framing for member in members])
    return scorer.score_dataset(
        [member.variables for member in members],
        request.validation,
        framing,
        request.config.input,
        label="score validation",
    )


def _keep(paths: Sequence[Path], workdir: Path) -> None:
    """Copies what scoring needs of the members' workdirs, anew.

    Raises:
        RequestError: The disk is full.
    """
    folder = workdir / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    for number, path in enumerate(paths):
        try:
            shutil.copytree(
                path,
                folder / str(number),
                ignore=shutil.ignore_patterns(*_LEFT_BEHIND),
            )
        except OSError as error:
            raise RequestError(
                f"`workdir`: the members cannot be copied to {str(folder)!r} ({error})"
            ) from error


SYSTEM = FusedDetector()

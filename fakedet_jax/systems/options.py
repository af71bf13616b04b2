# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings that systems share; each system composes its own options of them."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from fakedet_jax.settings import Settings, option

DTYPES = ("float32", "bfloat16")

# The largest set of AMTENnet's authors has three copies; many more are a mistake.
_MAX_COPIES = 100
# Each of them is a training; more tell hardly more.
_MAX_FOLDS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """Base of the training options of a system.

    Attributes:
        Benchmark: What its benchmark can be asked for.
    """

    Benchmark: ClassVar[type[Settings]] = Settings

    @property
    def makes_fakes(self) -> bool:
        """Whether the training makes fakes itself, so that photographs are enough."""
        return False


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions(Options):
    """How training pictures go through a network."""

    weights: Path | None = option(
        None,
        "Published weights to start from: a weight file, or a folder that the mode "
        "convert wrote.",
    )
    dtype: str = option(
        "float32",
        "Precision, float32 or bfloat16; parameters are float32.",
        choices=DTYPES,
    )
    flip: bool = option(True, "Whether training pictures are mirrored at random.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerturbOptions(Options):
    """How training pictures are perturbed; see `systems.perturbed`."""

    perturb: tuple[str, ...] = option(
        (),
        "Perturbations of the training pictures, or of those that a fusion is fitted "
        "to, of which one is drawn for each picture: none, OPERATION:STRENGTH, "
        "OPERATION:mix or mix.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerturbCopiesOptions(PerturbOptions):
    """The same, of a training that can see several copies of a picture."""

    perturb_copies: float | None = option(
        None,
        "Size of a fixed perturbed training set, as a multiple of the training "
        "pictures; by default perturbations are drawn anew in every epoch, or once "
        "where features of the pictures are computed only once.",
        minimum=1,
        maximum=_MAX_COPIES,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopOptions(Options):
    """The training loop: its intervals, and what it trains."""

    log_every: int = option(
        20, "Steps between two records of the metrics.", minimum=1, may_change=True
    )
    checkpoint_every: int = option(
        200, "Steps between two checkpoints.", minimum=1, may_change=True
    )
    trainable: str | None = option(
        None,
        "Regular expression: only those parameters are trained whose path, such as "
        "conv1/kernel, holds a match. By default those of the published training are.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThresholdOptions(Options):
    """How the threshold is chosen, and what scores mean."""

    max_false_alarms: float | None = option(
        None,
        "Largest share of the real validation pictures that the threshold may call "
        "fake, such as 0.01; by default real and fake errors weigh the same.",
        above=0,
        below=1,
    )
    calibration: str = option(
        "auto",
        "How scores are calibrated on the validation pictures, which changes neither "
        "their order nor decisions: none, temperature, platt, or auto, which takes the "
        "one of least cross-validated log loss.",
        choices=("auto", "none", "temperature", "platt"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectionOptions(ThresholdOptions):
    """How the best step is chosen."""

    select_by: str = option(
        "accuracy",
        "Validation metric that chooses the best step: accuracy, auc or loss; on a "
        "tie the later step is chosen.",
        choices=("accuracy", "auc", "loss"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions(SelectionOptions, PerturbCopiesOptions):
    """How a classifier of features is trained that are computed once."""

    threshold_folds: int | None = option(
        None,
        "For few pictures: the threshold also rests on the training pictures, each "
        "scored by a classifier trained without it. They are dealt into this many "
        "parts, such as 5, and the classifier is trained anew without each.",
        minimum=2,
        maximum=_MAX_FOLDS,
    )
    cache_dir: Path | None = option(
        None,
        "Folder where neuron counts, embeddings and other features are cached; the "
        "user's cache folder by default.",
        may_change=True,
    )

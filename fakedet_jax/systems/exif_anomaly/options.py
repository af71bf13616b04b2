# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of the anomaly detector's training and benchmark."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from fakedet_jax.config import BackboneConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.options import LoopOptions, PictureOptions

COVARIANCES = ("full", "tied", "diagonal", "spherical")
_MAX_COMPONENTS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedderOptions(Settings):
    """The network that learns to embed faces."""

    embedder: str | None = option(
        None,
        "Network that learns to embed faces: resnet50 (the published one, the "
        "default) or small.",
        is_architecture=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExifAnomalyOptions(EmbedderOptions, BackboneConfig, PictureOptions, LoopOptions):
    """What the training can be asked for."""

    Benchmark: ClassVar[type[Settings]] = EmbedderOptions

    pretrained: Path | None = option(
        None, "Workdir of another run of this detector whose embedding is reused."
    )
    fine_tune: bool = option(
        False,
        "Whether the network of the pretrained run is trained further on these "
        "photographs, instead of being reused as it is.",
    )
    paired: bool = option(
        False, "Whether a batch holds each photograph twice, as it is and manipulated."
    )
    manipulated_weight: float = option(
        1.0, "Weight of the manipulated head's loss; the rankings have 1.", minimum=0
    )
    covariance: str = option(
        "full",
        "Covariance of the mixture's components: full, tied, diagonal or spherical.",
        choices=COVARIANCES,
    )
    num_components: tuple[int, ...] = option(
        (12,),
        "Number of components of the mixture; of several numbers, the BIC chooses one.",
        minimum=1,
        maximum=_MAX_COMPONENTS,
    )
    num_restarts: int = option(
        1, "Random starts of the mixture's fit; the best is kept.", minimum=1
    )
    reg_covar: float = option(
        1e-3,
        "Amount added to the variances of the mixture, as a share of their mean.",
        minimum=0,
        maximum=1,
    )
    false_alarm_rate: float = option(
        0.05,
        "Share of held-out photographs that are decided fake at the threshold.",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid.
        """
        super().__post_init__()
        if not self.num_components:
            raise RequestError(
                "`num_components`: expected at least one number, found none"
            )

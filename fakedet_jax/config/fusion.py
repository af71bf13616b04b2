# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several detectors with one verdict: trained ones, or tables of their scores."""

import dataclasses
from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusionMembersConfig(Settings):
    """What is fused, and for which pictures."""

    members: tuple[str, ...] = option(
        (),
        "What is fused: workdirs of trained detectors, or of a table of scores its "
        "columns.",
    )
    new_sources: bool = option(
        True,
        "Whether the fusion is meant for photographs of other sources than those that "
        "it is fitted to, so that sources of photographs are left out too, and not "
        "generators alone, to choose the threshold and to tell how good it is.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FuseConfig(FusionMembersConfig):
    """Scores of several detectors in a table, fused."""

    scores: Path = option(
        help="CSV file with a row for each picture and a column of scores for each "
        "detector; an empty cell is a missing score."
    )
    label: str = option(
        "",
        "Column that says real or fake (or 0 or 1); needed to fit a fusion.",
    )
    group_by: str = option(
        "",
        "Column of what is left out as a whole, such as generators and sources of "
        "photographs; needed to fit a fusion.",
    )
    fusion: Path | None = option(
        None, "Fusion of an earlier run, fusion.json, to score the table with."
    )
    output: Path = option(help="Folder for the results.")
    seed: int = option(0, "Seed of the folds.", minimum=0, maximum=2**32 - 1)

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or settings contradict each other.
        """
        super().__post_init__()
        if self.fusion is not None:
            for name in ("label", "group_by", "members"):
                if getattr(self, name):
                    raise RequestError(
                        f"`{name}`: `fusion` names the columns and is not fitted "
                        "again; leave it out"
                    )
            return
        for name, what in (
            ("members", "the columns of the detectors"),
            ("label", "the column that says real or fake"),
            ("group_by", "the column of generators and sources"),
        ):
            if not getattr(self, name):
                raise RequestError(
                    f"`{name}`: expected {what}, found none; give it, or `fusion` to "
                    "use an earlier one"
                )

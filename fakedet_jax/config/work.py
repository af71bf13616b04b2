# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Work that several processes or machines share."""

import dataclasses
from pathlib import Path

from fakedet_jax.config.data import SPLITS
from fakedet_jax.settings import Settings, option, part

PART_FORMATS = ("parquet", "csv")
ENGINE_FOLLOWS = "it says what runs the workers"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardConfig(Settings):
    """Work that several processes share."""

    shard: str = option(
        "",
        "Which of several processes this one is, such as 0/4; they share the folder.",
    )


@dataclasses.dataclass(frozen=True)
class EngineConfig(Settings):
    """What runs the workers of a large run, on one machine or on many."""

    name: str | None = option(
        None,
        "Runs the workers on the machines of a cluster: ray. By default this process "
        "does the work.",
        choices=("ray",),
        name="engine",
    )
    address: str = option(
        "",
        "Address of a running cluster, such as auto or HOST:PORT; by default workers "
        "run on this machine, as long as the command does.",
        name="engine_address",
    )
    num_gpus: float = option(0.0, "GPUs of each worker.", minimum=0, name="engine_gpus")
    num_workers: int | None = option(
        None,
        "Workers at a time; by default as many as there are cores and GPUs for.",
        minimum=1,
        name="engine_workers",
    )


@dataclasses.dataclass(frozen=True)
class PartsConfig(ShardConfig):
    """A run in units of work that can be shared and resumed."""

    inputs: Path | None = option(
        None,
        "List of the files: text with a path per line, or a .csv or .parquet table; or "
        "the folder of a prepared dataset.",
    )
    inputs_column: str = option("path", "Column of the paths in a table of `inputs`.")
    inputs_split: str | None = option(
        None,
        "Split of the prepared dataset that `inputs` names; all of it by default.",
        choices=SPLITS,
    )
    unit_size: int = option(
        1024, "Files per unit of work; each unit becomes a part.", minimum=1
    )
    part_format: str | None = option(
        None,
        "Format of the parts: parquet or csv; parquet by default.",
        choices=PART_FORMATS,
    )
    retry_failed: bool = option(
        False, "Whether files with an error row are tried again."
    )
    engine: EngineConfig | None = part(
        EngineConfig,
        is_optional=True,
        triggers=("engine",),
        reason=ENGINE_FOLLOWS,
    )

    @property
    def format(self) -> str:
        """Format of the parts."""
        return self.part_format or PART_FORMATS[0]

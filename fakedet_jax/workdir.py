# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run, and `config.json`, which says what was asked for.

No other module opens `config.json`. It is one flat JSON object: the settings of the
training by the names that users know, where `weights` and `pretrained` hold digests
instead of paths, and some facts about the run:

- `version`: of the package that wrote it
- `classes`: of the training pictures, the real ones first
- `face_detector` and `faces`: how the faces of the training pictures were found and cut
  out; "none" and None where that is not known
- `pictures`: shape and size of the training pictures, see `faces.expected`
- `face_widths`: how much of them faces take, see `faces.widths`; None if not known
- `converted_from`: for a detector that others trained, the file that it came from
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fakedet_jax import __version__, settings, systems
from fakedet_jax.config import DataConfig, FirstComputeConfig, TrainConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import records, storage
from fakedet_jax.training.recipe import Recipe

if TYPE_CHECKING:
    from fakedet_jax.systems.base import System
    from fakedet_jax.systems.options import Options

FILE_NAME = "config.json"
_NUM_EPOCHS = "num_epochs"

_AGAIN = "train again in another `workdir`"

# What a run measured of its training pictures when it began.
MEASURED = ("pictures", "face_widths")
_FACTS = (
    *("version", "classes", "face_detector", "faces", "converted_from"),
    *MEASURED,
)

_O = TypeVar("_O", bound=settings.Settings)


@dataclasses.dataclass(frozen=True)
class Workdir:
    """A workdir that has a `config.json`.

    Attributes:
        path: The folder.
        record: The content of `config.json`.
        field: The setting that named the folder, for messages.
    """

    path: Path
    record: Mapping[str, Any]
    field: str = "workdir"

    @property
    def detector(self) -> str:
        """Name of the system."""
        return str(self.record.get("detector"))

    @property
    def faces(self) -> Mapping[str, Any] | None:
        """How the faces of the training pictures were found; None if not known."""
        found: Mapping[str, Any] | None = self.record.get("faces")
        return found

    @property
    def pictures(self) -> Mapping[str, Any] | None:
        """Shape and size of the training pictures; None if not known."""
        found: Mapping[str, Any] | None = self.record.get("pictures")
        return found

    @property
    def face_widths(self) -> Mapping[str, Any] | None:
        """How wide the faces of the training pictures are; None if not known."""
        found: Mapping[str, Any] | None = self.record.get("face_widths")
        return found

    @property
    def title(self) -> str:
        """Name of the system with the options that decide its architecture."""
        return systems.title(self.record)

    @property
    def data(self) -> DataConfig:
        """The training pictures.

        Raises:
            RequestError: They are not known, as those of a converted detector.
        """
        if "dataset" not in self.record:
            raise RequestError(
                f"`{self.field}`: {FILE_NAME} does not say what the training pictures "
                "were, as that of a converted detector; name pictures with `data_dir`"
            )
        return self.settings(DataConfig)

    @property
    def matmul_precision(self) -> str:
        """The precision of products that it was trained with."""
        return self.settings(FirstComputeConfig).matmul_precision

    def settings(self, cls: type[_O]) -> _O:
        """The part of the settings that a class describes.

        Args:
            cls: A class of settings.

        Raises:
            RequestError: A value is not valid.
        """
        return settings.from_json(cls, self.record, self._where, _AGAIN)

    def system(self) -> "System":
        """The system that was trained, with the options of its architecture.

        Raises:
            RequestError: There is none of that name, or `config.json` holds settings
                that this version does not know.
        """
        known = systems.names()
        if self.record.get("detector") not in known:
            raise RequestError(
                f"{self._where} names the detector {self.record.get('detector')!r}, "
                f"expected {', '.join(known)}; train again in another `workdir`"
            )
        self.check_known()
        # Digests stand for files that nobody needs any more.
        stored = {
            name: value
            for name, value in self.record.items()
            if name not in ("weights", "pretrained")
        }
        options = settings.from_json(
            systems.options_of(self.record), stored, self._where, _AGAIN
        )
        return systems.create(self.detector, options)

    @property
    def _where(self) -> str:
        return f"`{self.field}`: {str(self.path / FILE_NAME)!r}"

    def check_known(self) -> None:
        """Refuses settings that this version does not know.

        Raises:
            RequestError: There is one.
        """
        known = {*_FACTS, *(leaf.name for leaf in settings.leaves(TrainConfig))}
        for name in self.record:
            if name not in known:
                raise RequestError(
                    f"{self._where} holds the setting {name!r}, which version "
                    f"{__version__} does not know; it was written by version "
                    f"{self.record.get('version')}, which can read it"
                )


def open_workdir(path: Path, field: str = "workdir") -> Workdir:
    """Opens the workdir of a training run.

    Args:
        path: The folder.
        field: The setting that named it, for messages.

    Returns:
        The workdir.

    Raises:
        RequestError: There is no `config.json`, or it is damaged.
    """
    record = records.read(
        path / FILE_NAME,
        dict[str, Any],
        field=field,
        advice=_AGAIN,
        if_missing=(
            f"no detector was trained in that folder; run `mode=train` "
            f"`workdir={path}` first"
            if path.exists()
            else "name the folder of a training"
        ),
    )
    if record.get("dataset") == "folder" and record.get("faces") is None:
        # Before there was the setting, folders within classes were split.
        record.setdefault("subfolders", "apart")
    return Workdir(path, record, field)


def record_of(
    config: TrainConfig, recipe: Recipe, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """All that decides the result of a training, for `config.json`.

    Args:
        config: The settings.
        recipe: The optimisation in full.
        facts: The facts of the run, and digests in the place of paths.
    """
    return {
        "version": __version__,
        **settings.to_json(config),
        **settings.to_json(recipe),
        **facts,
    }


def claim(path: Path, record: Mapping[str, Any], *, can_go_on: bool = False) -> bool:
    """Checks that a workdir is free, or belongs to a run with the same settings.

    Args:
        path: The folder.
        record: The settings of the run, of `record_of`.
        can_go_on: Whether the run may have more epochs than before.

    Returns:
        Whether the workdir is new, or has fewer epochs; `write` makes it this run's.

    Raises:
        RequestError: It belongs to another run.
    """
    if path.exists() and not path.is_dir():
        raise RequestError(f"`workdir`: {str(path)!r} is not a folder")
    if not (path / FILE_NAME).exists():
        for name in ("checkpoints", "best"):
            if (path / name).exists():
                raise RequestError(
                    f"`workdir`: {str(path)!r} holds {name!r} of an earlier run but no "
                    f"{FILE_NAME}, so nobody knows its settings; choose another "
                    "`workdir`"
                )
        return True
    earlier = open_workdir(path)
    if "converted_from" in earlier.record:
        raise RequestError(
            f"`workdir`: {str(path)!r} holds a detector that was converted; choose "
            "another `workdir`"
        )
    earlier.check_known()
    values = {"workdir": path, "detector": record["detector"]}
    defaults = record_of(settings.build(TrainConfig, values), Recipe(), {})
    # A setting that came with a later version had its default.
    before = {
        **{name: defaults.get(name) for name in record},
        **{name: value for name, value in earlier.record.items() if value is not None},
    }
    free = {
        "version",
        *(leaf.name for leaf in settings.leaves(TrainConfig) if leaf.option.may_change),
    }
    has_more = can_go_on and record[_NUM_EPOCHS] > before[_NUM_EPOCHS]
    if has_more:
        free.add(_NUM_EPOCHS)
    if different := settings.differences(before, record, free):
        raise RequestError(
            f"`workdir`: {str(path)!r} belongs to a run with {', '.join(different)}; "
            "repeat its settings to go on with it, or choose another `workdir`"
        )
    return has_more


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Writes `config.json`.

    Args:
        path: The workdir.
        record: Its content.

    Raises:
        OSError: It cannot be written.
    """
    storage.write_json(path / FILE_NAME, dict(record))


def write_converted(
    path: Path,
    system: "System",
    options: "Options",
    classes: tuple[str, ...],
    facts: Mapping[str, Any],
) -> None:
    """Writes `config.json` of a detector that others trained.

    Args:
        path: The workdir.
        system: The system.
        options: Decide its architecture.
        classes: Of the detector, the real ones first.
        facts: Where its numbers came from: `weights`, a digest, and `converted_from`.

    Raises:
        OSError: It cannot be written.
    """
    write(
        path,
        {
            "version": __version__,
            "detector": system.name,
            "classes": list(classes),
            "task": "binary",
            "face_detector": "none",
            "faces": None,
            **settings.to_json(options),
            **facts,
        },
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that users name: scores, features, merged parts."""

import dataclasses
from pathlib import Path

from fakedet_jax.config.batches import BatchConfig, OneDatasetConfig
from fakedet_jax.config.compute import ComputeConfig, PredictComputeConfig
from fakedet_jax.config.data import FileInputConfig
from fakedet_jax.config.faces import FaceConfig, FrameConfig, search_size_option
from fakedet_jax.config.networks import BackboneFeatureConfig
from fakedet_jax.config.verdict import VerdictConfig
from fakedet_jax.config.work import PartsConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.settings import Settings, option, part

_FACES_FOLLOW = "without it, faces are found and cut out as they were for the training"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilesConfig(BatchConfig):
    """Files that users name, and how faces are found in them."""

    paths: tuple[str, ...] = option((), "Photographs, videos and folders of both.")
    faces: FaceConfig | None = part(
        FaceConfig,
        is_optional=True,
        triggers=("face_detector",),
        reason=_FACES_FOLLOW,
    )
    face_detector_model: Path | None = option(
        None, "ONNX file of the face detector yunet."
    )
    all_faces: bool = option(False, "Whether every face is used, not only the largest.")
    face_search_size: int | None = search_size_option()
    frames: FrameConfig | None = part(FrameConfig, is_optional=True)
    media: MediaConfig | None = part(MediaConfig, is_optional=True)
    seconds_per_file: float = option(
        0.0,
        "Seconds after which a file is given up, with an error; 0 for no limit. Needs "
        "reading processes.",
        minimum=0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(FilesConfig, VerdictConfig):
    """Scores for files and folders."""

    workdir: Path = option(help="Folder of the training run.")
    output: Path | None = option(
        None,
        "CSV file, or a folder for parts, of a run that can be resumed and shared; "
        "standard output by default.",
    )
    parts: PartsConfig = part(PartsConfig)
    min_track_frames: int | None = option(
        None,
        "Videos: scored frames that a face needs for a row; with `all_faces` a tenth "
        "of the searched ones by default: what is seen for a moment is often no face.",
        minimum=1,
    )
    frame_scores: Path | None = option(None, "CSV file for the scores of each frame.")
    provenance: bool = option(
        False,
        "Whether a column tells what the file of a photograph says of its own origin: "
        "C2PA, IPTC, generators, camera. It never changes a score.",
    )
    annotated: Path | None = option(
        None, "Folder for copies of the inputs with boxes and scores drawn on them."
    )
    report: Path | None = option(
        None,
        "New or empty folder for a page on which the results are reviewed: sorted and "
        "filtered, each with its face, its box, its scores over time.",
    )
    maps: bool = option(
        False,
        "Whether the page of `report` shows what the network reacts to in each face; "
        "takes as long as scoring it 70 times.",
    )
    batch_size: int | None = option(  # type: ignore[assignment]
        None,
        "Pictures per step, rounded up to a multiple of the number of devices; by "
        "default 64, or for 256 files or more as many as the memory of GPUs and TPUs "
        "holds.",
        minimum=1,
    )
    input: FileInputConfig = part(FileInputConfig)
    compute: PredictComputeConfig = part(PredictComputeConfig)

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or settings contradict each other.
        """
        super().__post_init__()
        if self.maps and self.report is None:
            raise RequestError(
                "`maps`: they are shown on the page of `report`; name a folder for it"
            )

    @property
    def has_parts(self) -> bool:
        """Whether the output is a folder: it exists as one, or has no suffix."""
        if self.output is None or self.output.is_dir():
            return self.output is not None
        return not self.output.suffix and not self.output.exists()


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergeConfig(Settings):
    """The parts of a large run, joined into one table."""

    paths: tuple[str, ...] = option((), "Folder of the run.")
    output: Path = option(help="Table to write: .parquet or .csv.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractConfig(FilesConfig, OneDatasetConfig):
    """Features of the pictures of a dataset or of files."""

    output: Path = option(help="Folder for features.npz and figures, or for parts.")
    input: FileInputConfig = part(FileInputConfig)
    parts: PartsConfig = part(PartsConfig)
    features: str = option("traces", "What to extract: traces, coverage or embedding.")
    workdir: Path | None = option(
        None, "Folder of the training run whose network is used."
    )
    count: BackboneFeatureConfig | None = part(
        BackboneFeatureConfig,
        is_optional=True,
        triggers=("backbone",),
        reason="it belongs to a backbone; a workdir has its own",
    )
    thresholds: Path | None = option(
        None,
        ".npz file with thresholds, such as a features.npz. By default those of the "
        "workdir, or without one thresholds fitted on the pictures.",
    )
    num_figures: int = option(
        4, "Pictures whose features are drawn; none for parts.", minimum=0
    )
    compute: ComputeConfig = part(ComputeConfig)

    @property
    def has_parts(self) -> bool:
        """Whether parts are written: a setting of theirs is given."""
        return self.parts != PartsConfig()

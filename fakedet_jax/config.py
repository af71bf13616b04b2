# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What each mode can be asked for: one `Settings` class per mode.

The command line derives its flags from these classes; jobs take instances of them.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax import systems
from fakedet_jax.errors import RequestError
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.settings import Settings, option, part
from fakedet_jax.training.recipe import Recipe

DTYPES = ("float32", "bfloat16")
PRECISIONS = ("float32", "tf32", "bfloat16")
PART_FORMATS = ("parquet", "csv")
SPLITS = ("train", "validation", "test", "all")

_FACES_FOLLOW = "without it, faces are found and cut out as they were for the training"
_ENGINE_FOLLOWS = "it says what runs the workers"
_DATA_FOLLOW = (
    "without them the pictures are those that the detector was trained on, in their "
    "classes"
)


def _layout_options(values: Mapping[str, Any]) -> type[Settings]:
    from fakedet_jax.data import layouts  # Layouts need settings too.

    return layouts.options_of(values)


def _all_layout_options() -> Iterator[type[Settings]]:
    from fakedet_jax.data import layouts

    return layouts.all_options()


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """A dataset, and how its classes and splits are read."""

    dataset: str = option(
        "",
        "Dataset: synthetic_faces (embedded), folder (your own pictures) or the "
        "name of a published dataset. The default is folder if `data_dir` is given, "
        "else synthetic_faces.",
    )
    data_dir: Path | None = option(
        None,
        "Folder of the dataset, or its address in a bucket.",
        may_change=True,
    )
    real_classes: tuple[str, ...] = option(
        (), "Classes that are real although their names do not say so."
    )
    task: str = option(
        "multiclass",
        "multiclass keeps the classes; binary merges them into real and fake.",
        choices=("multiclass", "binary"),
    )
    validation_fraction: float | None = option(
        None,
        "Share of the training pictures held out for validation where the dataset has "
        "no validation split; by default 0.05, and of pictures of your own enough for "
        "100 real and 100 fake ones, up to 0.2.",
        minimum=0,
        below=1,
    )
    num_identities: int | None = option(
        None,
        "Number of simulated identities of synthetic_faces (default 400); the first "
        "400 are split, further ones train only.",
    )
    fake_classes: tuple[str, ...] = option(
        (), "Classes that are fake although their names say that they are real."
    )
    subfolders: str = option(
        "together",
        "Where a folder is split: together keeps the pictures of a folder within a "
        "class in one split, such as the frames of a video; apart splits them.",
        choices=("together", "apart"),
    )

    def __post_init__(self) -> None:
        """Chooses the default dataset, and checks the settings.

        Raises:
            RequestError: A value is not valid.
        """
        if not self.dataset:
            default = "folder" if self.data_dir else "synthetic_faces"
            object.__setattr__(self, "dataset", default)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class InputConfig(Settings):
    """How pictures are read."""

    num_workers: int = option(
        0,
        "Reading processes; 0 reads in threads of the main process.",
        minimum=0,
        may_change=True,
    )
    num_threads: int = option(
        8, "Decoding threads per process.", minimum=1, may_change=True
    )


@dataclasses.dataclass(frozen=True)
class FileInputConfig(InputConfig):
    """How files are read that users name."""

    num_workers: int | None = option(  # type: ignore[assignment]
        None,
        "Reading processes; 0 reads in threads of the main process. By default there "
        "are as many as cores for 256 files or more, else 0.",
        minimum=0,
    )


def _cache_option(default: str) -> Any:
    return option(
        None,
        "Folder where compiled programs are kept for later runs, which then start "
        f"faster. {default} by default; empty for none.",
        is_stored=False,
        accepts_empty=True,
    )


@dataclasses.dataclass(frozen=True)
class ComputeConfig(Settings):
    """How a trained network is computed."""

    matmul_precision: str | None = option(
        None,
        "Precision of float32 products on GPUs and TPUs: float32, tf32 or bfloat16; "
        "by default that of the training. CPUs always use float32.",
        choices=PRECISIONS,
    )
    compilation_cache_dir: str | None = _cache_option("None")
    deterministic: bool = option(
        False,
        "Whether XLA keeps, on GPUs, to operations and algorithms that give the same "
        "bits run after run; may be slower.",
    )


@dataclasses.dataclass(frozen=True)
class FirstPrecisionConfig(Settings):
    """How exactly a network multiplies that is not trained yet."""

    matmul_precision: str = option(
        "float32",
        "Precision of float32 products on GPUs and TPUs: float32, tf32 or bfloat16. "
        "CPUs always use float32.",
        choices=PRECISIONS,
    )


@dataclasses.dataclass(frozen=True)
class FirstComputeConfig(FirstPrecisionConfig, ComputeConfig):
    """How a network is computed that is not trained yet."""


@dataclasses.dataclass(frozen=True)
class PredictComputeConfig(ComputeConfig):
    """How scores of files are computed."""

    compilation_cache_dir: str | None = _cache_option("In the user's cache folder")


@dataclasses.dataclass(frozen=True)
class ProfileConfig(Settings):
    """Which training steps are traced."""

    folder: Path | None = option(
        None,
        "Folder for a trace of some training steps, for Perfetto or XProf.",
        is_stored=False,
        name="profile_dir",
    )
    first_step: int = option(
        10,
        "First training step that is traced.",
        minimum=1,
        is_stored=False,
        name="profile_first_step",
    )
    last_step: int | None = option(
        None,
        "Last training step that is traced; by default the fourth after the first.",
        minimum=1,
        is_stored=False,
        name="profile_last_step",
    )

    def __post_init__(self) -> None:
        """Completes and checks the settings.

        Raises:
            RequestError: A value is not valid, or the last step precedes the first.
        """
        super().__post_init__()
        if self.last_step is None:
            object.__setattr__(self, "last_step", self.first_step + 4)
        elif self.last_step < self.first_step:
            raise RequestError(
                "`profile_last_step`: expected at least `profile_first_step`, "
                f"{self.first_step}, found {self.last_step}"
            )


def _search_size_option(**facts: Any) -> Any:
    return option(
        None,
        "Longest side, in pixels, to which a picture is shrunk for finding faces; by "
        "default 640, and with `all_faces` 1440 too. Small faces need a larger one.",
        minimum=32,
        maximum=100_000,
        **facts,
    )


@dataclasses.dataclass(frozen=True)
class FaceConfig(Settings):
    """How faces are found in pictures and cut out of them."""

    detector: str = option(
        "",
        "Face detector: yunet, haar, boxes (read from a CSV file) or none (pictures "
        "are taken whole).",
        name="face_detector",
    )
    model: Path | None = option(
        None, "ONNX file of the face detector yunet.", name="face_detector_model"
    )
    boxes: Path | None = option(
        None, "CSV file of face boxes, for the face detector boxes.", name="face_boxes"
    )
    min_score: float | None = option(
        None,
        "Lowest score at which the face detector yunet reports a face; 0.7 by default.",
        name="face_min_score",
    )
    scale: float | None = option(
        None,
        "Side of a crop relative to the longer side of the face box; 1.3 by default.",
        above=0,
        maximum=10,
        name="face_scale",
    )
    align: bool = option(
        False, "Whether crops are aligned by eyes and mouth; needs `size`."
    )
    all_faces: bool = option(False, "Whether every face is used, not only the largest.")
    search_size: int | None = _search_size_option(name="face_search_size")
    size: int | None = option(
        None,
        "Side of the crops in pixels; by default crops are not resampled.",
        minimum=16,
        maximum=4096,
    )


@dataclasses.dataclass(frozen=True)
class FrameConfig(Settings):
    """Which frames of a video are used."""

    frames_per_video: int | None = option(
        None, "Number of evenly spaced frames per video; 32 by default.", minimum=1
    )
    frame_step: int | None = option(
        None, "Use every n-th frame instead of evenly spaced ones.", minimum=1
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or both are given.
        """
        super().__post_init__()
        if self.frames_per_video is not None and self.frame_step is not None:
            raise RequestError(
                "`frames_per_video` and `frame_step` say different things; give one"
            )


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Settings):
    """A face-recognition network and its weights."""

    backbone: str | None = option(
        None, "Backbone, a face-recognition network.", is_architecture=True
    )
    weights: Path | None = option(
        None,
        "Weights: a published file, or a folder that the mode convert wrote; for "
        "dlib_resnet29 by default those of the extra `recognition`.",
    )


@dataclasses.dataclass(frozen=True)
class CountConfig(BackboneConfig):
    """What is counted as an activated neuron of a face-recognition network."""

    neuron: str = option(
        "unit",
        "What counts as one neuron: unit (each number of a layer's output) or "
        "channel (the mean of each feature map).",
        choices=("unit", "channel"),
    )
    site: str = option(
        "layer",
        "Where a layer is read: layer (at its output) or activation (after "
        "normalisation and activation function).",
        choices=("layer", "activation"),
    )


@dataclasses.dataclass(frozen=True)
class BackboneFeatureConfig(CountConfig):
    """A face-recognition network, to extract features with it."""

    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """A training run."""

    workdir: Path = option(help="Folder of the training run.", is_stored=False)
    detector: str = option(systems.DEFAULT, "Detector to train.", choices=systems.names)
    data: DataConfig = part(DataConfig)
    input: InputConfig = part(InputConfig)
    recipe: Mapping[str, Any] = part(Recipe, is_partial=True)
    seed: int = option(0, "Seed of all random choices.", minimum=0, maximum=2**32 - 1)
    compute: FirstComputeConfig = part(FirstComputeConfig)
    profile: ProfileConfig | None = part(
        ProfileConfig,
        is_optional=True,
        triggers=("profile_dir",),
        reason="it says where the trace goes",
    )
    options: Any = part(select=systems.options_of, every=systems.all_options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _BatchConfig(Settings):
    """How many pictures a trained network sees at once."""

    batch_size: int = option(
        64, "Pictures per step, rounded up to a multiple of the devices.", minimum=1
    )
    compute: ComputeConfig = part(ComputeConfig)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SplitConfig(_BatchConfig):
    """A split of a dataset, and how it is read."""

    input: InputConfig = part(InputConfig)
    split: str = option(
        "test", "Split: train, validation, test or all.", choices=SPLITS
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OneDatasetConfig(_SplitConfig):
    """A split of one dataset, by default of that of the training."""

    data: DataConfig | None = part(
        DataConfig,
        is_optional=True,
        triggers=("dataset", "data_dir"),
        reason=_DATA_FOLLOW,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatingPointConfig(Settings):
    """Which scores are decided fake."""

    threshold: float | None = option(
        None,
        "Scores at or above it are decided fake; by default that of the training.",
        minimum=0,
        maximum=1,
    )
    max_false_alarms: float | None = option(
        None,
        "Instead of a threshold: the largest share of the real validation pictures of "
        "the training that may be called fake, such as 0.01.",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or both are given.
        """
        super().__post_init__()
        if self.threshold is not None and self.max_false_alarms is not None:
            raise RequestError(
                "`threshold` and `max_false_alarms` both say which scores are decided "
                "fake; give one"
            )


# Shares of wrong decisions of either kind where `unsure` is asked for without them.
_UNSURE_RATE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerdictConfig(OperatingPointConfig):
    """Which scores are decided at all."""

    unsure: bool = option(
        False,
        "Whether scores between two thresholds are `unsure` instead of real or fake; "
        "on where a rate is given.",
    )
    false_alarm_rate: float | None = option(
        None,
        "Largest share of the real validation pictures that may be called fake where "
        "others are unsure; 0.05 by default.",
        above=0,
        below=1,
    )
    miss_rate: float | None = option(
        None,
        "Largest share of the fake validation pictures that may be called real where "
        "others are unsure; 0.05 by default.",
        above=0,
        below=1,
    )

    stability: bool = option(
        False,
        "Whether each face is scored after mild changes too (JPEG of quality 75, three "
        "quarters of the size and back, a shift by a pixel), and is `unsure` where "
        "these change the decision. Takes four times as long.",
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or settings contradict each other.
        """
        super().__post_init__()
        if self.unsure_rates is None:
            return
        given = next(
            name
            for name in ("false_alarm_rate", "miss_rate", "unsure")
            if getattr(self, name)
        )
        for name in ("threshold", "max_false_alarms"):
            if getattr(self, name) is not None:
                raise RequestError(
                    f"`{given}` and `{name}`: the first leaves scores between two "
                    "thresholds unsure, the second decides all by one; give one"
                )

    @property
    def unsure_rates(self) -> tuple[float, float] | None:
        """Shares of real pictures called fake and of fakes called real.

        None where every score is decided.
        """
        rates = self.false_alarm_rate, self.miss_rate
        if not self.unsure and rates == (None, None):
            return None
        false_alarms, misses = (
            _UNSURE_RATE if rate is None else rate for rate in rates
        )
        return false_alarms, misses


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(_SplitConfig, OperatingPointConfig):
    """What all evaluations of a trained detector have in common."""

    workdir: Path = option(help="Folder of the training run.")
    name: str = option(
        "", "Name of the results folder; by default made of dataset and split."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureConfig(EvaluationConfig, VerdictConfig):
    """What evaluations have in common that give intervals."""

    num_resamples: int = option(
        1000,
        "Bootstrap samples for the confidence intervals; 0 omits the intervals.",
        minimum=0,
    )
    perturb: str = option(
        "", "Perturbation of every picture: OPERATION:STRENGTH, OPERATION:mix or mix."
    )
    seed: int = option(
        0,
        "Seed of the perturbation and of the bootstrap.",
        minimum=0,
        maximum=2**32 - 1,
    )
    report: bool = option(
        True,
        "Whether each evaluation has a page with figures; tables and numbers are "
        "always written.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(_OneDatasetConfig, MeasureConfig):
    """An evaluation of a trained detector on one dataset."""

    group_by: str = option(
        "",
        "Column of `group_table` whose values make groups of pictures, each with its "
        "own metrics.",
    )
    group_table: Path | None = option(
        None,
        "CSV file with the column path, as in scores.csv or its end, and more columns, "
        "such as the table that labelled the pictures.",
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or one of the two is missing.
        """
        super().__post_init__()
        if bool(self.group_by) != (self.group_table is not None):
            missing = "group_table" if self.group_by else "group_by"
            raise RequestError(
                f"`{missing}`: expected a table and one of its columns, found only "
                f"`{'group_by' if self.group_by else 'group_table'}`; give both"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossDatasetConfig(MeasureConfig):
    """Evaluations of a trained detector on several datasets, in one table."""

    datasets: tuple[str, ...] = option(
        help="Datasets to evaluate, each as FOLDER or NAME=FOLDER."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardConfig(Settings):
    """Work that several processes share."""

    shard: str = option(
        "",
        "Which of several processes this one is, such as 0/4; they share the folder.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteConfig(_OneDatasetConfig, EvaluationConfig, ShardConfig):
    """A robustness suite, measured with a trained detector."""

    suite: str = option(help="Name of the robustness suite.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForeignScoresConfig(Settings):
    """A robustness suite, measured with scores of another program's detector."""

    scores: Path = option(
        help="CSV file with a score for each picture that the mode export wrote for "
        "the suite."
    )
    suite: str = option(help="Name of the robustness suite.")
    pictures: Path = option(help="Folder that the mode export wrote for the suite.")
    output: Path = option(help="Folder for the results.")
    name: str = option("", "Name of the detector; by default the stem of `scores`.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilesConfig(_BatchConfig):
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
    face_search_size: int | None = _search_size_option()
    frames: FrameConfig | None = part(FrameConfig, is_optional=True)
    media: MediaConfig | None = part(MediaConfig, is_optional=True)
    seconds_per_file: float = option(
        0.0,
        "Seconds after which a file is given up, with an error; 0 for no limit. Needs "
        "reading processes.",
        minimum=0,
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
        reason=_ENGINE_FOLLOWS,
    )

    @property
    def format(self) -> str:
        """Format of the parts."""
        return self.part_format or PART_FORMATS[0]


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
        "Pictures per step, rounded up to a multiple of the devices; by default 64, or "
        "for 256 files or more as many as the memory of GPUs and TPUs holds.",
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
class ExtractConfig(FilesConfig, _OneDatasetConfig):
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(Settings):
    """Measurements of speed on this machine."""

    detector: str = option(
        systems.DEFAULT, "Detector to measure.", choices=systems.names
    )
    data: DataConfig | None = part(DataConfig, is_optional=True)
    input: InputConfig = part(InputConfig)
    batch_size: int = option(64, "Pictures per step.", minimum=1)
    num_repeats: int = option(
        5, "Runs of each measurement; the median is reported.", minimum=1
    )
    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)
    compute: FirstComputeConfig = part(FirstComputeConfig)
    compare: str | None = option(
        None, "Library to compare with in turns: torch (PyTorch).", choices=("torch",)
    )
    output: Path | None = option(None, "JSON file for the results.")
    face_detector_model: Path | None = option(
        None, "ONNX file of yunet; with it, finding and reading faces are measured too."
    )
    options: Any = part(
        select=systems.benchmark_options_of, every=systems.all_benchmark_options
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileConfig(Settings):
    """A program that a detector or a backbone runs, compiled for a device."""

    what: str | None = option(
        None,
        "Program: train (a step), score (class probabilities), coverage (neuron "
        "counts), mixture (a block of rows in its fit) or forward (a backbone alone); "
        "by default the first that the detector has.",
        choices=("train", "score", "coverage", "mixture", "forward"),
    )
    detector: str | None = option(
        None,
        "Detector that runs the program; of a backbone alone, by default the one that "
        "counts its neurons.",
        choices=systems.names,
    )
    device: str = option(
        "",
        "Device to compile for: cpu, tpu:GENERATION:TOPOLOGY such as tpu:v5e:2x2, "
        "cuda:NAME or cuda:NAME:N such as cuda:h100:4, or cuda:FILE with a GPU's "
        "description; by default the devices of this machine.",
    )
    num_devices: int | None = option(
        None,
        "Devices that share the batch; by default all, of an absent GPU one.",
        minimum=1,
    )
    batch_size: int | None = option(
        None,
        "Pictures of a call, over all devices; by default about 64. Of a mixture the "
        "rows of a block; by default those of a fit to 25,000 rows.",
        minimum=1,
    )
    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)
    precision: FirstPrecisionConfig = part(FirstPrecisionConfig)
    output: Path | None = option(None, "JSON file for the results.")
    hlo_dir: Path | None = option(None, "Folder for the optimised program.")
    options: Mapping[str, Any] = part(
        select=systems.options_of_program,
        every=systems.all_options,
        is_partial=True,
        only=lambda known: known.is_architecture,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckConfig(Settings):
    """Labelled pictures that are looked at before a training."""

    paths: tuple[str, ...] = option((), "Folder with a folder for each class.")
    real_classes: tuple[str, ...] = option(
        (), "Classes that are real although their names do not say so."
    )
    fake_classes: tuple[str, ...] = option(
        (), "Classes that are fake although their names say that they are real."
    )
    subfolders: str = option(
        "together",
        "Whether the pictures of a folder within a class stay in one split: together "
        "or apart.",
        choices=("together", "apart"),
    )
    network: BackboneConfig = part(BackboneConfig)
    num_threads: int = option(8, "Decoding threads.", minimum=1)
    output: Path | None = option(None, "JSON file for the results.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(Settings):
    """Pictures of a dataset, written as files."""

    output: Path = option(help="Folder for the pictures.")
    data: DataConfig = part(DataConfig)
    split: str = option(
        "test", "Split: train, validation, test or all.", choices=SPLITS
    )
    num_per_class: int | None = option(
        None,
        "Number of pictures of each class, from the first on; 0 for all. By default 4, "
        "or all for a suite.",
        minimum=0,
    )
    suite: str = option(
        "", "Robustness suite under whose conditions the pictures are written."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeployConfig(OperatingPointConfig):
    """A trained detector as a file of its own."""

    workdir: Path = option(help="Folder of the training run.")
    output: Path = option(help="File to write, such as detector.zip or detector.onnx.")
    format: str = option(
        "stablehlo",
        "stablehlo is a .zip file that JAX runs on all its platforms, onnx an .onnx "
        "file for other runtimes.",
        choices=("stablehlo", "onnx"),
    )
    batch_size: int | None = option(
        None,
        "Crops of each call; by default any number. JAX 0.10 reads a file that JAX "
        "0.12 wrote only with a fixed number.",
        minimum=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(Settings):
    """Published weights, stored as ours."""

    model: str = option(help="Network or detector that the weights belong to.")
    weights: Path = option(help="Weight file.")
    output: Path = option(help="Folder for the result.")
    container: str | None = option(
        None,
        "Container of a checkpoint that holds the weights, such as state_dict_ema; "
        "needed where several do.",
    )
    ignore: tuple[str, ...] = option(
        (), "Names or patterns of arrays that may be missing, extra or mis-shaped."
    )
    verbose: bool = option(False, "Whether every array is listed with its two names.")
    options: Mapping[str, Any] = part(
        select=systems.options_of_model,
        every=systems.all_options,
        is_partial=True,
        only=lambda known: known.is_architecture,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(Settings):
    """Evaluations, shown side by side."""

    paths: tuple[str, ...] = option(
        (), "Folders of evaluations, or CSV files with path,label,score."
    )
    output: Path = option(help="Folder for the results.")
    names: tuple[str, ...] = option(
        (), "Names of the evaluations; by default made of their paths."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(ShardConfig):
    """Trainings and tests that make up a table.

    Attributes:
        overrides: Flags such as `num_epochs=5` that follow those of each training.
    """

    study: Path = option(help="JSON file that lists trainings and tests.")
    output: Path = option(help="Folder for the runs and the table.")
    seeds: tuple[int, ...] = option(
        (0,), "Seeds; each training runs once per seed.", minimum=0
    )
    overrides: tuple[str, ...] = ()
    data: DataConfig | None = part(
        DataConfig, is_optional=True, triggers=("dataset", "data_dir")
    )
    input: InputConfig = part(InputConfig)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig(Settings):
    """A dataset of face crops, made of photographs and videos."""

    output: Path = option(help="Folder for the dataset.")
    data: DataConfig = part(DataConfig)
    faces: FaceConfig = part(FaceConfig)
    frames: FrameConfig = part(FrameConfig)
    media: MediaConfig = part(MediaConfig)
    split_by: str = option(
        "official",
        "How the splits are made: official (the dataset's own, else by people, videos "
        "or content), identity (by people), or frames (each video is divided).",
        choices=("official", "identity", "frames"),
    )
    layout_options: Mapping[str, Any] = part(
        select=_layout_options, every=_all_layout_options, is_partial=True
    )
    compress: bool = option(
        False,
        "Whether crops are compressed, which makes files smaller and reading slower.",
    )
    num_workers: int | None = option(
        None, "Working processes; one per core by default.", minimum=1
    )
    seed: int = option(0, "Seed of the splits.", minimum=0, maximum=2**32 - 1)
    engine: EngineConfig | None = part(
        EngineConfig,
        is_optional=True,
        triggers=("engine",),
        reason=_ENGINE_FOLLOWS,
    )
    tags: Path | None = option(
        None,
        "CSV file with the columns path,iso,aperture,exposure_time,focal_length, "
        "for photographs without EXIF data.",
    )

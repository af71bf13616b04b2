# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What can be asked for: one frozen dataclass per mode, filled by the command line."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which pictures.

    Attributes:
        dataset: Name of the dataset.
        data_dir: Where it lies; None for the user's cache folder.
        real_classes: For `folder`: classes that are real whatever their name.
        task: `multiclass` keeps the classes, `binary` merges them into real and fake.
        validation_fraction: Part of the training pictures held out for validation
            where the dataset has no split of its own.
        num_identities: Of `synthetic_faces`: people; None for the usual number.
    """

    dataset: str = "synthetic_faces"
    data_dir: Path | None = None
    real_classes: tuple[str, ...] = ()
    task: str = "multiclass"
    validation_fraction: float = 0.05
    num_identities: int | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "DataConfig":
        """The pictures of a training run, from its `config.json`.

        Raises:
            RequestError: It does not say.
        """
        try:
            data_dir = settings["data_dir"]
            # Runs of earlier versions do not say it.
            num_identities = settings.get("num_identities")
            return cls(
                dataset=str(settings["dataset"]),
                data_dir=Path(data_dir) if data_dir else None,
                real_classes=tuple(map(str, settings["real_classes"])),
                task=str(settings["task"]),
                validation_fraction=float(settings["validation_fraction"]),
                num_identities=int(num_identities) if num_identities else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError(
                "`workdir`: config.json does not say what the training pictures were, "
                "as that of a converted detector; name pictures with `data_dir`"
            ) from error


@dataclasses.dataclass(frozen=True)
class InputConfig:
    """How pictures are read.

    Attributes:
        num_workers: Worker processes; 0 decodes in threads of this process.
        num_threads: Decoding threads, in each worker process.
    """

    num_workers: int = 0
    num_threads: int = 8


@dataclasses.dataclass(frozen=True)
class FaceConfig:
    """How faces are found in pictures and cut out of them.

    Attributes:
        detector: `yunet`, `haar`, `boxes` or `none`.
        model: ONNX file for `yunet`.
        boxes: CSV file for `boxes`.
        min_score: Least score of a face; None for the detector's own.
        scale: Side of a crop to the longer side of the box; None for 1.3.
        align: Whether eyes and mouth are brought to fixed places; needs a size.
        all_faces: Whether all faces of a picture are taken, or the largest.
        size: Side of a crop in pixels; None keeps the pixels as they are.
    """

    detector: str
    model: Path | None = None
    boxes: Path | None = None
    min_score: float | None = None
    scale: float | None = None
    align: bool = False
    all_faces: bool = False
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class FrameConfig:
    """Which frames of a video are looked at.

    Attributes:
        frames_per_video: Evenly spaced frames.
        frame_step: Every n-th frame instead; None for evenly spaced ones.
    """

    frames_per_video: int = 32
    frame_step: int | None = None


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        detector: Name of the detector.
        workdir: Where everything is written.
        data: The pictures.
        input: How they are read.
        recipe: Fields of `optim.Recipe` that replace the detector's own.
        seed: Of initial values, order and flips.
        flip: Whether pictures are mirrored at random.
        dtype: `float32` or `bfloat16`, of the computation; parameters are float32.
        batch_norm_fraction: How much of their old value the running statistics of
            batch normalisation keep at a step; None for the network's own.
        num_microbatches: Parts of a batch whose gradients are averaged.
        select_by: The validation metric that chooses the best step: `accuracy`, `auc`
            or `loss`; of equals the later one is kept.
        log_every: Steps between two transfers of the metrics.
        checkpoint_every: Steps between two checkpoints.
        weights: File of published weights, or folder that `convert` wrote: of the
            backbone, or to start from where the detector is one network.
        amten_variant: Of AMTENnet, one of `models.amtennet.VARIANTS`; None for the
            published network.
        residual: Residual layer that takes AMTEN's place, one of
            `models.residuals.KINDS`; None for AMTEN.
        perturb: Post-processing of the training pictures, one of these for each
            picture, equally often; as `perturb.specification.parse` reads them. Empty
            for the pictures as they are.
        perturb_copies: Training pictures to those of the dataset, post-processed once
            and for all; None draws anew in every epoch.
        backbone: Name of the recognition network, for detectors that look at one.
        neuron: What counts as a neuron of a layer: `unit` or `channel`.
        site: Where a layer is looked at: `layer` or `activation`.
        widths: Of the hidden layers of the classifier of neuron counts.
        cache_dir: Folder for features that were computed once; None for the user's
            cache folder.
        embedder: Name of the network that learns to embed faces, for detectors of
            anomalies, one of `models.face_ranker.names()`; None for the published one.
        paired: Whether that network sees every photograph beside its manipulated self.
        manipulated_weight: Of the loss of its manipulated head; the rankings have 1.
        pretrained: Workdir of such a detector whose embedding is taken instead.
        covariance: Of the components of a mixture; one of `mixture.COVARIANCE_TYPES`.
        num_components: Of a mixture; of several numbers BIC chooses one.
        num_restarts: Starts of a mixture, of which the best counts.
        reg_covar: What is added to the variances of a mixture, as a share of the mean
            variance of a feature.
        false_alarm_rate: Share of held-out photographs that are called fake.
    """

    detector: str
    workdir: Path
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    recipe: dict[str, float | int | str] = dataclasses.field(default_factory=dict)
    seed: int = 0
    flip: bool = True
    dtype: str = "float32"
    batch_norm_fraction: float | None = None
    num_microbatches: int = 1
    select_by: str = "accuracy"
    log_every: int = 20
    checkpoint_every: int = 200
    weights: Path | None = None
    amten_variant: str | None = None
    residual: str | None = None
    perturb: tuple[str, ...] = ()
    perturb_copies: float | None = None
    backbone: str | None = None
    neuron: str = "unit"
    site: str = "layer"
    widths: tuple[int, ...] = (64, 32, 16, 8)
    cache_dir: Path | None = None
    embedder: str | None = None
    paired: bool = False
    manipulated_weight: float = 1.0
    pretrained: Path | None = None
    covariance: str = "full"
    num_components: tuple[int, ...] = (12,)
    num_restarts: int = 1
    reg_covar: float = 1e-3
    false_alarm_rate: float = 0.05


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """An evaluation of a trained detector.

    Attributes:
        workdir: Of the training run.
        data: The pictures; None for those that the detector was trained on.
        input: How they are read.
        split: `train`, `validation`, `test` or `all`.
        name: Of the folder under `evaluations`; made of dataset and split when empty.
        batch_size: Pictures per step, rounded up to a multiple of the devices.
        datasets: Several datasets instead, to be shown in one table; each a folder, or
            `NAME=FOLDER`.
        num_resamples: Bootstrap samples of the confidence intervals; 0 for none.
        suite: Name of a robustness suite; empty for the pictures as they are.
        perturb: Post-processing of every picture, as `perturb.specification.parse`
            reads it; empty for the pictures as they are.
        seed: Of what `perturb` draws, and of the bootstrap.
    """

    workdir: Path
    data: DataConfig | None = None
    input: InputConfig = InputConfig()
    split: str = "test"
    name: str = ""
    batch_size: int = 64
    datasets: tuple[str, ...] = ()
    num_resamples: int = 1000
    suite: str = ""
    perturb: str = ""
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class ForeignScoresConfig:
    """A suite's table for a detector that is not of this project.

    Attributes:
        scores: CSV file with the score of every picture that `export` wrote for the
            suite.
        suite: Name of the robustness suite.
        pictures: Folder that `export` wrote.
        output: Folder for the result.
        name: What to call the detector; the stem of `scores` when empty.
    """

    scores: Path
    suite: str
    pictures: Path
    output: Path
    name: str = ""


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """Scores for files and folders.

    Attributes:
        workdir: Of the training run.
        paths: Files and folders, of photographs and videos.
        output: CSV file; None for standard output.
        faces: How faces are found and cut out; None for the way of the training.
        face_detector_model: ONNX file, where the training's detector needs one and
            `faces` is None.
        all_faces: Whether every face gets a score, or the largest one.
        frames: Which frames of videos; None for as many as in training.
        frame_scores: CSV file for the scores of each frame; None for none.
        annotated: Folder for copies with boxes and scores drawn in; None for none.
        batch_size: Pictures per step, rounded up to a multiple of the devices.
        num_threads: Decoding threads.
    """

    workdir: Path
    paths: tuple[str, ...]
    output: Path | None = None
    faces: FaceConfig | None = None
    face_detector_model: Path | None = None
    all_faces: bool = False
    frames: FrameConfig | None = None
    frame_scores: Path | None = None
    annotated: Path | None = None
    batch_size: int = 64
    num_threads: int = 8


@dataclasses.dataclass(frozen=True)
class ExtractConfig:
    """Features of the pictures of a dataset or of files.

    Attributes:
        features: `traces`, `coverage` or `embedding`.
        output: Folder for `features.npz` and pictures.
        workdir: Of the training run whose network is used; None for a backbone.
        backbone: Name of a recognition network instead of a workdir.
        weights: Its weights: a published file, or a folder that `convert` wrote.
        neuron: See `TrainConfig`.
        site: See `TrainConfig`.
        dtype: Of the computation of a backbone.
        thresholds: `.npz` file with an array `thresholds`; None takes those of the
            workdir, or fits them on the pictures.
        data: The pictures, unless `paths` are given.
        input: How they are read.
        split: Split of the dataset.
        paths: Files and folders instead of a dataset.
        faces: How faces of files are found and cut out; None for the way of the
            training.
        face_detector_model: ONNX file, where the training's detector needs one and
            `faces` is None.
        all_faces: Whether every face of a file is used, or the largest one.
        frames: Which frames of videos; None for as many as in training.
        batch_size: Pictures per step, rounded up to a multiple of the devices.
        num_figures: Pictures whose traces are drawn.
    """

    features: str
    output: Path
    workdir: Path | None = None
    backbone: str | None = None
    weights: Path | None = None
    neuron: str = "unit"
    site: str = "layer"
    dtype: str = "float32"
    thresholds: Path | None = None
    data: DataConfig | None = None
    input: InputConfig = InputConfig()
    split: str = "test"
    paths: tuple[str, ...] = ()
    faces: FaceConfig | None = None
    face_detector_model: Path | None = None
    all_faces: bool = False
    frames: FrameConfig | None = None
    batch_size: int = 64
    num_figures: int = 4


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Measurements of speed on this machine.

    Attributes:
        detector: Name of the detector.
        workdir: For `fakespotter`: of a training run whose network is measured.
        backbone: For `fakespotter`: the network, where there is no workdir.
        weights: Its weights; None takes initial ones, which are as fast.
        neuron: See `TrainConfig`.
        site: See `TrainConfig`.
        data: The pictures for the input pipeline; None makes JPEGs of 256².
        input: How they are read.
        batch_size: Pictures per step.
        num_repeats: Runs of each measurement; the median counts.
        dtype: Of the computation.
        output: JSON file for the numbers; None for none.
        face_detector_model: YuNet's ONNX file, to measure finding and reading faces
            too; None leaves it out.
        embedder: For `exif_anomaly`: see `TrainConfig`.
    """

    detector: str
    workdir: Path | None = None
    backbone: str | None = None
    weights: Path | None = None
    neuron: str = "unit"
    site: str = "layer"
    data: DataConfig | None = None
    input: InputConfig = InputConfig()
    batch_size: int = 64
    num_repeats: int = 5
    dtype: str = "float32"
    output: Path | None = None
    face_detector_model: Path | None = None
    embedder: str | None = None


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Pictures of a dataset, to be written as files.

    Attributes:
        output: Folder for them.
        data: The dataset.
        split: Its split.
        num_per_class: At most so many of each class, the first ones; None for all.
        suite: Name of a robustness suite under whose conditions they are written;
            empty for the pictures as they are.
    """

    output: Path
    data: DataConfig = DataConfig()
    split: str = "test"
    num_per_class: int | None = 4
    suite: str = ""


@dataclasses.dataclass(frozen=True)
class ConvertConfig:
    """Weights of a foreign file, to be stored as ours.

    Attributes:
        model: Name of the network.
        weights: The file.
        output: Folder for the result.
        ignore: Names of arrays, or patterns of names, that may be missing, superfluous
            or of another shape.
        amten_variant: See `TrainConfig`.
    """

    model: str
    weights: Path
    output: Path
    ignore: tuple[str, ...] = ()
    amten_variant: str | None = None


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Evaluations, to be shown side by side.

    Attributes:
        paths: Folders of evaluations, or CSV files with `path,label,score`.
        output: Folder for the result.
        names: What to call them; made of the paths when empty.
    """

    paths: tuple[str, ...]
    output: Path
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Trainings and tests that make up a table.

    Attributes:
        study: JSON file that lists them.
        output: Folder for the runs and the table.
        seeds: Of the trainings; each is repeated with every one of them.
        overrides: Flags such as `num_epochs=5` that follow those of each training.
        data: The pictures of training and tests; None for those of the flagfiles.
        input: How they are read.
    """

    study: Path
    output: Path
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[str, ...] = ()
    data: DataConfig | None = None
    input: InputConfig = InputConfig()


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """Photographs and videos, to be made a dataset of face crops.

    Attributes:
        output: Folder for the dataset, its manifest and what is under way.
        data: What lies there; `data_dir` holds the official layout.
        faces: How faces are found and cut out.
        frames: Which frames of videos.
        split_by: `official`, or where there are no official splits by people, videos
            or content; `identity` never asks for official ones; `frames` divides each
            video.
        layout_options: What only some layouts know, such as `qualities` of
            `faceforensics`; see the modules of `data.layouts`.
        compress: Whether the crops are deflated: two thirds of the size, and much
            slower to read.
        num_workers: Processes; None for one per core.
        seed: Of the splits.
        beam_pipeline_options: Options of Apache Beam, whose workers then find the
            faces instead of processes of this machine; each `name=value` or `name`.
        tags: CSV file with camera settings, in place of those of the files it names;
            see `data.tags_file`.
    """

    output: Path
    data: DataConfig
    faces: FaceConfig
    frames: FrameConfig = FrameConfig()
    split_by: str = "official"
    layout_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    compress: bool = False
    num_workers: int | None = None
    seed: int = 0
    beam_pipeline_options: tuple[str, ...] = ()
    tags: Path | None = None

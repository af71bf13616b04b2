# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which flags a mode looks at; any other is refused, for it would change nothing."""

from absl import flags

from fakedet_jax.cli import definitions
from fakedet_jax.errors import RequestError

FLAGS = flags.FLAGS

RECIPE_FLAGS = (
    "optimizer",
    "learning_rate",
    "schedule",
    "decay_steps",
    "decay_factor",
    "momentum",
    "weight_decay",
    "batch_size",
    "num_epochs",
    "decay_per_step",
    "dampening",
    "final_learning_rate",
)
DATA_FLAGS = (
    "dataset",
    "data_dir",
    "real_classes",
    "task",
    "validation_fraction",
    "num_identities",
)
INPUT_FLAGS = ("num_workers", "num_threads")
FACE_FLAGS = (
    "face_detector",
    "face_detector_model",
    "face_boxes",
    "face_min_score",
    "face_scale",
    "align",
    "all_faces",
    "size",
)
FRAME_FLAGS = ("frames_per_video", "frame_step")
# Options of layouts of the same names.
LAYOUT_FLAGS = ("qualities", "methods", "labels", "source_size", "held_out_as")
COUNT_FLAGS = ("backbone", "weights", "neuron", "site")
# What predict may be told where faces are found as they were for the training.
FOLLOWING_FACE_FLAGS = ("face_detector", "face_detector_model", "all_faces")
# Fields of `TrainConfig` of the same names.
RUN_FLAGS = (
    "flip",
    "dtype",
    "batch_norm_fraction",
    "num_microbatches",
    "select_by",
    "log_every",
    "checkpoint_every",
    "backbone",
    "neuron",
    "site",
    "amten_variant",
    "residual",
    "perturb_copies",
    "embedder",
    "paired",
    "manipulated_weight",
    "covariance",
    "num_restarts",
    "reg_covar",
    "false_alarm_rate",
)
# All of a training but where it is written and its seed.
TRAIN_FLAGS = (
    *RECIPE_FLAGS,
    *DATA_FLAGS,
    *INPUT_FLAGS,
    *RUN_FLAGS,
    "detector",
    "weights",
    "widths",
    "cache_dir",
    "perturb",
    "pretrained",
    "num_components",
)

# The flags that a mode looks at.
HEARD: dict[str, tuple[str, ...]] = {
    "train": (*TRAIN_FLAGS, "workdir", "seed"),
    "evaluate": (
        *DATA_FLAGS,
        *INPUT_FLAGS,
        "workdir",
        "split",
        "name",
        "batch_size",
        "perturb",
        "seed",
        "suite",
        "scores",
        "pictures",
        "output",
        "datasets",
        "num_resamples",
    ),
    "predict": (
        *FACE_FLAGS,
        *FRAME_FLAGS,
        "workdir",
        "output",
        "frame_scores",
        "annotated",
        "batch_size",
        "num_threads",
    ),
    "prepare": (
        *FACE_FLAGS,
        *FRAME_FLAGS,
        *LAYOUT_FLAGS,
        "dataset",
        "data_dir",
        "real_classes",
        "validation_fraction",
        "split_by",
        "compress",
        "beam_pipeline_options",
        "tags",
        "output",
        "num_workers",
        "seed",
    ),
    "export": (*DATA_FLAGS, "output", "split", "suite", "num_per_class"),
    "extract": (
        *DATA_FLAGS,
        *INPUT_FLAGS,
        *COUNT_FLAGS,
        *FACE_FLAGS,
        *FRAME_FLAGS,
        "features",
        "output",
        "workdir",
        "thresholds",
        "split",
        "batch_size",
        "dtype",
        "num_figures",
    ),
    "convert": ("model", "weights", "output", "ignore", "amten_variant"),
    "compare": ("output", "names"),
    "study": (*TRAIN_FLAGS, "output", "seeds"),
    "benchmark": (
        *DATA_FLAGS,
        *INPUT_FLAGS,
        *COUNT_FLAGS,
        "detector",
        "embedder",
        "workdir",
        "face_detector_model",
        "batch_size",
        "num_repeats",
        "dtype",
        "output",
    ),
}


def check_heard(mode: str) -> None:
    """Refuses a given flag that a mode would not look at.

    Raises:
        RequestError: There is one.
    """
    common = ("mode", "distributed", "coordinator_address", "num_processes")
    heard = {*HEARD[mode], *common, "process_id"}
    for flag in FLAGS.flags_by_module_dict()[definitions.__name__]:
        if flag.present and flag.name not in heard:
            users = ", ".join(name for name in HEARD if flag.name in HEARD[name])
            raise RequestError(
                f"--{flag.name}: --mode={mode} does not look at it, only {users} does; "
                "leave it out"
            )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What enters and leaves the toolkit: weights, detectors, pictures."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax import systems
from fakedet_jax.config.data import SPLITS, DataConfig
from fakedet_jax.config.verdict import OperatingPointConfig
from fakedet_jax.settings import Settings, option, part


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(Settings):
    """Published weights, stored as ours."""

    model: str = option(help="Network or detector that the weights belong to.")
    weights: Path = option(
        help="Weight file; hf://OWNER/NAME/FILE for one of Hugging Face."
    )
    output: Path = option(help="Folder for the result.")
    encoder_weights: Path | None = option(
        None,
        "Weights of the encoder, for a detector whose file holds only what is behind "
        "it: a weight file, or a folder that the mode convert wrote.",
    )
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

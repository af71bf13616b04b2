# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What each mode can be asked for: one `Settings` class per mode.

The command line derives its flags from these classes; jobs take instances of them.
"""

from fakedet_jax.config.compare import CompareConfig, StudyConfig
from fakedet_jax.config.compute import (
    DTYPES,
    PRECISIONS,
    ComputeConfig,
    FirstComputeConfig,
    FirstPrecisionConfig,
    PredictComputeConfig,
    ProfileConfig,
)
from fakedet_jax.config.data import SPLITS, DataConfig, FileInputConfig, InputConfig
from fakedet_jax.config.evaluate import (
    CrossDatasetConfig,
    EvaluateConfig,
    EvaluationConfig,
    ForeignScoresConfig,
    MeasureConfig,
    SuiteConfig,
)
from fakedet_jax.config.exchange import ConvertConfig, DeployConfig, ExportConfig
from fakedet_jax.config.faces import FaceConfig, FrameConfig
from fakedet_jax.config.files import (
    ExtractConfig,
    FilesConfig,
    MergeConfig,
    PredictConfig,
)
from fakedet_jax.config.fusion import FuseConfig, FusionMembersConfig
from fakedet_jax.config.machine import BenchmarkConfig, CompileConfig
from fakedet_jax.config.networks import (
    BackboneConfig,
    BackboneFeatureConfig,
    CountConfig,
)
from fakedet_jax.config.prepare import CheckConfig, PrepareConfig
from fakedet_jax.config.train import TrainConfig
from fakedet_jax.config.verdict import OperatingPointConfig, VerdictConfig
from fakedet_jax.config.work import PART_FORMATS, EngineConfig, PartsConfig, ShardConfig
from fakedet_jax.media.options import MediaConfig

__all__ = [
    "DTYPES",
    "PART_FORMATS",
    "PRECISIONS",
    "SPLITS",
    "BackboneConfig",
    "BackboneFeatureConfig",
    "BenchmarkConfig",
    "CheckConfig",
    "CompareConfig",
    "CompileConfig",
    "ComputeConfig",
    "ConvertConfig",
    "CountConfig",
    "CrossDatasetConfig",
    "DataConfig",
    "DeployConfig",
    "EngineConfig",
    "EvaluateConfig",
    "EvaluationConfig",
    "ExportConfig",
    "ExtractConfig",
    "FaceConfig",
    "FileInputConfig",
    "FilesConfig",
    "FirstComputeConfig",
    "FirstPrecisionConfig",
    "ForeignScoresConfig",
    "FrameConfig",
    "FuseConfig",
    "FusionMembersConfig",
    "InputConfig",
    "MeasureConfig",
    "MediaConfig",
    "MergeConfig",
    "OperatingPointConfig",
    "PartsConfig",
    "PredictComputeConfig",
    "PredictConfig",
    "PrepareConfig",
    "ProfileConfig",
    "ShardConfig",
    "StudyConfig",
    "SuiteConfig",
    "TrainConfig",
    "VerdictConfig",
]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes results for readers: numbers, tables, figures and a page."""

from fakedet_jax.report.evaluation import (
    Evaluation,
    evaluation_table,
    telling_indices,
    write_evaluation,
)
from fakedet_jax.report.html import Panel
from fakedet_jax.report.page import Example
from fakedet_jax.report.traces import traces_figure
from fakedet_jax.report.training import training_curves

__all__ = [
    "Evaluation",
    "Example",
    "Panel",
    "evaluation_table",
    "telling_indices",
    "traces_figure",
    "training_curves",
    "write_evaluation",
]

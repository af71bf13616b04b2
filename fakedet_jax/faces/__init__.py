# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds, tracks, cuts out and annotates faces in pictures and videos."""

__all__ = [
    "annotated_copies",
    "annotation",
    "boxes_file",
    "cropping",
    "crops",
    "detection",
    "detector",
    "extraction",
    "face",
    "file_rows",
    "opencv",
    "shots",
    "stream",
    "tracking",
]

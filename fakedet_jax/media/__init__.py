# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Decodes the bytes of pictures and videos to uint8 RGB and reads camera settings."""

__all__ = [
    "batching",
    "colour",
    "decode",
    "exif",
    "files",
    "formats",
    "framing",
    "hdr",
    "heif",
    "metadata",
    "options",
    "provenance",
    "resampling",
    "tiff",
    "video",
    "video_frame",
    "video_stream",
]

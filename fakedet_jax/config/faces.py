# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How faces are found, and which frames of a video are used."""

import dataclasses
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option


def search_size_option(**facts: Any) -> Any:
    """Returns the option `face_search_size`, whose name differs between classes."""
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
    search_size: int | None = search_size_option(name="face_search_size")
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

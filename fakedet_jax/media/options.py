# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings of how pictures and videos become pixels."""

import dataclasses

from fakedet_jax.settings import Settings, option

ICC = ("ignore", "srgb")
HDR = ("bt709", "raw")


@dataclasses.dataclass(frozen=True)
class MediaConfig(Settings):
    """How the content of photographs and videos becomes pixels."""

    icc: str = option(
        "ignore",
        "Colour profiles of photographs: ignore keeps the stored values, as published "
        "detectors saw them; srgb converts to sRGB.",
        choices=ICC,
    )
    hdr: str = option(
        "bt709",
        "HDR videos and photographs (PQ, HLG): bt709 converts them, with white at 203 "
        "cd/m²; raw keeps the stored values.",
        choices=HDR,
    )
    max_megapixels: int = option(
        256,
        "Most megapixels of a decoded photograph. Larger JPEG files are decoded at a "
        "half, quarter or eighth of their size; others are refused.",
        minimum=1,
        maximum=1024,
    )


DEFAULT = MediaConfig()

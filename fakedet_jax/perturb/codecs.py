# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lossy codecs, on the host: a picture goes to a file in memory and comes back.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: compression.
"""

import io

import numpy as np
from PIL import Image

from fakedet_jax.errors import RequestError

MAX_QUALITY = 100


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Compresses a picture as JPEG and decodes it again.

    With the defaults of Pillow for all but the quality: baseline, colour at half the
    resolution both ways (4:2:0), the standard tables scaled to the quality.

    Args:
        picture: uint8 `[height, width, 3]`.
        quality: From 0 (worst, the same as 1) to 100, on the scale of libjpeg.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        RequestError: The quality is not on the scale.
    """
    if not 0 <= quality <= MAX_QUALITY:
        raise RequestError(
            f"jpeg: expected a quality from 0 to {MAX_QUALITY}, found {quality}"
        )
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=quality)
    with Image.open(encoded, formats=("JPEG",)) as image:
        return np.asarray(image)

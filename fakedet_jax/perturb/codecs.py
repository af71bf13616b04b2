# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lossy codecs on the host: encode a picture in memory and decode it again.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: compression.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: JPEG and JPEG 2000.
"""

import io
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.errors import RequestError

MAX_QUALITY = 100
MIN_RATIO, MAX_RATIO = 1, 1000


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Compresses a picture as JPEG and decodes it again.

    Uses the defaults of Pillow apart from the quality: baseline, chroma subsampling
    4:2:0, standard tables scaled by the quality.

    Args:
        picture: uint8 `[height, width, 3]`.
        quality: libjpeg's quality, from 0 (worst, equal to 1) to 100.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        RequestError: The quality is out of range.
    """
    if not 0 <= quality <= MAX_QUALITY:
        raise RequestError(
            f"jpeg: expected a quality from 0 to {MAX_QUALITY}, found {quality}"
        )
    return _recode(picture, "JPEG", quality=quality)


def jpeg2000(picture: np.ndarray, ratio: float) -> np.ndarray:
    """Compresses a picture as JPEG 2000 and decodes it again.

    Uses the defaults of Pillow apart from the ratio: the reversible 5/3 wavelet,
    truncated at the requested file size. Files of tiny pictures are larger, because of
    their headers.

    Args:
        picture: uint8 `[height, width, 3]`.
        ratio: Compression ratio, size of the pixels to size of the file, 1 to 1000.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        RequestError: The ratio is out of range.
    """
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise RequestError(
            f"jpeg2000: expected a ratio from {MIN_RATIO} to {MAX_RATIO}, found "
            f"{ratio:g}"
        )
    return _recode(picture, "JPEG2000", quality_mode="rates", quality_layers=[ratio])


def _recode(picture: np.ndarray, codec: str, **options: Any) -> np.ndarray:
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, codec, **options)
    with Image.open(encoded, formats=(codec,)) as image:
        return np.asarray(image)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lossy codecs, on the host: a picture goes to a file in memory and comes back.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: compression.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: JPEG and JPEG 2000.
"""

import io

import numpy as np
from PIL import Image

from fakedet_jax.errors import RequestError

MAX_QUALITY = 100
MIN_RATIO, MAX_RATIO = 1, 1000


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


def jpeg2000(picture: np.ndarray, ratio: float) -> np.ndarray:
    """Compresses a picture as JPEG 2000 and decodes it again.

    With the defaults of Pillow for all but the ratio: the reversible 5/3 wavelet, cut
    off where the file has the size asked for. Pictures of few pixels stay larger than
    that, as the headers alone are.

    Args:
        picture: uint8 `[height, width, 3]`.
        ratio: Bytes of the picture to those of the file, from 1 to 1000.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        RequestError: The ratio is not in this range.
    """
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise RequestError(
            f"jpeg2000: expected a ratio from {MIN_RATIO} to {MAX_RATIO}, found "
            f"{ratio:g}"
        )
    encoded = io.BytesIO()
    Image.fromarray(picture).save(
        encoded, "JPEG2000", quality_mode="rates", quality_layers=[ratio]
    )
    with Image.open(encoded, formats=("JPEG2000",)) as image:
        return np.asarray(image)

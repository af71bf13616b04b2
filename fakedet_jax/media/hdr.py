# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts HDR videos and photographs (PQ and HLG) to BT.709.

The light of the display is computed, white at 203 cd/m² becomes white, brighter light
is clipped, colours are mapped to the primaries of BT.709 and clipped, and a display
with gamma 2.4 is assumed. Levels up to white thus look as they do beside SDR video,
which a tone curve would change. No library for it comes with PyAV: its FFmpeg lacks
zimg.

References:
    ITU-R BT.2100-2: PQ (Table 4) and HLG (Table 5).
    ITU-R BT.2408-7: HDR reference white is 203 cd/m².
    ITU-R BT.709, BT.2020, BT.1886; SMPTE RP 431-2 (P3).
"""

import functools

import numpy as np

WHITE = 203.0  # cd/m²
HLG_PEAK = 1000.0  # cd/m², of the display that BT.2100 takes as the nominal one.

# Transfer characteristics and primaries by their numbers in ITU-T H.273.
TRANSFERS = {16: "PQ", 18: "HLG"}
BT709 = 1
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_BT2020 = 9
_D65 = (0.3127, 0.3290)
_GAMMA = 2.4


def to_bt709(coded: np.ndarray, transfer: str, primaries: int) -> np.ndarray:
    """Converts a picture.

    Args:
        coded: Non-linear RGB of full range, float `[height, width, 3]`, 0 to 1.
        transfer: `PQ` or `HLG`.
        primaries: Their number in H.273: 1 (BT.709), 9 (BT.2020) or 12 (P3); others are
            taken for 9.

    Returns:
        uint8 `[height, width, 3]`.

    >>> white = np.full((1, 1, 3), 0.5807)  # BT.2408: 58 % of PQ.
    >>> to_bt709(white, "PQ", 9).tolist()
    [[[255, 255, 255]]]
    """
    values = np.clip(coded, 0, 1).astype(np.float32)
    light = _pq(values) if transfer == "PQ" else _hlg(values)
    light = np.clip(light / np.float32(WHITE), 0, None) @ _to_bt709(primaries).T
    levels = np.clip(light, 0, 1) ** np.float32(1 / _GAMMA)
    return np.rint(255 * levels).astype(np.uint8)


def describe(transfer: str, how: str) -> str:
    """What was done to HDR colours, for the user.

    Args:
        transfer: `PQ` or `HLG`.
        how: `MediaConfig.hdr`.
    """
    done = "was converted to SDR" if how == "bt709" else "was left as it is"
    return f"has HDR colour ({transfer}), which {done}"


def _pq(coded: np.ndarray) -> np.ndarray:
    """Light of the display in cd/m² by the EOTF of PQ."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = coded ** np.float32(1 / m2)
    ratio = np.maximum(power - c1, 0) / (c2 - c3 * power)
    light: np.ndarray = 10000 * ratio.astype(np.float32) ** np.float32(1 / m1)
    return light


def _hlg(coded: np.ndarray) -> np.ndarray:
    """Light of a display of `HLG_PEAK` by the inverse OETF and the OOTF of HLG."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    low = coded**2 / 3
    high = (np.exp((coded - c) / a) + b) / 12
    scene = np.where(coded <= 0.5, low, high).astype(np.float32)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    system_gamma = 1.2  # At 1000 cd/m².
    gain = HLG_PEAK * luminance ** np.float32(system_gamma - 1)
    return scene * gain[..., None]


@functools.cache
def _to_bt709(primaries: int) -> np.ndarray:
    """Matrix from linear RGB of some primaries to that of BT.709, float32 `[3, 3]`."""
    source = _to_xyz(primaries if primaries in _PRIMARIES else _BT2020)
    return np.linalg.solve(_to_xyz(BT709), source).astype(np.float32)


def _to_xyz(primaries: int) -> np.ndarray:
    def xyz(x: float, y: float) -> tuple[float, ...]:
        return (x / y, 1.0, (1 - x - y) / y)

    columns = np.array([xyz(*point) for point in _PRIMARIES[primaries]]).T
    return columns * np.linalg.solve(columns, xyz(*_D65))

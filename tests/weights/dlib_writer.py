# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes dlib's network for face recognition as dlib does."""

import math

import numpy as np

from tests.golden.backbone_weights import DLIB_BLOCKS

_LOSS = b"loss_metric_2"
_MEAN = (122.782, 117.001, 104.298)
# Where tags and skips stand among the versions of layers, for a block that halves the
# planes and for others, from the output to the input.
_NOTHING = (0, 0, 0, 0)


def network(tensors, *, loss=_LOSS, size=150):
    """The file.

    Args:
        tensors: Arrays by the names `con1.weight`, `con1.bias`, `affine1.weight`, …,
            `fc.weight`, laid out as in PyTorch.
    """
    layers = [*_convolution(tensors, 1, stride=2, padding=0), _plain(b"relu_")]
    layers.append(_plain(b"max_pool_2", 3, 3, 2, 2, 0, 0))
    number = 1
    for features in DLIB_BLOCKS:
        halves = features < 0
        how = {"stride": 2, "padding": 0} if halves else {"stride": 1, "padding": 1}
        layers += _convolution(tensors, number + 1, **how)
        layers.append(_plain(b"relu_"))
        layers += _convolution(tensors, number + 2, stride=1, padding=1)
        if halves:
            layers.append(_plain(b"avg_pool_2", 2, 2, 2, 2, 0, 0))
        layers += [_plain(b"add_prev_", flags=b"111"), _plain(b"relu_")]
        number += 2
    layers.append(_plain(b"avg_pool_2", 0, 0, 1, 1, 0, 0))
    layers.append(_dense(tensors["fc.weight"]))
    first, *others = layers
    return b"".join(
        [
            _int(1),
            _text(loss),
            _real(0.04),
            _real(0.6),
            _versions(),
            _text(b"input_rgb_image_sized"),
            *map(_real, _MEAN),
            _ints(size, size),
            first,
            _int(1),
            *others,
        ]
    )


def _versions():
    # Layers count 2, tags and skips 1, the layer on the input 3.
    content = _int(2) * 2  # fc, average
    for features in reversed(DLIB_BLOCKS):
        content += _int(2) * 2  # relu, sum
        if features < 0:  # average, skip, tag
            content += _int(2) + _int(1) * 2
        content += _int(2) * 5 + _int(1)
    return content + _int(2) * 3 + _int(3)  # pool, relu, affine, convolution


def _convolution(tensors, number, *, stride, padding):
    weight, bias = tensors[f"con{number}.weight"], tensors[f"con{number}.bias"]
    features, _, height, width = weight.shape
    yield b"".join(
        [
            _text(b"con_4"),
            _tensor(np.concatenate([weight.ravel(), bias])),
            _ints(features, height, width, stride, stride, padding, padding),
            _alias(weight.shape),
            _alias((1, features, 1, 1)),
            _factors(),
            _tail(),
        ]
    )
    parts = [tensors[f"affine{number}.{part}"] for part in ("weight", "bias")]
    yield b"".join(
        [
            _text(b"affine_"),
            _tensor(np.concatenate(parts)),
            2 * _alias((1, features, 1, 1)),
            _int(0),
            # Whether a relu follows at once.
            _tail(b"111" if number == 1 or number % 2 == 0 else b"110"),
        ]
    )


def _plain(kind, *geometry, flags=b"110"):
    """A layer without arrays."""
    return _text(kind) + _ints(*geometry) + _tail(flags)


def _dense(weight):
    features, inputs = weight.shape
    return b"".join(
        [
            _text(b"fc_2"),
            _ints(features, inputs),
            _tensor(np.ascontiguousarray(weight.T), (inputs, features, 1, 1)),
            _alias((inputs, features, 1, 1)),
            _alias(_NOTHING),
            _int(1),
            _factors(),
            _tail(),
        ]
    )


def _tail(flags=b"110"):
    return flags + 3 * _tensor(np.zeros(0, np.float32), _NOTHING)


def _tensor(array, shape=None):
    shape = (array.size, 1, 1, 1) if shape is None else shape
    return _int(2) + _ints(*shape) + array.astype("<f4").tobytes()


def _alias(shape):
    return _int(1) + _ints(*shape)


def _text(text):
    return _int(len(text)) + text


def _ints(*values):
    return b"".join(map(_int, values))


def _int(value):
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | 0x80 * (value < 0)]) + abs(value).to_bytes(size, "little")


def _real(value, digits=24):
    """A float32, or with 53 digits a float64: an integer and a power of two."""
    fraction, exponent = math.frexp(value)
    mantissa = round(math.ldexp(fraction, digits))
    exponent -= digits
    for _ in range(8):
        if not mantissa & 0xFF:
            mantissa, exponent = mantissa >> 8, exponent + 8
    return _int(mantissa) + _int(exponent)


def _factors():
    """Of rates and decays."""
    return b"".join(_real(value, 53) for value in (1, 1, 1, 0))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Real-sized files of the VGGFace2 and VGG-Face networks, as others published them.

Their names in Keras and Caffe are written down here once more, so that the tables of
the package are tested against something else.
"""

import re

import numpy as np
from safetensors import numpy as safetensors

from tests.weights import writers

# What Caffe keeps beside its sums; a power of two, so that no digit is lost.
_FACTOR = np.float32([1024])
_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_PARTS = {
    "conv1": "1x1_reduce",
    "bn1": "1x1_reduce/bn",
    "conv2": "3x3",
    "bn2": "3x3/bn",
    "conv3": "1x1_increase",
    "bn3": "1x1_increase/bn",
    "conv4": "1x1_down",
    "conv5": "1x1_up",
    "downsample.0": "1x1_proj",
    "downsample.1": "1x1_proj/bn",
}
_OUTER = {"conv1": "conv1/7x7_s2", "bn1": "conv1/7x7_s2/bn", "fc": "classifier"}
# Caffe's numbers for the types of layers, before 2014.
_OLD_TYPES = {"Convolution": 4, "InnerProduct": 14}


def write(path, layout, tensors):
    """Writes a file.

    Args:
        path: Of the file.
        layout: One of `LAYOUTS`.
        tensors: float32 arrays of a network by PyTorch's keys.
    """
    LAYOUTS[layout](path, tensors)


def _write_pickle(path, tensors):
    path.write_bytes(writers.python2_pickle(tensors))


def _write_zip(path, tensors):
    path.write_bytes(writers.torch_zip(tensors))


def _write_stream(path, tensors):
    path.write_bytes(writers.torch_stream(tensors))


def _write_safetensors(path, tensors):
    path.write_bytes(safetensors.save(tensors))


def _write_keras(path, tensors):
    writers.keras(path, dict(keras_layers(tensors)))


def _write_caffe(path, tensors):
    path.write_bytes(writers.caffe(_caffe_layers(tensors)))


def _write_old_caffe(path, tensors):
    layers = [
        (name, _OLD_TYPES[kind], *rest) for name, kind, *rest in _caffe_layers(tensors)
    ]
    path.write_bytes(writers.caffe(layers, old=True, legacy=True))


LAYOUTS = {
    "python2_pickle": _write_pickle,
    "torch_zip": _write_zip,
    "torch_stream": _write_stream,
    "safetensors": _write_safetensors,
    "keras": _write_keras,
    "caffe": _write_caffe,
    # The messages of Caffe's first year, which had no batch normalisation.
    "old_caffe": _write_old_caffe,
}


def _layers(tensors):
    """Name in Keras and Caffe, and the arrays by the last part of their keys."""
    layers = {}
    for key, array in tensors.items():
        torch, _, leaf = key.rpartition(".")
        layers.setdefault(torch, {})[leaf] = array
    is_vgg = "fc6" in layers
    for torch, arrays in layers.items():
        yield torch if is_vgg else _name(torch), arrays


def _name(torch):
    inner = re.fullmatch(r"layer(\d)\.(\d)\.(.*)", torch)
    if not inner:
        return _OUTER[torch]
    stage, block = int(inner[1]) + 1, int(inner[2]) + 1
    return f"conv{stage}_{block}_{_PARTS[inner[3]]}"


def keras_layers(tensors):
    """The arrays of a network for `writers.keras`."""
    for name, arrays in _layers(tensors):
        if "running_mean" in arrays:
            yield name, {_NORM_NAMES[leaf]: array for leaf, array in arrays.items()}
            continue
        weight = arrays["weight"]
        if name == "fc6":
            # Keras flattens rows, columns, features.
            planes = weight.reshape(4096, 512, 7, 7)
            kernel = np.einsum("ofyx->yxfo", planes).reshape(7 * 7 * 512, 4096)
        elif weight.ndim == 2:
            kernel = weight.T
        else:
            kernel = np.einsum("oiyx->yxio", weight)
        bias = {"bias": arrays["bias"]} if "bias" in arrays else {}
        yield name, {"kernel": kernel, **bias}


def _caffe_layers(tensors):
    """In place, as Caffe does it: a layer's output has the name of its convolution."""
    for name, arrays in _layers(tensors):
        top = (name.removesuffix("/bn"),)
        if "running_mean" in arrays:
            sums = [arrays[leaf] * _FACTOR for leaf in ("running_mean", "running_var")]
            affine = [arrays[leaf] for leaf in ("weight", "bias")]
            yield name, "BatchNorm", top, top, [*sums, _FACTOR]
            yield f"{name}/scale", "Scale", top, top, affine
        else:
            kind = "InnerProduct" if arrays["weight"].ndim == 2 else "Convolution"
            yield name, kind, ("data",), top, list(arrays.values())

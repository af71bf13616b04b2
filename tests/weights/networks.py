# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small network with a layer of every kind, and its files in every layout."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from fakedet_jax.media.framing import Framing
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from tests.weights import writers

LAYERS = (
    Layer("conv", "conv", torch="features.0", caffe="c", keras="block/c", bias=True),
    Layer("norm", "norm", torch="features.1", caffe="c/bn", keras="block/c/bn"),
    Layer("act", "prelu", torch="features.2", caffe="act", keras="act"),
    Layer("depthwise", "conv", torch="features.3", caffe="dw", keras="dw"),
    Layer(
        "fc",
        "dense",
        torch="fc",
        caffe="fc",
        keras="fc",
        bias=True,
        flattened=(4, 3, 5),
    ),
    Layer("head", "dense", torch="head", caffe="head", keras="head"),
)
SHAPES = {
    "params/conv/kernel": (3, 2, 3, 5),
    "params/conv/bias": (5,),
    "params/norm/scale": (5,),
    "params/norm/bias": (5,),
    "batch_stats/norm/mean": (5,),
    "batch_stats/norm/var": (5,),
    "params/act/slope": (5,),
    "params/depthwise/kernel": (3, 3, 1, 5),
    "params/fc/kernel": (60, 7),
    "params/fc/bias": (7,),
    "params/head/kernel": (7, 2),
}


class Network(nn.Module):
    """Images `[batch, 4, 3, 3]` to two numbers."""

    @nn.compact
    def __call__(self, images, *, train=False):
        x = nn.Conv(5, (3, 2), name="conv")(images)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = _Prelu(name="act")(x)
        x = nn.Conv(5, (3, 3), feature_group_count=5, use_bias=False, name="depthwise")(
            x
        )
        x = nn.Dense(7, name="fc")(x.reshape(len(x), -1))
        return nn.Dense(2, use_bias=False, name="head")(x), {}


class _Prelu(nn.Module):
    @nn.compact
    def __call__(self, x):
        slope = self.param("slope", nn.initializers.constant(0.25), (x.shape[-1],))
        return jnp.where(x < 0, slope * x, x)


BACKBONE = Backbone(
    name="tiny",
    build=lambda dtype, site: Network(),
    preprocessing=Preprocessing(Framing(4, 3)),
    layers=LAYERS,
    embedding="two numbers",
)


def random_arrays(seed=0):
    """Our arrays by their paths."""
    rng = np.random.default_rng(seed)
    return {
        path: np.abs(rng.normal(size=shape)).astype(np.float32)
        for path, shape in SHAPES.items()
    }


def torch_arrays(ours):
    """The same arrays as PyTorch names and orders them, with a counter."""
    return {
        "features.0.weight": _oihw(ours["params/conv/kernel"]),
        "features.0.bias": ours["params/conv/bias"],
        "features.1.weight": ours["params/norm/scale"],
        "features.1.bias": ours["params/norm/bias"],
        "features.1.running_mean": ours["batch_stats/norm/mean"],
        "features.1.running_var": ours["batch_stats/norm/var"],
        "features.1.num_batches_tracked": np.array(9),
        "features.2.weight": ours["params/act/slope"],
        "features.3.weight": _oihw(ours["params/depthwise/kernel"]),
        "fc.weight": _features_first(ours["params/fc/kernel"]),
        "fc.bias": ours["params/fc/bias"],
        "head.weight": np.ascontiguousarray(ours["params/head/kernel"].T),
    }


def caffe_content(ours):
    """The same arrays as a `.caffemodel`, with a factor of 4 beside the statistics."""
    stats = [4 * ours[f"batch_stats/norm/{leaf}"] for leaf in ("mean", "var")]
    affine = [ours[f"params/norm/{leaf}"] for leaf in ("scale", "bias")]
    kernel, depthwise = (
        _oihw(ours[f"params/{layer}/kernel"]) for layer in ("conv", "depthwise")
    )
    fc = [_features_first(ours["params/fc/kernel"]), ours["params/fc/bias"]]
    head = [ours["params/head/kernel"].T]
    return writers.caffe(
        [
            ("c", "Convolution", ("data",), ("c",), (kernel, ours["params/conv/bias"])),
            ("c/bn", "BatchNorm", ("c",), ("c",), [*stats, np.float32([4])]),
            ("c/bn/scale", "Scale", ("c",), ("c",), affine),
            ("act", "PReLU", ("c",), ("c",), [ours["params/act/slope"]]),
            ("dw", "Convolution", ("c",), ("d",), [depthwise]),
            ("fc", "InnerProduct", ("d",), ("f",), fc),
            ("head", "InnerProduct", ("f",), ("h",), head),
        ]
    )


def keras_layers(ours):
    """The same arrays for `writers.keras`."""
    return {
        "block/c": {
            "kernel": ours["params/conv/kernel"],
            "bias": ours["params/conv/bias"],
        },
        "block/c/bn": {
            "gamma": ours["params/norm/scale"],
            "beta": ours["params/norm/bias"],
            "moving_mean": ours["batch_stats/norm/mean"],
            "moving_variance": ours["batch_stats/norm/var"],
        },
        "act": {"alpha": ours["params/act/slope"].reshape(1, 1, 5)},
        "dw": {"depthwise_kernel": ours["params/depthwise/kernel"].swapaxes(2, 3)},
        "fc": {"kernel": ours["params/fc/kernel"], "bias": ours["params/fc/bias"]},
        "head": {"kernel": ours["params/head/kernel"]},
    }


def _oihw(kernel):
    """Written out as a loop, so that it shares nothing with what is tested."""
    height, width, inputs, outputs = kernel.shape
    result = np.empty((outputs, inputs, height, width), kernel.dtype)
    for o in range(outputs):
        for i in range(inputs):
            result[o, i] = kernel[:, :, i, o]
    return result


def _features_first(kernel):
    height, width, depth = 4, 3, 5
    result = np.empty((kernel.shape[1], len(kernel)), kernel.dtype)
    for row in range(height):
        for column in range(width):
            for feature in range(depth):
                theirs = (feature * height + row) * width + column
                ours = (row * width + column) * depth + feature
                result[:, theirs] = kernel[ours]
    return result

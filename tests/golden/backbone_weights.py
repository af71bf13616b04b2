# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seeded weights of the recognition networks, as published PyTorch files hold them.

Keys and shapes are written down here once more, so that the tables of the package are
tested against something else. NumPy alone makes the numbers, so no file keeps them.
Their scales keep activations of the order of one.
"""

import math
import zlib
from collections.abc import Iterator

import numpy as np

# Height and width of the input.
SIZES = {
    "vggface2_resnet50": (224, 224),
    "vggface2_senet50": (224, 224),
    "vggface_vgg16": (224, 224),
    "mobilefacenet": (112, 96),
    "dlib_resnet29": (150, 150),
    "facenet": (160, 160),
    "arcface_iresnet50": (112, 112),
}
VGG_WIDTHS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
# Blocks and inner width of the stages of ResNet-50.
RESNET_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
# Input, inner and output features and stride of the blocks of MobileFaceNet.
MOBILE_BLOCKS = (
    (64, 128, 64, 2),
    *((64, 128, 64, 1),) * 4,
    (64, 256, 128, 2),
    *((128, 256, 128, 1),) * 6,
    (128, 512, 128, 2),
    *((128, 256, 128, 1),) * 2,
)

# Features of the blocks of dlib's network; a negative number halves the planes.
DLIB_BLOCKS = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)

# Blocks and features of the stages of IResNet-50.
IRESNET_STAGES = ((3, 64), (4, 128), (14, 256), (3, 512))
# Keys of Inception-ResNet v1: inputs, features, height and width of each convolution.
FACENET_STEM = {
    "conv2d_1a": (3, 32, 3, 3),
    "conv2d_2a": (32, 32, 3, 3),
    "conv2d_2b": (32, 64, 3, 3),
    "conv2d_3b": (64, 80, 1, 1),
    "conv2d_4a": (80, 192, 3, 3),
    "conv2d_4b": (192, 256, 3, 3),
}
_BLOCK35 = {
    "branch0": (256, 32, 1, 1),
    "branch1.0": (256, 32, 1, 1),
    "branch1.1": (32, 32, 3, 3),
    "branch2.0": (256, 32, 1, 1),
    "branch2.1": (32, 32, 3, 3),
    "branch2.2": (32, 32, 3, 3),
    "conv2d": (96, 256, 1, 1),
}
_BLOCK17 = {
    "branch0": (896, 128, 1, 1),
    "branch1.0": (896, 128, 1, 1),
    "branch1.1": (128, 128, 1, 7),
    "branch1.2": (128, 128, 7, 1),
    "conv2d": (256, 896, 1, 1),
}
_BLOCK8 = {
    "branch0": (1792, 192, 1, 1),
    "branch1.0": (1792, 192, 1, 1),
    "branch1.1": (192, 192, 1, 3),
    "branch1.2": (192, 192, 3, 1),
    "conv2d": (384, 1792, 1, 1),
}
FACENET_BLOCKS = {
    **{f"repeat_1.{i}": _BLOCK35 for i in range(5)},
    "mixed_6a": {
        "branch0": (256, 384, 3, 3),
        "branch1.0": (256, 192, 1, 1),
        "branch1.1": (192, 192, 3, 3),
        "branch1.2": (192, 256, 3, 3),
    },
    **{f"repeat_2.{i}": _BLOCK17 for i in range(10)},
    "mixed_7a": {
        "branch0.0": (896, 256, 1, 1),
        "branch0.1": (256, 384, 3, 3),
        "branch1.0": (896, 256, 1, 1),
        "branch1.1": (256, 256, 3, 3),
        "branch2.0": (896, 256, 1, 1),
        "branch2.1": (256, 256, 3, 3),
        "branch2.2": (256, 256, 3, 3),
    },
    **{f"repeat_3.{i}": _BLOCK8 for i in range(5)},
    "block8": _BLOCK8,
}

# A key, what kind of number it names, and its shape.
_Entry = tuple[str, str, tuple[int, ...]]


def torch_tensors(name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """All arrays of a network.

    Args:
        name: Of the backbone, one of `SIZES`.
        seed: Another one gives other numbers.

    Returns:
        float32 arrays by PyTorch's keys, in the order of the file.
    """
    return {key: _draw(seed, key, kind, shape) for key, kind, shape in _entries(name)}


def torch_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that `torch_tensors` gives."""
    return {key: shape for key, _, shape in _entries(name)}


def make_pictures(name: str) -> np.ndarray:
    """Pictures uint8 RGB `[2, height, width, 3]`: tilted slopes under noise."""
    height, width = SIZES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    row = np.linspace(0, 1, height)[:, None, None]
    column = np.linspace(0, 1, width)[:, None]
    tilt = rng.uniform(0, 1, (2, 1, 1, 3))
    slope = tilt * row + (1 - tilt) * column
    noise = rng.uniform(0, 1, slope.shape)
    return np.floor(255 * (0.7 * slope + 0.3 * noise)).astype(np.uint8)


def summarise(values: np.ndarray) -> list[float]:
    """Mean, standard deviation and three entries of an array with features last."""
    flat = np.asarray(values, np.float64).ravel()
    entries = np.random.default_rng(flat.size).integers(0, flat.size, 3)
    return [float(flat.mean()), float(flat.std()), *flat[entries].tolist()]


def _entries(name: str) -> Iterator[_Entry]:
    if name == "vggface_vgg16":
        return _vgg16()
    if name == "mobilefacenet":
        return _mobilefacenet()
    if name == "dlib_resnet29":
        return _dlib_resnet29()
    if name == "facenet":
        return _facenet()
    if name == "arcface_iresnet50":
        return _iresnet50()
    return _resnet50(squeeze_excite=name == "vggface2_senet50")


def _draw(seed: int, key: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    uniform = {
        "scale": (0.5, 1.5),
        "small scale": (0.2, 0.4),  # of a residual branch
        "var": (0.5, 1.5),
        "slope": (0.1, 0.4),
    }
    if kind in uniform:
        return rng.uniform(*uniform[kind], shape).astype(np.float32)
    deviation = {
        "kernel": lambda: math.sqrt(2 / math.prod(shape[1:])),
        "pixel kernel": lambda: math.sqrt(2 / math.prod(shape[1:])) / 64,
        "shift": lambda: 0.1,  # biases and means
    }[kind]()
    values = rng.standard_normal(shape, np.float32)
    values *= np.float32(deviation)
    return values


def _norm(key: str, features: int, scale: str = "scale") -> Iterator[_Entry]:
    yield f"{key}.weight", scale, (features,)
    yield f"{key}.bias", "shift", (features,)
    yield f"{key}.running_mean", "shift", (features,)
    yield f"{key}.running_var", "var", (features,)


def _biased(
    key: str, shape: tuple[int, ...], kernel: str = "kernel"
) -> Iterator[_Entry]:
    yield f"{key}.weight", kernel, shape
    yield f"{key}.bias", "shift", shape[:1]


def _iresnet50() -> Iterator[_Entry]:
    yield "conv1.weight", "kernel", (64, 3, 3, 3)
    yield from _norm("bn1", 64)
    yield "prelu.weight", "slope", (64,)
    inputs = 64
    for stage, (num_blocks, features) in enumerate(IRESNET_STAGES, 1):
        for block in range(num_blocks):
            key = f"layer{stage}.{block}"
            yield from _norm(f"{key}.bn1", inputs)
            yield f"{key}.conv1.weight", "kernel", (features, inputs, 3, 3)
            yield from _norm(f"{key}.bn2", features)
            yield f"{key}.prelu.weight", "slope", (features,)
            yield f"{key}.conv2.weight", "kernel", (features, features, 3, 3)
            yield from _norm(f"{key}.bn3", features, "small scale")
            if block == 0:
                yield f"{key}.downsample.0.weight", "kernel", (features, inputs, 1, 1)
                yield from _norm(f"{key}.downsample.1", features)
            inputs = features
    yield from _norm("bn2", 512)
    yield from _biased("fc", (512, 512 * 7 * 7))
    yield from _norm("features", 512)


def _facenet() -> Iterator[_Entry]:
    def conv_norm(key: str, shape: tuple[int, ...]) -> Iterator[_Entry]:
        inputs, features, height, width = shape
        yield f"{key}.conv.weight", "kernel", (features, inputs, height, width)
        yield from _norm(f"{key}.bn", features)

    for key, shape in FACENET_STEM.items():
        yield from conv_norm(key, shape)
    for block, convs in FACENET_BLOCKS.items():
        for part, shape in convs.items():
            if part == "conv2d":
                inputs, features, *_ = shape
                yield from _biased(f"{block}.conv2d", (features, inputs, 1, 1))
            else:
                yield from conv_norm(f"{block}.{part}", shape)
    yield "last_linear.weight", "kernel", (512, 1792)
    yield from _norm("last_bn", 512)


def _dlib_resnet29() -> Iterator[_Entry]:
    # After the first convolution each block has two.
    inner = [abs(features) for features in DLIB_BLOCKS for _ in range(2)]
    inputs = 3
    for number, features in enumerate([32, *inner], 1):
        size = 7 if number == 1 else 3
        yield from _biased(f"con{number}", (features, inputs, size, size))
        # The last affine layer of a block ends its residual branch.
        ends = number > 1 and number % 2 == 1
        yield f"affine{number}.weight", "small scale" if ends else "scale", (features,)
        yield f"affine{number}.bias", "shift", (features,)
        inputs = features
    yield "fc.weight", "kernel", (128, 256)


def _resnet50(*, squeeze_excite: bool) -> Iterator[_Entry]:
    yield "conv1.weight", "pixel kernel", (64, 3, 7, 7)
    yield from _norm("bn1", 64)
    features = 64
    for stage, (num_blocks, width) in enumerate(RESNET_STAGES, 1):
        for block in range(num_blocks):
            key, wide = f"layer{stage}.{block}", 4 * width
            yield f"{key}.conv1.weight", "kernel", (width, features, 1, 1)
            yield from _norm(f"{key}.bn1", width)
            yield f"{key}.conv2.weight", "kernel", (width, width, 3, 3)
            yield from _norm(f"{key}.bn2", width)
            yield f"{key}.conv3.weight", "kernel", (wide, width, 1, 1)
            yield from _norm(f"{key}.bn3", wide, "small scale")
            if squeeze_excite:
                yield from _biased(f"{key}.conv4", (wide // 16, wide, 1, 1))
                yield from _biased(f"{key}.conv5", (wide, wide // 16, 1, 1))
            if block == 0:
                shortcut = f"{key}.downsample"
                yield f"{shortcut}.0.weight", "kernel", (wide, features, 1, 1)
                yield from _norm(f"{shortcut}.1", wide)
            features = wide
    yield from _biased("fc", (8631, 2048))


def _vgg16() -> Iterator[_Entry]:
    features = 3
    for stage, widths in enumerate(VGG_WIDTHS, 1):
        for number, width in enumerate(widths, 1):
            kernel = "pixel kernel" if features == 3 else "kernel"
            key = f"conv{stage}_{number}"
            yield from _biased(key, (width, features, 3, 3), kernel)
            features = width
    yield from _biased("fc6", (4096, 512 * 7 * 7))
    yield from _biased("fc7", (4096, 4096))
    yield from _biased("fc8", (2622, 4096))


def _mobilefacenet() -> Iterator[_Entry]:
    def single(
        key: str, shape: tuple[int, ...], *, linear: bool = False
    ) -> Iterator[_Entry]:
        yield f"{key}.conv.weight", "kernel", shape
        yield from _norm(f"{key}.bn", shape[0])
        if not linear:
            yield f"{key}.prelu.weight", "slope", shape[:1]

    yield from single("conv1", (64, 3, 3, 3))
    yield from single("dw_conv1", (64, 1, 3, 3))
    for number, (features, inner, width, _) in enumerate(MOBILE_BLOCKS):
        key = f"blocks.{number}.conv"
        yield f"{key}.0.weight", "kernel", (inner, features, 1, 1)
        yield from _norm(f"{key}.1", inner)
        yield f"{key}.2.weight", "slope", (inner,)
        yield f"{key}.3.weight", "kernel", (inner, 1, 3, 3)
        yield from _norm(f"{key}.4", inner)
        yield f"{key}.5.weight", "slope", (inner,)
        yield f"{key}.6.weight", "kernel", (width, inner, 1, 1)
        yield from _norm(f"{key}.7", width, "small scale")
    yield from single("conv2", (512, 128, 1, 1))
    yield from single("linear7", (512, 1, 7, 6), linear=True)
    yield from single("linear1", (128, 512, 1, 1), linear=True)

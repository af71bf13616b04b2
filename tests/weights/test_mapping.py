# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Foreign arrays become ours, and every difference is told."""

from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models.parameters import Layer
from fakedet_jax.weights import mapping
from fakedet_jax.weights.tensors import TensorFile
from tests.weights import networks, writers

OURS = networks.random_arrays()
SHAPES = mapping.nest(
    {
        path: jax.ShapeDtypeStruct(shape, np.float32)
        for path, shape in networks.SHAPES.items()
    }
)


def torch_file(tensors, layout="torch"):
    return TensorFile(
        path=Path("file"),
        format="test",
        layout=layout,
        tensors=tensors,
        sha256="0",
        num_bytes=1,
    )


@pytest.fixture
def tensors():
    return networks.torch_arrays(OURS)


def convert(tensors, **options):
    return mapping.to_variables(networks.LAYERS, torch_file(tensors), SHAPES, **options)


def assert_ours(variables, expected=OURS):
    flat = mapping.flatten(variables)
    assert set(flat) == set(expected)
    for path, array in expected.items():
        assert flat[path].dtype == np.float32
        np.testing.assert_array_equal(flat[path], array, err_msg=path)


def test_torch(tensors):
    variables, comparison = convert(tensors)
    assert_ours(variables)
    assert len(comparison.matched) == len(OURS)
    assert ("features.3.weight", "params/depthwise/kernel") in comparison.matched
    assert comparison.unused == ("features.1.num_batches_tracked",)
    assert comparison.notes == ()


def test_caffe(read_bytes):
    tensor_file = read_bytes(networks.caffe_content(OURS))
    variables, comparison = mapping.to_variables(networks.LAYERS, tensor_file, SHAPES)
    assert_ours(variables)
    assert comparison.unused == ()


def test_keras(tmp_path):
    from fakedet_jax.weights import formats

    writers.keras(tmp_path / "weights", networks.keras_layers(OURS))
    tensor_file = formats.read(tmp_path / "weights")
    variables, _ = mapping.to_variables(networks.LAYERS, tensor_file, SHAPES)
    assert_ours(variables)


def test_keras_kernels_of_one_input_feature(tmp_path):
    layers = networks.keras_layers(OURS)
    layers["dw"] = {"kernel": OURS["params/depthwise/kernel"]}
    flat = {
        f"{n}/{leaf}": a for n, arrays in layers.items() for leaf, a in arrays.items()
    }
    tensor_file = torch_file(flat, layout="keras")
    assert_ours(mapping.to_variables(networks.LAYERS, tensor_file, SHAPES)[0])


def test_our_own_layout():
    tensor_file = torch_file(OURS, layout="flax")
    assert_ours(mapping.to_variables(networks.LAYERS, tensor_file, SHAPES)[0])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16, ">f4"])
def test_other_floats_are_converted(tensors, dtype):
    halved = {
        name: array.astype(dtype) if array.dtype == np.float32 else array
        for name, array in tensors.items()
    }
    variables, comparison = convert(halved)
    expected = {p: a.astype(dtype).astype(np.float32) for p, a in OURS.items()}
    assert_ours(variables, expected)
    name = np.dtype(dtype).newbyteorder("=").name
    note = (f"11 arrays converted from {name}",) if name != "float32" else ()
    assert comparison.notes == note


def test_all_differences_are_listed(tensors):
    del tensors["fc.bias"], tensors["head.weight"]
    tensors["other.weight"] = tensors["another.bias"] = np.ones(3, np.float32)
    tensors["features.0.weight"] = np.ones((5, 3, 2, 3), np.float32)
    with pytest.raises(RequestError) as caught:
        convert(tensors)
    message = str(caught.value)
    assert message.startswith("`weights`: 'file' does not fit the network: 8 of 11")
    assert "missing: fc.bias, head.weight;" in message
    assert "superfluous: other.weight, another.bias;" in message
    assert (
        "of another shape: features.0.weight (expected 5 × 3 × 3 × 2, found "
        "5 × 3 × 2 × 3);" in message
    )
    assert "`ignore`" in message and "\n" not in message


def test_another_architecture(arrays):
    with pytest.raises(RequestError, match="0 of 11 arrays match"):
        convert(arrays)


def test_renamed_arrays_are_missing_and_superfluous(tensors):
    tensors["fc.kernel"] = tensors.pop("fc.weight")
    with pytest.raises(RequestError, match=r"missing: fc\.weight.*s: fc\.kernel"):
        convert(tensors)


def test_names_that_would_move_the_cursor_are_escaped(tensors):
    tensors["\x1b[2J"] = np.ones(3, np.float32)
    with pytest.raises(RequestError) as caught:
        convert(tensors)
    assert "\x1b" not in str(caught.value)


def test_a_network_within_another(tensors):
    renamed = {f"model.backbone.{name}": array for name, array in tensors.items()}
    variables, comparison = convert(renamed)
    assert_ours(variables)
    assert comparison.notes == ("'model.backbone.' removed from the names",)
    assert comparison.matched[0][0] == "model.backbone.features.0.weight"


@pytest.mark.parametrize("pattern", ["head.*", "head.weight", "params/head/kernel"])
@pytest.mark.parametrize("change", ["missing", "misshaped"])
def test_ignored_arrays_keep_their_initial_values(tensors, pattern, change):
    del tensors["head.weight"]
    if change == "misshaped":
        tensors["head.weight"] = np.ones((3, 7), np.float32)
    start = {path: np.full(array.shape, 0.5) for path, array in OURS.items()}
    variables, comparison = convert(
        tensors, ignore=[pattern], initial=lambda: mapping.nest(start)
    )
    assert_ours(variables, {**OURS, "params/head/kernel": np.full((7, 2), 0.5)})
    assert comparison.initialised == ("params/head/kernel",)


def test_ignored_superfluous_arrays_are_dropped(tensors):
    tensors["classifier.weight"] = np.full(3, np.nan)
    variables, comparison = convert(tensors, ignore=["classifier.*"])
    assert_ours(variables)
    assert comparison.dropped == ("classifier.weight",)
    assert comparison.extra == ()


def test_one_of_several_networks(tensors):
    both = {f"state_dict.{name}": array for name, array in tensors.items()}
    both |= {f"ema.{name}": array + 1 for name, array in tensors.items()}
    variables, comparison = convert(both, ignore=["ema.*"])
    assert_ours(variables)
    assert len(comparison.dropped) == len(OURS)


def test_a_pattern_that_ignores_nothing_is_told(tensors):
    _, comparison = convert(tensors, ignore=["fd.*"])
    assert comparison.notes == ("nothing to ignore for 'fd.*'",)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite(tensors, number):
    weight = tensors["fc.weight"].astype(np.float64)
    weight[3, 5] = number
    with pytest.raises(RequestError, match=r"fc\.weight of 'file' .* not finite"):
        convert({**tensors, "fc.weight": weight})


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.bool_])
def test_whole_numbers_are_refused(tensors, dtype):
    with pytest.raises(RequestError, match=r"fc\.bias .* expected floats"):
        convert({**tensors, "fc.bias": tensors["fc.bias"].astype(dtype)})


def test_negative_variances(tensors):
    changed = {**tensors, "features.1.running_var": np.full(5, -1, np.float32)}
    with pytest.raises(RequestError, match="negative variances"):
        convert(changed)


def test_a_layout_that_nobody_published(tensors):
    layers = [Layer("head", "dense", torch="head")]
    shapes = {"params": {"head": {"kernel": np.zeros((7, 2))}}}
    with pytest.raises(RequestError, match=r"names of keras, .* give a file of torch"):
        mapping.to_variables(layers, torch_file(tensors, layout="keras"), shapes)


def test_layers_that_do_not_describe_the_network():
    with pytest.raises(ValueError, match="params/head/kernel"):
        mapping.to_variables(networks.LAYERS[:-1], torch_file({}), SHAPES)


def test_the_file_is_left_as_it_is(tensors):
    before = {name: array.copy() for name, array in tensors.items()}
    variables, _ = convert(tensors)
    for array in mapping.flatten(variables).values():
        array += 1
    for name, array in before.items():
        np.testing.assert_array_equal(tensors[name], array)


NUMBERED = (
    Layer("conv1", "conv", keras="conv2d_5", bias=True),
    Layer("conv2", "conv", keras="conv2d_6", bias=True),
    Layer("fc", "dense", keras="dense_3", bias=True),
)
NUMBERED_SHAPES = mapping.nest(
    {
        f"params/{layer}/{leaf}": jax.ShapeDtypeStruct(shape, np.float32)
        for layer, kernel in {
            "conv1": (3, 3, 3, 4),
            "conv2": (3, 3, 4, 4),
            "fc": (4, 2),
        }.items()
        for leaf, shape in (("kernel", kernel), ("bias", kernel[-1:]))
    }
)


def _numbered(names):
    rng = np.random.default_rng(0)
    shapes = ((3, 3, 3, 4), (3, 3, 4, 4), (4, 2))
    tensors = {}
    for name, shape in zip(names, shapes, strict=True):
        tensors[f"{name}/kernel"] = rng.normal(size=shape)
        tensors[f"{name}/bias"] = rng.normal(size=shape[-1:])
    return tensors


@pytest.mark.parametrize(
    "names",
    [
        ("conv2d", "conv2d_1", "dense"),
        ("conv2d_9", "conv2d_10", "dense_4"),
        # Only the second convolution has its name, and the first one that of a layer
        # which the network has in another place.
        ("conv2d_4", "conv2d_5", "dense_3"),
    ],
)
def test_layers_that_keras_numbered_otherwise(names):
    tensors = _numbered(names)
    # Files are sorted by names, in which 10 comes before 9.
    file = torch_file(dict(sorted(tensors.items())), "keras")
    variables, comparison = mapping.to_variables(NUMBERED, file, NUMBERED_SHAPES)
    for layer, name in zip(("conv1", "conv2", "fc"), names, strict=True):
        np.testing.assert_array_equal(
            variables["params"][layer]["kernel"],
            tensors[f"{name}/kernel"].astype(np.float32),
        )
        assert (f"{name}/bias", f"params/{layer}/bias") in comparison.matched
    assert f"{names[0]} → conv2d_5" in comparison.notes[0]
    assert comparison.notes[0].startswith("layers matched by order and shape: ")


def test_layers_of_other_shapes_or_numbers_are_not_matched():
    tensors = _numbered(("conv2d_1", "conv2d", "dense"))  # The order is another one.
    with pytest.raises(RequestError, match=r"missing: conv2d_5/kernel"):
        mapping.to_variables(NUMBERED, torch_file(tensors, "keras"), NUMBERED_SHAPES)
    tensors = _numbered(("conv2d", "conv2d_1", "dense"))
    tensors["conv2d_2/kernel"] = tensors["conv2d/kernel"]
    with pytest.raises(RequestError, match=r"missing: conv2d_5/kernel"):
        mapping.to_variables(NUMBERED, torch_file(tensors, "keras"), NUMBERED_SHAPES)


def test_depthwise_kernels_of_keras_3(tmp_path):
    from fakedet_jax.weights import formats

    layers = networks.keras_layers(OURS)
    layers["dw"] = {"kernel": layers["dw"]["depthwise_kernel"]}
    writers.keras(tmp_path / "weights", layers)
    tensor_file = formats.read(tmp_path / "weights")
    variables, _ = mapping.to_variables(networks.LAYERS, tensor_file, SHAPES)
    assert_ours(variables)


def test_lists_of_names_end_after_ten(tensors):
    several = {f"other{i}.weight": np.ones(3) for i in range(12)}
    with pytest.raises(RequestError) as caught:
        convert({**tensors, **several})
    assert "other9.weight … (12 in all)" in str(caught.value)
    assert "other10" not in str(caught.value)


def test_single_numbers_are_unused_unless_they_scale(tensors):
    _, comparison = convert({**tensors, "loss": np.array(0.5)})
    assert "loss" in comparison.unused
    with pytest.raises(RequestError, match=r"superfluous: fc\.weight_scale"):
        convert({**tensors, "fc.weight_scale": np.array(0.5)})


def test_floats_of_eight_bits_are_converted(tensors):
    values = np.float32([1, -2, 0.5, 4, 3])
    tensors["features.1.bias"] = values.astype(ml_dtypes.float8_e4m3fn)
    variables, comparison = convert(tensors)
    np.testing.assert_array_equal(variables["params"]["norm"]["bias"], values)
    assert "1 arrays converted from float8_e4m3fn" in comparison.notes

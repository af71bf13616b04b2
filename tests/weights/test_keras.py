# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files of Keras, and what HDF5 could do besides."""

import zipfile

import h5py
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats, keras
from tests.weights import writers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"


@pytest.fixture
def layers():
    rng = np.random.default_rng(0)
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    return {
        "conv1/3x3": {"kernel": rng.normal(size=(3, 3, 3, 4)).astype(np.float32)},
        "conv1/3x3/bn": {n: rng.normal(size=4).astype(np.float32) for n in norm},
        "fc": {"kernel": np.ones((4, 2), np.float32), "bias": np.ones(2, np.float32)},
    }


def expected(layers):
    return {
        f"{layer}/{leaf}": array
        for layer, arrays in layers.items()
        for leaf, array in arrays.items()
    }


@pytest.mark.parametrize("group", [None, "model_weights"])
def test_layers_with_slashes_in_their_names(path, layers, group):
    writers.keras(path, layers, group=group)
    tensor_file = formats.read(path)
    assert (tensor_file.layout, tensor_file.format) == ("keras", "Keras HDF5")
    wanted = expected(layers)
    assert set(tensor_file.tensors) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(tensor_file.tensors[name], array)


@pytest.mark.parametrize(
    "path_in_file, name",
    [
        ("conv/conv_3/kernel:0", "conv/kernel"),
        ("conv/kernel:0", "conv/kernel"),
        ("a/b/a/b_3/kernel:0", "a/b/kernel"),
        ("conv/conv_W", "conv/kernel"),
        ("conv/conv_b:0", "conv/bias"),
        ("bn/bn_running_mean", "bn/moving_mean"),
        ("bn/bn_running_std", "bn/moving_variance"),
        ("inner/conv/kernel:0", "inner/conv/kernel"),
    ],
)
def test_other_ways_to_name_an_array(path_in_file, name):
    assert keras.array_name(path_in_file) == name


def test_the_optimizer_is_left_out(path, layers):
    writers.keras(path, layers, group="model_weights")
    with h5py.File(path, "a") as file:
        file["optimizer_weights/Adam/iterations"] = 3
    assert formats.read(path).notes == (
        "passed over the arrays of 'optimizer_weights'",
    )


def test_compressed_arrays(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a/kernel:0",
            data=np.arange(64.0).reshape(8, 8),
            compression="gzip",
            shuffle=True,
        )
    found = formats.read(path).tensors["a/kernel"]
    np.testing.assert_array_equal(found, np.arange(64.0).reshape(8, 8))


@pytest.mark.parametrize(
    "link",
    [
        h5py.ExternalLink("/etc/passwd", "/a"),
        h5py.ExternalLink("other.h5", "/a"),
        h5py.SoftLink("/somewhere"),
    ],
)
@pytest.mark.parametrize("place", ["a", "layer/a", "model_weights"])
def test_links_are_not_followed(path, link, place):
    with h5py.File(path, "w") as file:
        file["b/kernel:0"] = np.ones(3)
        file[place] = link
    with pytest.raises(RequestError, match=f"has a link at '{place}'"):
        formats.read(path)


def test_numbers_in_other_files(path, tmp_path):
    (tmp_path / "other").write_bytes(bytes(12))
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a/kernel:0", (3,), "f4", external=[(str(tmp_path / "other"), 0, 12)]
        )
    with pytest.raises(RequestError, match="in other files"):
        formats.read(path)


def test_virtual_datasets(path):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("a/kernel:0", layout)
    with pytest.raises(RequestError, match="in other files"):
        formats.read(path)


@pytest.mark.parametrize("chunks", [None, (1024, 1024)])
def test_claims_without_numbers(path, chunks):
    with h5py.File(path, "w") as file:
        file.create_dataset("a/kernel:0", (2**14, 2**14), "f4", chunks=chunks)
    with pytest.raises(RequestError, match="claims 1,073,741,824 bytes"):
        formats.read(path)


def test_bombs(path):
    with h5py.File(path, "w") as file:
        zeros = np.zeros(2**25, np.uint8)
        file.create_dataset("a/kernel:0", data=zeros, compression="gzip")
    with pytest.raises(RequestError, match="which weights never need"):
        formats.read(path)


@pytest.mark.slow
def test_small_arrays_in_large_chunks(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a/kernel:0",
            data=np.ones(3),
            chunks=(2**25,),
            maxshape=(None,),
            compression="gzip",
        )
    with pytest.raises(RequestError, match="which weights never need"):
        formats.read(path)


def test_text_is_refused(path):
    with h5py.File(path, "w") as file:
        file["a/kernel:0"] = "text"
    with pytest.raises(RequestError, match="expected numbers"):
        formats.read(path)


def test_groups_within_themselves(path):
    with h5py.File(path, "w") as file:
        file["a/kernel:0"] = np.ones(3)
        file["a/again"] = file["a"]
    assert list(formats.read(path).tensors) == ["a/kernel"]


def _keras_3(target, layers, *, names=True):
    """`model.save_weights` of Keras 3, of `{group: (name, arrays)}`."""
    with h5py.File(target, "w") as file:
        for group, (name, arrays) in layers.items():
            numbered = file.create_group(f"{group}/vars")
            if names:
                numbered.attrs["name"] = name
            for number, array in enumerate(arrays):
                numbered[str(number)] = array


@pytest.fixture
def keras_3():
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    norm = [draw(4) for _ in range(4)]
    # A group is called after the class of the layer, and not after the layer.
    return {
        "layers/conv2d": ("first", [draw(3, 3, 3, 4), draw(4)]),
        "layers/conv2d_1": ("conv2d", [draw(3, 3, 4, 4), draw(4)]),
        "layers/batch_normalization": ("bn", norm),
        "layers/functional/layers/depthwise_conv2d": ("dw", [draw(2, 2, 4, 1)]),
        "layers/p_re_lu": ("p_re_lu", [draw(1, 1, 4)]),
        "layers/dense": ("out", [draw(4, 2), draw(2)]),
    }


NAMES = [
    "bn/beta",
    "bn/gamma",
    "bn/moving_mean",
    "bn/moving_variance",
    "conv2d/bias",
    "conv2d/kernel",
    "dw/depthwise_kernel",
    "first/bias",
    "first/kernel",
    "out/bias",
    "out/kernel",
    "p_re_lu/alpha",
]


def test_layers_of_keras_3_have_the_names_of_their_attributes(path, keras_3):
    _keras_3(path, keras_3)
    tensors = formats.read(path).tensors
    assert sorted(tensors) == NAMES
    for layer, leaf, group, number in (
        ("first", "kernel", "layers/conv2d", 0),
        ("conv2d", "bias", "layers/conv2d_1", 1),
        ("bn", "moving_variance", "layers/batch_normalization", 3),
    ):
        array = keras_3[group][1][number]
        np.testing.assert_array_equal(tensors[f"{layer}/{leaf}"], array)


def test_layers_of_keras_3_without_attributes(path, keras_3):
    _keras_3(path, keras_3, names=False)
    assert "conv2d_1/kernel" in formats.read(path).tensors


def test_what_is_no_layer_of_keras_3_is_passed_over(path, keras_3):
    _keras_3(path, keras_3)
    with h5py.File(path, "a") as file:
        file["optimizer/vars/0"] = np.ones(3)
        file["layers/dropout/seed_generator/vars/0"] = np.ones(2, np.uint32)
    tensor_file = formats.read(path)
    assert sorted(tensor_file.tensors) == NAMES
    assert tensor_file.notes == (
        "passed over the arrays of 'optimizer', 'seed_generator'",
    )


def test_arrays_of_keras_3_that_cannot_be_named(path, keras_3):
    name, arrays = keras_3["layers/batch_normalization"]
    _keras_3(path, {"layers/batch_normalization": (name, arrays[1:])})
    with pytest.raises(RequestError, match=r"holds 3 arrays for the layer 'bn'"):
        formats.read(path)
    _keras_3(path, {"layers/conv2d": ("a", []), "b/vars/c": ("b", [])})
    with h5py.File(path, "a") as file:
        file["layers/conv2d/vars/x"] = np.ones(3)
    with pytest.raises(RequestError, match="which is no array of a layer"):
        formats.read(path)


def test_an_archive_of_keras_3(path, keras_3, tmp_path):
    _keras_3(tmp_path / "model.weights.h5", keras_3)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", '{"class_name": "Lambda"}')
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    tensor_file = formats.read(path)
    assert tensor_file.format == "Keras archive"
    assert sorted(tensor_file.tensors) == NAMES
    content = path.read_bytes()
    for size in (100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(
            RequestError, match=r"truncated \.keras .*get the file again"
        ):
            formats.read(path)


def test_an_archive_without_weights(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(RequestError, match=r"without model\.weights\.h5"):
        formats.read(path)


def test_no_arrays(path):
    with h5py.File(path, "w") as file:
        file.create_group("input_1")
    with pytest.raises(RequestError, match="no arrays"):
        formats.read(path)


def test_truncated_files(path, layers):
    writers.keras(path, layers)
    content = path.read_bytes()
    for size in (60, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RequestError, match="truncated"):
            formats.read(path)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name, num_arrays, num_numbers",
    [("Meso4", 28, 28_073), ("MesoInception", 52, 28_725)],
)
@pytest.mark.parametrize("task", ["DF", "F2F"])
def test_published_files(shared_data, name, num_arrays, num_numbers, task):
    path = shared_data.parent / "models" / f"{name}_{task}.h5"
    tensors = formats.read(path).tensors
    assert len(tensors) == num_arrays
    # Those that are trained and the running statistics.
    assert sum(array.size for array in tensors.values()) == num_numbers

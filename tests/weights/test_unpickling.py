# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pickles are data: what is no data is refused, whatever it claims to be."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from fakedet_jax.weights import unpickling
from fakedet_jax.weights.tensors import UnreadableError
from tests.weights import writers


def load(content):
    return unpickling.load(io.BytesIO(content))


class _Bomb:
    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numbers_of_every_protocol(protocol):
    value = {
        "a": [1, -2, 2**40, 3.5, None, True, False, (), (1,), (1, 2), (1, 2, 3, 4)],
        "b": {"text": "ü", 3: "number"},
        "c": collections.OrderedDict(x=1, y=2),
    }
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i8", "|u1", "|b1"])
def test_arrays_of_every_protocol(protocol, order, dtype):
    array = np.arange(-3, 3).reshape(2, 3).astype(dtype, order=order)
    loaded = load(pickle.dumps({"a": array}, protocol))["a"].value
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", range(6))
def test_scalars_and_empty_arrays(protocol):
    value = {"scalar": np.float64(2.5), "empty": np.zeros((0, 3), np.float32)}
    loaded = load(pickle.dumps(value, protocol))
    assert loaded["scalar"].value == 2.5
    assert loaded["empty"].value.shape == (0, 3)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_python_2_wrote_bytes_as_text(arrays, module):
    loaded = load(writers.python2_pickle(arrays, module=module))
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].value, array)


def test_text_of_protocol_0(arrays):
    loaded = load(writers.text_pickle(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].value, array)


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_named_and_not_run(protocol, tmp_path):
    victim = tmp_path / "victim"
    bomb = _Bomb(os.system, f"touch {victim}")
    with pytest.raises(UnreadableError, match=r"holds code \((posix|nt)\.system\)"):
        load(pickle.dumps({"w": bomb}, protocol))
    assert not victim.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02(S'true'\nios\nsystem\n.",
        b"(S'true'\nios\nsystem\n.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x02ctorch.hub\nload\n.",
    ],
)
def test_code_is_refused_in_every_spelling(content):
    with pytest.raises(UnreadableError, match="holds code"):
        load(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pmodule\n.",  # PERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_other_instructions_are_refused(content):
    with pytest.raises(UnreadableError, match="holds the pickle instruction"):
        load(content)


def test_objects_in_arrays_are_refused():
    with pytest.raises(UnreadableError, match="Python objects"):
        load(pickle.dumps(np.array([{}], dtype=object), 2))


@pytest.mark.parametrize("dtype", ["i4,f4", "U3", "S3", "M8[s]"])
def test_arrays_of_anything_but_numbers_are_refused(dtype):
    with pytest.raises(UnreadableError, match="holds an array of"):
        load(pickle.dumps(np.zeros(2, dtype), 2))


def _array_claiming(shape):
    content = writers.python2_pickle({"a": np.zeros(3, np.float32)})
    return content.replace(b"(K\x01(K\x03t", b"(K\x01" + writers.value(shape))


def test_a_claimed_shape_reserves_nothing():
    with pytest.raises(UnreadableError, match="claims an array of"):
        load(_array_claiming((2**20, 2**20)))


@pytest.mark.parametrize("shape", [(-1,), (2**70,), (1.5,), ("a",), (1,) * 40, (True,)])
def test_impossible_shapes_are_refused(shape):
    with pytest.raises(UnreadableError):
        load(_array_claiming(shape))


@pytest.mark.parametrize("opcode", [b"T", b"X", b"B", b"\x8e", b"\x8d", b"\x96"])
def test_a_claimed_length_reserves_nothing(opcode):
    size = struct.pack("<q", 2**62) if opcode >= b"\x80" else b"\xff\xff\xff\x7f"
    with pytest.raises(UnreadableError, match="truncated"):
        load(b"\x80\x04" + opcode + size + b"abc.")


@pytest.mark.parametrize(
    "shape, strides, offset",
    [
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((2,), (2**60,), 0),
        ((1,), (1,), -1),
        ((2,), (-1,), 3),
        ((2, 2), (1,), 0),
    ],
)
def test_tensors_stay_in_their_storage(shape, strides, offset):
    content = writers.tensor("0", shape, size=4, strides=strides, offset=offset)
    with pytest.raises(UnreadableError):
        load(b"\x80\x02" + content + b".")


def test_deep_keys_do_not_exhaust_the_stack():
    with pytest.raises(UnreadableError, match="names"):
        load(b"\x80\x02}" + b")" + 200_000 * b"\x85" + b"Ns.")


def test_deep_values_are_only_data():
    load(b"\x80\x02" + b")" + 200_000 * b"\x85" + b".")


def test_a_list_makes_one_dict():
    content = b"\x80\x02](" + 3 * b"K\x01K\x02\x86" + b"eq\x00"
    again = 2 * b"ccollections\nOrderedDict\nh\x00\x85R"
    first, second = load(content + b"(" + again + b"t.")
    assert (first, second) == ({1: 2}, {})


def test_endless_instructions_stop(monkeypatch):
    monkeypatch.setattr(unpickling, "_MAX_OPERATIONS", 1000)
    with pytest.raises(UnreadableError, match="1,000 instructions"):
        load(b"\x80\x02" + 2000 * b"N" + b".")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02R.",
        b"\x80\x02h\x05.",
        b"\x80\x02NNs.",
        b"\xff.",
        b".",
    ],
)
def test_damage_is_one_reason(content):
    with pytest.raises(UnreadableError, match=r"damaged|truncated"):
        load(content)

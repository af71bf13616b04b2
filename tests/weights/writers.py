# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes weight files byte by byte, as the programs that they come from do."""

import io
import pickle
import struct
import zipfile

import numpy as np

_STORAGES = {
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
}


def value(thing):
    """The instructions of a pickle that put something on the stack."""
    return pickle.dumps(thing, protocol=2)[2:-1]


def python2_pickle(arrays, *, module="numpy.core.multiarray"):
    """`cPickle.dump({name: array}, file, 2)` of Python 2."""
    items = b"".join(
        _short_string(name) + _python2_array(array, module)
        for name, array in arrays.items()
    )
    return b"\x80\x02}q\x00(" + items + b"u."


def text_pickle(arrays):
    """`pickle.dump({name: array}, file)` of Python 2: protocol 0."""
    parts = [b"(dp0\n"]
    for name, array in arrays.items():
        shape = b"".join(b"I%d\n" % size for size in array.shape)
        quoted = "".join(f"\\x{byte:02x}" for byte in array.tobytes()).encode()
        if array.size:
            # Python 2 leaves printable characters as they are.
            quoted = quoted.replace(b"\\x41", b"A")
        parts += [
            b"S'%s'\n" % name.encode(),
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR",
            b"(I1\n(" + shape + b"tcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR",
            b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'" + quoted + b"'\ntbs",
        ]
    return b"".join(parts) + b"."


def torch_zip(arrays, *, wrap=None, byteorder="little", compression=zipfile.ZIP_STORED):
    """`torch.save(arrays, file)` since PyTorch 1.6."""
    file = io.BytesIO()
    order = {"little": "<", "big": ">"}[byteorder]
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("weights/data.pkl", b"\x80\x02" + _torch_object(arrays, wrap))
        archive.writestr("weights/byteorder", byteorder)
        for key, array in enumerate(arrays.values()):
            archive.writestr(f"weights/data/{key}", _raw(array, order))
        archive.writestr("weights/version", "3\n")
    return file.getvalue()


def torch_stream(arrays, *, wrap=None):
    """`torch.save(arrays, file, _use_new_zipfile_serialization=False)`."""
    facts = {"protocol_version": 1001, "little_endian": True}
    keys = [str(key) for key in range(len(arrays))]
    parts = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)]
    parts += [pickle.dumps(facts, 2), b"\x80\x02" + _torch_object(arrays, wrap)]
    parts.append(pickle.dumps(keys, 2))
    for array in arrays.values():
        parts += [struct.pack("<q", array.size), _raw(array, "<")]
    return b"".join(parts)


def tensor(key, shape, *, size, strides=None, offset=0, storage="FloatStorage"):
    """The instructions that describe a tensor in both formats of PyTorch."""
    strides = contiguous(shape) if strides is None else strides
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + value("storage")
        + f"ctorch\n{storage}\n".encode()
        + value(key)
        + value("cpu")
        + value(size)
        + b"tQ"
        + value(offset)
        + value(tuple(shape))
        + value(tuple(strides))
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def contiguous(shape):
    """Strides in numbers."""
    return [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]


def keras(path, layers, *, group=None):
    """`model.save_weights(path)` of Keras 2, of `{layer: {"kernel": array}}`."""
    import h5py

    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        root.attrs["layer_names"] = [name.encode() for name in layers]
        root.attrs["keras_version"] = b"2.1.5"
        for name, arrays in layers.items():
            inner = root.create_group(name)
            for leaf, array in arrays.items():
                inner.create_dataset(f"{name}/{leaf}:0", data=array)
            inner.attrs["weight_names"] = [f"{name}/{x}:0".encode() for x in arrays]


def caffe(layers, *, name="net", old=False, packed=True, legacy=False):
    """A `NetParameter` of `(name, type, bottoms, tops, blobs)`."""
    content = [_field(1, name.encode()) if name else b""]
    for layer_name, kind, bottoms, tops, blobs in layers:
        numbers = (4, 5, 2, 3, 6) if old else (1, 2, 3, 4, 7)
        layer = [_field(numbers[0], layer_name.encode())]
        if old:
            layer.append(_tag(numbers[1], 0) + _varint(kind))
        else:
            layer.append(_field(numbers[1], kind.encode()))
        for number, names in zip(numbers[2:4], (bottoms, tops), strict=True):
            layer += [_field(number, text.encode()) for text in names]
        layer += [_field(numbers[4], _blob(blob, packed, legacy)) for blob in blobs]
        # A field that nobody reads: the phase.
        layer.append(_tag(10, 0) + _varint(1))
        content.append(_field(2 if old else 100, b"".join(layer)))
    return b"".join(content)


def _blob(blob, packed, legacy):
    if legacy:
        shape = (1,) * (4 - blob.ndim) + blob.shape
        content = b"".join(
            _tag(number, 0) + _varint(size) for number, size in enumerate(shape, 1)
        )
    else:
        dims = b"".join(_varint(size) for size in blob.shape)
        content = _field(7, _field(1, dims))
    if blob.dtype == np.float64:
        return content + _field(8, blob.astype("<f8").tobytes())
    raw = blob.astype("<f4").tobytes()
    if packed:
        return _field(5, raw) + content
    numbers = (raw[i : i + 4] for i in range(0, len(raw), 4))
    return content + b"".join(_tag(5, 5) + number for number in numbers)


def _field(number, content):
    return _tag(number, 2) + _varint(len(content)) + content


def _tag(number, wire_type):
    return _varint(number << 3 | wire_type)


def _varint(number):
    content = b""
    while number >= 0x80:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def _python2_array(array, module):
    code = array.dtype.str[1:].encode()
    shape = b"(" + b"".join(value(size) for size in array.shape) + b"t"
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return (
        f"c{module}\n_reconstruct\n".encode()
        + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + _short_string(code.decode())
        + b"K\x00K\x01\x87R(K\x03U\x01<NNN"
        + 2 * b"J\xff\xff\xff\xff"
        + b"K\x00tb\x89T"
        + struct.pack("<i", len(raw))
        + raw
        + b"tb"
    )


def _short_string(text):
    return b"U" + bytes([len(text)]) + text.encode("latin-1")


def _torch_object(arrays, wrap):
    items = b"".join(
        value(name)
        + tensor(
            str(key),
            array.shape,
            size=array.size,
            storage=_STORAGES[str(array.dtype)],
        )
        for key, (name, array) in enumerate(arrays.items())
    )
    state = b"ccollections\nOrderedDict\n)R(" + items + b"u"
    if wrap:
        state = b"}(" + value("epoch") + value(3) + value(wrap) + state + b"u"
    return state + b"."


def _raw(array, order):
    if array.dtype.kind == "V":
        return array.view(np.uint16).astype(f"{order}u2").tobytes()
    return array.astype(array.dtype.newbyteorder(order)).tobytes()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints with objects of any class, none of which has to be installed."""

import dataclasses
import io
import pickle
import zipfile
from typing import Any

import numpy as np

_STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage"}


@dataclasses.dataclass(eq=False)
class Name:
    """A class or function, by its name."""

    name: str


@dataclasses.dataclass(eq=False)
class Call:
    """The result of a call, or an object of a class."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] | None = None
    is_object: bool = False


@dataclasses.dataclass(eq=False)
class Tensor:
    """A tensor as PyTorch writes it, with more than an array can tell."""

    array: np.ndarray
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    bits: dict[str, bool] | None = None
    dtype: str | None = None


def thing(name, state=None, **items):
    """An object of a class, with attributes or, for a kind of dict, items."""
    return Call(name, (), state, items or None, is_object=True)


def script(name, **members):
    """A module of TorchScript."""
    return Call(f"__torch__.{name}", (), members, is_object=True)


def module(name, parameters=None, modules=None, buffers=None):
    """A module of PyTorch, as `torch.save` writes it whole."""
    state = {
        "training": False,
        "_parameters": parameters or {},
        "_buffers": buffers or {},
        "_non_persistent_buffers_set": set(),
        "_modules": modules or {},
    }
    return Call(name, (), state, is_object=True)


def archive(value, *, constants=None):
    """`torch.save(value)`; with constants, `torch.jit.save`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        parts = {"data": value} if constants is None else {}
        if constants is not None:
            parts = {"data": value, "constants": constants}
            writer.writestr("a/code/__torch__.py", "raise SystemExit\n")
        for part, content in parts.items():
            pickler = _Pickler(written := io.BytesIO())
            pickler.dump(content)
            writer.writestr(f"a/{part}.pkl", written.getvalue())
            for key, raw in enumerate(pickler.storages):
                writer.writestr(f"a/{part}/{key}", raw)
    return file.getvalue()


def plain_pickle(value):
    """`pickle.dumps(value)` for values without tensors."""
    pickler = _Pickler(written := io.BytesIO())
    pickler.dump(value)
    return written.getvalue()


class _Pickler(pickle._Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.fast = True  # Nothing is written by reference.
        self.storages = []

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            module, _, name = obj.name.rpartition(".")
            self.write(f"c{module}\n{name}\n".encode())
        elif isinstance(obj, Call):
            self.save(Name(obj.name))
            self.save(obj.arguments)
            self.write(pickle.NEWOBJ if obj.is_object else pickle.REDUCE)
            if obj.items is not None:
                self.write(pickle.MARK)
                for key, value in obj.items.items():
                    self.save(key)
                    self.save(value)
                self.write(pickle.SETITEMS)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        elif isinstance(obj, Tensor):
            self._save_tensor(obj)
        elif isinstance(obj, np.ndarray) and obj.dtype.str[1:] in _STORAGES:
            self._save_tensor(Tensor(obj))
        else:
            super().save(obj, save_persistent_id)

    def _save_tensor(self, tensor):
        array = tensor.array
        kind = (
            f"torch.{_STORAGES[array.dtype.str[1:]]}"
            if tensor.dtype is None
            else "torch.storage.UntypedStorage"
        )
        self.storages.append(array.tobytes())
        key = str(len(self.storages) - 1)
        version = 2 if tensor.dtype is None else 3
        self.save(Name(f"torch._utils._rebuild_tensor_v{version}"))
        self.write(pickle.MARK)
        self.save(("storage", Name(kind), key, "cpu", array.size))
        self.write(pickle.BINPERSID)
        shape = array.shape if tensor.shape is None else tensor.shape
        strides = tensor.strides
        if strides is None:
            strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
        for part in (0, tuple(shape), tuple(strides), False, {}):
            self.save(part)
        if tensor.dtype is not None:
            self.save(Name(tensor.dtype))
        if tensor.bits is not None:
            self.save(tensor.bits)
        self.write(pickle.TUPLE + pickle.REDUCE)

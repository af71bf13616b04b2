# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every row of the table in experiments/WEIGHTS.md, with a file that it is about."""

import collections
import dataclasses
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as safetensors_writer

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import formats
from tests.golden import backbone_weights
from tests.weights import (
    dlib_writer,
    test_onnx_files,
    test_torch_files,
    torch_objects,
    writers,
)
from tests.weights.torch_objects import Call, Name, Tensor, module, script, thing

PAGE = Path(__file__).parents[2] / "experiments" / "WEIGHTS.md"

STATE = {
    "conv.weight": np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2) - 3,
    "conv.bias": np.float32([0.5, -0.5]),
}
PREFIXED = {f"module.{name}": array for name, array in STATE.items()}
AVERAGED = {name: array + 1 for name, array in STATE.items()}
OPTIMIZER = {
    "state": {0: {"step": np.array(3.0), "exp_avg": np.ones((2, 1, 2, 2))}},
    "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}],
}
SCHEDULER = {"milestones": collections.Counter([2, 4]), "last_epoch": 1}
ARGS = thing(
    "argparse.Namespace", {"lr": 0.1, "out": Call("pathlib.PosixPath", ("a",))}
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        make: Writes the file into a folder and returns its path, or returns its bytes.
        names: Names that the arrays of `STATE` have in it; None if it is refused.
        reason: Of the refusal, or a part of the notes.
        container: The container that is chosen.
        values: What it holds instead of `STATE`.
    """

    make: Callable[[Path], bytes | Path]
    names: tuple[str, ...] | None = tuple(STATE)
    reason: str = ""
    container: str | None = None
    values: tuple[np.ndarray, ...] = tuple(STATE.values())


def saved(value, **how):
    return lambda folder: torch_objects.archive(value, **how)


def refused(make, reason):
    return Row(make, None, reason)


def in_files(files, name=None):
    """Several files of one folder, and the path of one of them or of the folder."""

    def make(folder):
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return folder if name is None else folder / name

    return make


def hdf5(fill):
    def make(folder):
        with h5py.File(folder / "file", "w") as file:
            fill(file)
        return folder / "file"

    return make


def keras_2(folder, group=None):
    kernel = STATE["conv.weight"].transpose(2, 3, 1, 0)
    layers = {"conv": {"kernel": kernel, "bias": STATE["conv.bias"]}}
    writers.keras(folder / "file", layers, group=group)
    return folder / "file"


def keras_3(file):
    numbered = file.create_group("layers/conv2d_7/vars")
    numbered.attrs["name"] = "conv"
    numbered["0"] = STATE["conv.weight"].transpose(2, 3, 1, 0)
    numbered["1"] = STATE["conv.bias"]


def keras_archive(folder):
    hdf5(keras_3)(folder)
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.write(folder / "file", "model.weights.h5")
    return folder / "model.keras"


KERAS = {
    "names": ("conv/bias", "conv/kernel"),
    "values": (STATE["conv.bias"], STATE["conv.weight"].transpose(2, 3, 1, 0)),
}
SHARDS = {
    f"model-0000{number}-of-00002.safetensors": safetensors_writer.save(
        {name: STATE[name]}
    )
    for number, name in enumerate(STATE, 1)
}
INDEX = {
    "model.safetensors.index.json": json.dumps(
        {"metadata": {}, "weight_map": dict(zip(STATE, SHARDS, strict=True))}
    ).encode()
}
FROZEN = "TorchScript, frozen"


def golden_onnx(name):
    return lambda folder: test_onnx_files.place(name, folder)


def onnx(name):
    arrays = test_onnx_files.GOLDEN[name]["arrays"]
    values = tuple(np.asarray(values) for values in arrays.values())
    return Row(golden_onnx(name), tuple(arrays), values=values)


def external(location):
    def make(folder):
        (folder / "network").mkdir()
        (folder / "data").write_bytes(bytes(12))
        path = folder / "network" / "network.onnx"
        path.write_bytes(test_onnx_files.network(location=location))
        return path

    return make


def dlib(folder):
    return dlib_writer.network(backbone_weights.torch_tensors("dlib_resnet29"))


def typed(dtype):
    array = STATE["conv.weight"].astype(dtype)
    return {"conv.weight": array, "conv.bias": STATE["conv.bias"].astype(dtype)}


def safetensors_of(arrays):
    """safetensors of types that NumPy lacks."""
    types = {"float8_e4m3fn": "F8_E4M3", "bfloat16": "BF16"}
    header, raw = {}, b""
    for name, array in arrays.items():
        end = len(raw) + array.nbytes
        header[name] = {
            "dtype": types[str(array.dtype)],
            "shape": array.shape,
            "data_offsets": [len(raw), end],
        }
        raw += array.tobytes()
    text = json.dumps(header).encode()
    return lambda folder: len(text).to_bytes(8, "little") + text + raw


FLOAT8 = Tensor(
    STATE["conv.weight"].astype(ml_dtypes.float8_e4m3fn).view(np.uint8),
    dtype="torch.float8_e4m3fn",
)
CONV = module(
    "torch.nn.modules.conv.Conv2d",
    {"weight": STATE["conv.weight"], "bias": STATE["conv.bias"]},
)
SCRIPTED = script("Conv", weight=STATE["conv.weight"], bias=STATE["conv.bias"])

ROWS = {
    # What ten usual training scripts save.
    "`torch.save(model.state_dict())`": Row(saved(STATE)),
    "the same of `DataParallel` or DDP (`module.…`)": Row(
        saved(PREFIXED), reason="'module.' removed"
    ),
    "a checkpoint of DDP with optimizer, scheduler and scaler": Row(
        saved(
            {
                "epoch": 3,
                "model": PREFIXED,
                "optimizer": OPTIMIZER,
                "lr_scheduler": SCHEDULER,
                "scaler": {"scale": 65536.0, "_growth_tracker": 3},
                "rng_state": np.arange(8.0),
                "best_acc": np.array(0.9),
                "args": ARGS,
            }
        ),
        reason="passed over 2 arrays of 'optimizer'",
    ),
    "a checkpoint of Lightning": Row(
        saved(
            {
                "epoch": 3,
                "global_step": 9,
                "pytorch-lightning_version": "2.5.0",
                "state_dict": {
                    **{f"model.{name}": array for name, array in STATE.items()},
                    "criterion.weight": np.ones(3, np.float32),
                },
                "loops": {"fit_loop": {"state_dict": {}}},
                "callbacks": {
                    "ModelCheckpoint{'monitor': None}": {
                        "best_model_score": np.array(0.9),
                        "best_k_models": {},
                    }
                },
                "optimizer_states": [OPTIMIZER],
                "lr_schedulers": [SCHEDULER],
                "hparams_name": "kwargs",
                "hyper_parameters": thing(
                    "lightning.fabric.utilities.data.AttributeDict", lr=0.1
                ),
            }
        ),
        names=("model.conv.weight", "model.conv.bias"),
        reason="1 array of 'criterion'",
    ),
    "a checkpoint of timm without averages": Row(
        saved(
            {
                "epoch": 3,
                "arch": "resnet50",
                "state_dict": STATE,
                "optimizer": OPTIMIZER,
                "args": ARGS,
                "amp_scaler": {"scale": 1.0},
                "metric": 0.9,
            }
        )
    ),
    "a checkpoint of timm with averages, `--container=state_dict_ema`": Row(
        saved({"state_dict": STATE, "state_dict_ema": AVERAGED, "args": ARGS}),
        container="state_dict_ema",
        values=tuple(AVERAGED.values()),
    ),
    "a checkpoint of MMClassification or MMPretrain": Row(
        saved(
            {
                "meta": {
                    "epoch": 3,
                    "seed": np.array(1),
                    "hook": thing("mmengine.logging.history_buffer.HistoryBuffer", {}),
                },
                "state_dict": STATE,
                "message_hub": {"log_scalars": {"loss": np.ones(4)}},
                "optimizer": OPTIMIZER,
                "param_schedulers": [SCHEDULER],
            }
        )
    ),
    "a checkpoint of insightface": Row(
        saved(
            {
                "epoch": 3,
                "global_step": 9,
                "state_dict_backbone": PREFIXED,
                "state_dict_softmax_fc": {"weight": np.ones((4, 3), np.float32)},
                "state_optimizer": OPTIMIZER,
                "state_lr_scheduler": SCHEDULER,
            }
        ),
        reason="1 array of 'state_dict_softmax_fc'",
    ),
    "weights of facenet-pytorch, in the format before PyTorch 1.6": Row(
        lambda folder: writers.torch_stream(STATE)
    ),
    "TorchScript, scripted or traced": Row(
        saved(script("Net", conv=SCRIPTED), constants=())
    ),
    "safetensors in several files, by their index": Row(
        in_files({**SHARDS, **INDEX}, "model.safetensors.index.json"),
        reason="joined 2 files",
    ),
    # Wrappings.
    "the same, by their folder": Row(in_files({**SHARDS, **INDEX})),
    "the same without an index": Row(in_files(SHARDS)),
    "`torch.save(model)`, a whole module": Row(
        saved(module("project.Net", modules={"conv": CONV}))
    ),
    "a whole module in a checkpoint": Row(
        saved({"epoch": 3, "model": module("project.Net", modules={"conv": CONV})})
    ),
    "a state_dict of `torch.compile` (`_orig_mod.…`)": Row(
        saved({f"_orig_mod.{name}": array for name, array in STATE.items()})
    ),
    "a state_dict of `AveragedModel` (`n_averaged`)": Row(
        saved({"n_averaged": np.array(3), **PREFIXED}), reason="'n_averaged'"
    ),
    "an average beside the newest weights, no choice": refused(
        saved({"model": STATE, "model_ema": AVERAGED}),
        "model (2), model_ema (2) arrays; convert it, and choose one with `container`",
    ),
    "a generator and a discriminator, no choice": refused(
        saved({"netG": STATE, "netD": AVERAGED}), "netG (2), netD (2)"
    ),
    "a container that the file lacks": Row(
        saved({"model": STATE}),
        None,
        "holds no container 'ema' (`container`), found model",
        container="ema",
    ),
    "`Counter`, `defaultdict`, `Namespace`, paths, sets, dates beside weights": Row(
        saved(
            {
                "state_dict": STATE,
                "counter": collections.Counter("aab"),
                "default": Call("collections.defaultdict", (Name("builtins.list"),)),
                "args": ARGS,
                "set": {1, 2},
                "when": Call("datetime.datetime", (b"1234567890",)),
                "device": Call("torch.device", ("cuda", 0)),
                "dtype": Name("torch.float16"),
                "text": np.str_("a"),
            }
        ),
        reason="argparse.Namespace",
    ),
    "an object of your own class beside weights": Row(
        saved({"state_dict": STATE, "config": thing("project.Config", {"lr": 1})}),
        reason="project.Config",
    ),
    "weights in a kind of dict": Row(saved(thing("project.Dict", **STATE))),
    # Numbers.
    "a tensor with the negative bit": Row(
        saved(
            {
                "conv.weight": Tensor(-STATE["conv.weight"], bits={"neg": True}),
                "conv.bias": STATE["conv.bias"],
            }
        )
    ),
    "an expanded tensor": Row(
        saved({"a": Tensor(np.float32([1, 2]), shape=(3, 2), strides=(0, 1))}),
        names=("a",),
        values=(np.float32([[1, 2]] * 3),),
    ),
    "a transposed view": Row(
        saved({"a": Tensor(np.float32([1, 2, 3, 4]), shape=(2, 2), strides=(1, 2))}),
        names=("a",),
        values=(np.float32([[1, 3], [2, 4]]),),
    ),
    "a parameter with attributes": Row(
        lambda folder: test_torch_files._golden_file("parameter with attributes, zip"),
        names=("a",),
        values=(np.float32([[-2, -1, 0], [1, 2, 3]]),),
    ),
    "float8": Row(
        saved({"conv.weight": FLOAT8, "conv.bias": STATE["conv.bias"]}),
    ),
    "bfloat16": Row(lambda folder: writers.torch_zip(typed(ml_dtypes.bfloat16))),
    "float16": Row(lambda folder: writers.torch_zip(typed(np.float16))),
    "an archive from a big-endian machine": Row(
        lambda folder: writers.torch_zip(STATE, byteorder="big")
    ),
    "a quantised tensor": refused(
        saved({**STATE, "fc.weight": Call("torch._utils._rebuild_qtensor", (1,))}),
        "fc.weight is quantised; save it in float32",
    ),
    "a sparse tensor": refused(
        saved(
            {**STATE, "fc.weight": Call("torch._utils._rebuild_sparse_tensor", (1,))}
        ),
        "fc.weight is sparse; save it dense",
    ),
    "a tensor on the device `meta`": refused(
        saved({"a": Call("torch._utils._rebuild_meta_tensor_no_storage", (1,))}),
        "has no numbers",
    ),
    "a tensor that claims more than its storage": refused(
        saved({"a": Tensor(np.float32([1]), shape=(2,), strides=(1,))}),
        "exceeds its storage",
    ),
    # Other formats.
    "a pickle of `{name: array}`, Python 3": Row(lambda folder: pickle.dumps(STATE)),
    "a pickle of `{name: array}`, Python 2": Row(
        lambda folder: writers.python2_pickle(STATE)
    ),
    "safetensors": Row(
        lambda folder: safetensors_writer.save(STATE),
        names=("conv.bias", "conv.weight"),
        values=(STATE["conv.bias"], STATE["conv.weight"]),
    ),
    "safetensors of bfloat16": Row(safetensors_of(typed(ml_dtypes.bfloat16))),
    "safetensors of float8": Row(safetensors_of(typed(ml_dtypes.float8_e4m3fn))),
    "Keras 1 and 2, `save_weights`": Row(keras_2, **KERAS),
    "Keras 2, a whole model in `.h5`": Row(
        lambda folder: keras_2(folder, "model_weights"), **KERAS
    ),
    "Keras 3, `.weights.h5`": Row(hdf5(keras_3), **KERAS),
    "Keras 3, `.keras`": Row(keras_archive, **KERAS),
    "`.caffemodel`": Row(
        lambda folder: writers.caffe(
            [("conv", "Convolution", (), ("a",), tuple(STATE.values()))]
        ),
        names=("conv/weight", "conv/bias"),
    ),
    "ONNX, its initialisers": onnx("raw"),
    "ONNX with external data": onnx("external"),
    "dlib's network for face recognition": Row(
        dlib, tuple(backbone_weights.torch_shapes("dlib_resnet29")), values=()
    ),
    # Refused.
    "a pickle that calls a function": refused(
        saved({"state_dict": STATE, "hook": Call("os.system", ("true",))}),
        "holds code (os.system), which is never run",
    ),
    "weights only within an object of your own class": refused(
        saved({"model": thing("project.Wrapper", {"weights": STATE})}),
        "only within objects that are never made (project.Wrapper)",
    ),
    "TorchScript after `torch.jit.freeze`": refused(
        lambda folder: test_torch_files._golden_file(FROZEN),
        "save the module before torch.jit.freeze",
    ),
    "`torch.export`'s program": refused(
        lambda folder: _archive(folder, {"a/archive_format": b"pt2"}),
        "is an exported program",
    ),
    "a zip archive of something else": refused(
        lambda folder: _archive(folder, {"picture.png": b""}), "without data.pkl"
    ),
    "an index that names files in other folders": refused(
        in_files(
            {
                "model.safetensors.index.json": json.dumps(
                    {"weight_map": {"a": "../a"}}
                ).encode()
            }
        ),
        "expected the name of a file beside it",
    ),
    "files of several, one of them missing": refused(
        in_files(dict(list(SHARDS.items())[:1])), "lacks the parts 2 of 2"
    ),
    "ONNX whose external data are in another folder": refused(
        external("../data"), "outside of its folder, which is not opened"
    ),
    "ONNX whose external data are missing": refused(
        external("gone"), "which is missing; put this file beside it"
    ),
    "HDF5 with links or external data": refused(
        hdf5(lambda file: file.update(a=h5py.ExternalLink("b", "/"))), "has a link"
    ),
    "dlib's network for face detection": refused(
        lambda folder: dlib(folder).replace(b"metric_2", b"mmod_123", 1),
        "with the loss 'loss_mmod_123'",
    ),
    "a web page, or the pointer of Git LFS": refused(
        lambda folder: b"<!DOCTYPE html>", "has an unknown format"
    ),
    "a truncated file": refused(
        lambda folder: torch_objects.archive(STATE)[:-30], "damaged or truncated"
    ),
    "a compression bomb": refused(
        lambda folder: writers.torch_zip(
            {"a": np.zeros(2**23, np.float32)}, compression=zipfile.ZIP_DEFLATED
        ),
        "which weights never need",
    ),
}


def _archive(folder, entries):
    with zipfile.ZipFile(folder / "file", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return folder / "file"


def _table():
    """Files and outcomes of the table of the page."""
    rows = re.findall(
        r"^\| (.+?) \| (read|refused) \| (.+) \|$", PAGE.read_text(), re.M
    )
    return {title: outcome for title, outcome, _ in rows}


def test_the_page_has_the_rows_that_are_tested():
    expected = {n: "refused" if r.names is None else "read" for n, r in ROWS.items()}
    assert list(_table().items()) == list(expected.items())
    assert len(expected) >= 40


@pytest.mark.parametrize("title", ROWS)
def test_row(title, tmp_path):
    row = ROWS[title]
    path = row.make(tmp_path)
    if isinstance(path, bytes):
        (tmp_path / "weights").write_bytes(path)
        path = tmp_path / "weights"
    if row.names is None:
        with pytest.raises(RequestError) as caught:
            formats.read(path, row.container)
        assert row.reason in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    tensor_file = formats.read(path, row.container)
    assert sorted(tensor_file.tensors) == sorted(row.names)
    for name, values in zip(row.names, row.values, strict=bool(row.values)):
        found = tensor_file.tensors[name].astype(np.float64)
        np.testing.assert_array_equal(found, values.astype(np.float64))
    assert row.reason in " ".join(tensor_file.notes)

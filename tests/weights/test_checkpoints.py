# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights are found among all that training scripts save, and nothing is made."""

import collections
import datetime
import pathlib
import pickle

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import checkpoints, formats
from tests.weights import torch_objects
from tests.weights.torch_objects import Call, Name, Tensor, module, script, thing


@pytest.fixture
def read(tmp_path):
    def read(value, container=None, **how):
        path = tmp_path / "checkpoint"
        path.write_bytes(torch_objects.archive(value, **how))
        return formats.read(path, container)

    return read


STATE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
OTHER = {"a.weight": -STATE["a.weight"]}


def assert_state(tensor_file, state=STATE):
    assert list(tensor_file.tensors) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(tensor_file.tensors[name], array)


@pytest.mark.parametrize(
    "companion",
    [
        collections.Counter([1, 1, 2]),
        collections.OrderedDict(a=1),
        {1, 2},
        frozenset([1]),
        pathlib.PurePosixPath("/data"),
        datetime.datetime(2026, 1, 2),
        datetime.timedelta(3),
        np.str_("text"),
        np.float64(0.5),
        np.array(["text"]),
        np.array([{}], dtype=object),
        np.zeros(2, "i4,f4"),
        complex(1, 2),
        slice(1, 2),
        bytearray(b"123"),
        Call("collections.defaultdict", (Name("builtins.list"),)),
        Call("pathlib._local.PosixPath", ("/", "data")),
        Call("torch.device", ("cuda", 0)),
        Call("torch.serialization._get_layout", ("torch.strided",)),
        Name("torch.bfloat16"),
        Call("torch.Size", ((1, 2),)),
        thing("argparse.Namespace", {"lr": 0.1, "seed": 1}),
        thing("omegaconf.dictconfig.DictConfig", {"_content": {}}),
        thing("mmengine.config.config.ConfigDict", lr=0.1),
        thing("project.config.Config", {"lr": 0.1}),
        Call("lightning.pytorch.trainer.states.TrainerFn", ("fit",)),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_companions_of_weights_are_not_made(companion, read):
    assert_state(read({"state_dict": STATE, "companion": companion}))


def test_classes_of_companions_are_listed(read):
    value = {"state_dict": STATE, "args": thing("argparse.Namespace", {"lr": 1})}
    assert read(value).notes == (
        "passed over objects that were not made (argparse.Namespace)",
        "arrays taken from 'state_dict'",
    )


@pytest.mark.parametrize(
    "call",
    [
        Call("os.system", ("true",)),
        Call("builtins.eval", ("1",)),
        Call("builtins.getattr", ("a", "b")),
        Call("torch.hub.load", ("a",)),
        Call("subprocess.Popen", (["true"],)),
        Call("numpy.core.multiarray.fromfile", ("/etc/passwd",)),
    ],
    ids=lambda call: call.name,
)
def test_other_calls_are_refused_beside_weights(call, read):
    with pytest.raises(RequestError, match=f"holds code \\({call.name}\\)"):
        read({"state_dict": STATE, "companion": call})


@pytest.mark.parametrize(
    "key",
    [
        "optimizer",
        "optimizer_state_dict",
        "optimizer_states",
        "optim",
        "g_optim",
        "state_optimizer",
        "optimizer_D",
        "scheduler",
        "lr_scheduler",
        "lr_schedulers",
        "state_lr_scheduler",
        "scaler",
        "grad_scaler",
        "amp",
        "amp_scaler",
        "rng_state",
        "cuda_rng_state",
        "rng_states",
        "random_state",
        "callbacks",
        "loops",
        "meta",
        "message_hub",
        "hyper_parameters",
        "criterion",
        "loss_fn",
        "state_dict_softmax_fc",
        "criterion_state_dict",
    ],
)
def test_arrays_that_are_no_weights_are_passed_over(key, read):
    tensor_file = read({"net": STATE, key: {"state": {0: {"x": np.ones((2, 2))}}}})
    assert_state(tensor_file)
    assert tensor_file.notes[0] == f"passed over 1 array of {key!r}"


def test_parts_of_a_loss_and_averages_in_a_state_dict_are_passed_over(read):
    state = {
        "n_averaged": np.array(3),
        "module.a.weight": STATE["a.weight"],
        "module.criterion.weight": np.ones((3, 3)),
        "module.loss_fn.centers": np.ones((3, 3)),
    }
    tensor_file = read(state)
    assert_state(tensor_file)
    assert tensor_file.notes == (
        "passed over 1 array of 'n_averaged', 1 array of 'criterion', "
        "1 array of 'loss_fn'",
        "'module.' removed from all names",
    )


def test_single_numbers_beside_the_weights_are_passed_over(read):
    value = {"state_dict": STATE, "best_acc": np.array(0.5), "losses": [np.array(1.0)]}
    tensor_file = read(value)
    assert_state(tensor_file)
    assert (
        tensor_file.notes[0] == "passed over 1 array of 'losses', the numbers best_acc"
    )


def test_single_numbers_of_a_network_are_kept(read):
    state = {"logit_scale": np.array(4.6), **STATE}
    assert_state(read({"state_dict": state}), state)


def test_states_of_random_generators_are_passed_over(read):
    legacy = np.random.RandomState(0).get_state()
    newer = np.random.RandomState(0).get_state(legacy=False)
    tensor_file = read({"model": STATE, "np": legacy, "numpy": newer})
    assert_state(tensor_file)
    assert "passed over 2 arrays of numpy.random.get_state" in tensor_file.notes[0]


@pytest.mark.parametrize(
    "names",
    [
        ("state_dict", "state_dict_ema"),
        ("model", "model_ema"),
        ("model", "ema"),
        ("params", "params_ema"),
        ("student", "teacher"),
        ("netG", "netD"),
        ("g", "d"),
        ("state_dict", "ema_state_dict"),
    ],
)
def test_one_of_several_containers_is_chosen(names, read):
    value = dict(zip(names, (STATE, OTHER), strict=True))
    with pytest.raises(RequestError) as caught:
        read(value)
    for name in names:
        assert f"{name} (1)" in str(caught.value)
    assert "`container`" in str(caught.value)
    for name, state in zip(names, (STATE, OTHER), strict=True):
        tensor_file = read(value, name)
        assert_state(tensor_file, state)
        assert "passed over 1 array of other containers" in tensor_file.notes[0]


def test_a_container_is_named_by_all_its_keys(read):
    value = {"a": {"state": STATE}, "b": {"state": OTHER}}
    assert_state(read(value, "b.state"), OTHER)
    with pytest.raises(RequestError, match=r"several containers 'state'.*a\.state, b"):
        read(value, "state")
    with pytest.raises(RequestError, match=r"no container 'c' .*found a, b"):
        read(value, "c")


def test_formats_without_containers_say_so(tmp_path):
    from safetensors import numpy as safetensors_writer

    path = tmp_path / "weights"
    path.write_bytes(safetensors_writer.save(STATE))
    with pytest.raises(RequestError, match="leave `container` out"):
        formats.read(path, "ema")


def test_modules_are_read_as_their_state_dict(read):
    parameters = {"weight": STATE["a.weight"], "bias": None}
    inner = module("torch.nn.modules.linear.Linear", parameters)
    buffers = {"net": np.ones((2, 2), np.float32)}
    outer = module("project.Net", modules={"a": inner}, buffers=buffers)
    for value in (outer, {"epoch": 3, "model": outer}):
        assert set(read(value).tensors) == {"a.weight", "net"}


def test_buffers_that_do_not_persist_are_left_out(read):
    outer = module("project.Net", {"weight": np.ones(3)}, buffers={"b": np.ones(2)})
    outer.state["_non_persistent_buffers_set"] = {"b"}
    assert list(read(outer).tensors) == ["weight"]


def test_members_of_a_module_are_no_containers(read):
    # Their names are those of containers and of things that are no weights.
    inner = module("project.Part", {"weight": STATE["a.weight"]})
    names = ("net", "ema", "scaler", "loss")
    outer = module("project.Net", modules=dict.fromkeys(names, inner))
    assert list(read(outer).tensors) == [f"{name}.weight" for name in names]


def test_torchscript_is_read_without_its_code(read):
    inner = script("Linear", weight=STATE["a.weight"], training=False)
    value = script(
        "Net", a=inner, sizes=Call("torch.jit._pickle.build_intlist", ([1],))
    )
    assert_state(read(value, constants=()))
    tensor_file = read(value, constants=(np.ones(2, np.float32),))
    assert_state(tensor_file)
    assert tensor_file.notes == ("passed over constants of the code: c0 (2)",)


def test_torchscript_whose_tensors_are_constants_is_refused(read):
    constants = tuple(np.ones((i, 2), np.float32) for i in range(1, 13))
    reason = r"frozen TorchScript.*12 tensors.*c0 \(1 × 2\).*… \(12 in all\)"
    with pytest.raises(RequestError, match=reason):
        read(script("Net"), constants=constants)


def test_weights_within_other_objects_are_refused(read):
    value = {"model": thing("project.Wrapper", {"weights": STATE}), "epoch": 3}
    with pytest.raises(RequestError, match=r"never made \(project\.Wrapper\)"):
        read(value)


def test_kinds_of_dicts_are_containers(read):
    assert_state(read(thing("project.Dict", **STATE)))


@pytest.mark.parametrize(
    "function, reason",
    [
        ("_rebuild_qtensor", "quantised"),
        ("_rebuild_sparse_tensor", "sparse"),
        ("_rebuild_meta_tensor_no_storage", "has no numbers"),
        ("_rebuild_wrapper_subclass", "no storage"),
    ],
)
def test_tensors_without_readable_numbers(function, reason, read):
    tensor = Call(f"torch._utils.{function}", (1,))
    with pytest.raises(RequestError, match=f"b.weight .*{reason}"):
        read({"state_dict": {**STATE, "b.weight": tensor}})
    # Beside the weights it does not matter.
    assert_state(read({"state_dict": STATE, "optimizer": {"b": tensor}}))


def test_lists_of_names_end_after_ten(read):
    tensor = Call("torch._utils._rebuild_qtensor", (1,))
    with pytest.raises(RequestError) as caught:
        read({f"{i}.weight": tensor for i in range(40)})
    assert "9.weight" in str(caught.value)
    assert "10.weight" not in str(caught.value)
    assert "(40 in all)" in str(caught.value)


def test_signs_are_those_of_the_bits(read):
    numbers = np.arange(3, dtype=np.float32)
    found = read({"a": Tensor(numbers, bits={"neg": True}), "b": Tensor(numbers)})
    np.testing.assert_array_equal(found.tensors["a"], -numbers)
    np.testing.assert_array_equal(found.tensors["b"], numbers)
    with pytest.raises(RequestError, match=r"unknown bits \(mirror\)"):
        read({"a": Tensor(numbers, bits={"mirror": True})})


def test_expanded_tensors_repeat_their_numbers(read):
    numbers = np.arange(3, dtype=np.float32)
    found = read({"a": Tensor(numbers, shape=(2, 3), strides=(0, 1))})
    np.testing.assert_array_equal(found.tensors["a"], [numbers, numbers])


def test_expanded_tensors_claim_no_more_than_weights_need(read):
    number = np.ones(1, np.float32)
    with pytest.raises(RequestError, match=r"describes .* GiB of arrays"):
        read({"a": Tensor(number, shape=(2**16, 2**16), strides=(0, 0))})


def test_types_of_eight_bits_are_floats(read):
    raw = np.array([0x38, 0xC0], np.uint8)
    found = read({"a": Tensor(raw, dtype="torch.float8_e4m3fn")}).tensors["a"]
    np.testing.assert_array_equal(found.astype(np.float32), [1.0, -2.0])
    with pytest.raises(RequestError, match=r"a has the dtype torch\.int4"):
        read({"a": Tensor(raw, dtype="torch.int4")})


def test_containers_that_multiply(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_MAX_VALUES", 10_000)
    value = [np.ones(1)]
    for _ in range(30):
        value = [value] * 30
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps(value, 2))
    with pytest.raises(RequestError, match="too deeply nested"):
        formats.read(path)


def test_two_keys_of_one_text_are_refused(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps({1: np.ones(2), "1": np.ones(2)}, 2))
    with pytest.raises(RequestError, match="two arrays named '1'"):
        formats.read(path)


def test_long_keys_cost_little(tmp_path):
    value = {"_" * 300_000: {"a": np.ones(2)}, "net": {"b": np.ones(2)}}
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps(value, 2))
    assert len(formats.read(path).tensors) == 2

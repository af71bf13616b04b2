# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import pickle
import re

import numpy as np
import pytest

from fakedet_jax.config import ConvertConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import convert
from fakedet_jax.models import backbones, pretrained
from fakedet_jax.weights import store
from tests.golden import make_resnet_golden
from tests.weights import networks, writers


@pytest.fixture(autouse=True)
def tiny():
    backbones.register(networks.BACKBONE)
    yield
    backbones.unregister(networks.BACKBONE.name)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "published"
    arrays = networks.torch_arrays(networks.random_arrays())
    path.write_bytes(writers.torch_stream(arrays, wrap="state_dict"))
    return ConvertConfig(model="tiny", weights=path, output=tmp_path / "deep" / "out")


def replace(config, **changes):
    return ConvertConfig(**{**vars(config), **changes})


def test_weights_are_stored_and_compared(config):
    result = convert.convert(replace(config, verbose=True))
    _, card = store.load(networks.BACKBONE, config.output)
    assert card["digest"] == result["digest"]
    text = convert.to_text(result)
    assert re.search(r"features\.0\.weight +→ params/conv/kernel +3x2x3x5", text)
    assert "11 of 11 arrays matched" in text
    assert "1 array besides not needed" in text
    assert "1 note: arrays taken from 'state_dict'" in text


def test_without_differences_two_lines_say_all(config):
    first, note, last = convert.to_text(convert.convert(config)).splitlines()
    assert "→ tiny" in first
    assert note.startswith("1 note: ")
    assert last.startswith(
        "11 of 11 arrays matched, 1 array besides not needed; digest"
    )
    assert last.endswith("; `verbose` lists them")


def test_one_of_each_is_in_the_singular(config):
    result = convert.convert(config)
    card = {name: result[name] for name in ("source", "format", "layout", "sha256")}
    comparison = {
        "matched": [("a", "params/a")],
        **{name: ["b"] for name in ("unused", "dropped", "initialised", "notes")},
        "derived": [],
    }
    arrays = {"params/a": "3"}
    rest = {
        **{"model": "tiny", "digest": "", "arrays": arrays, "comparison": comparison},
        "verbose": False,
    }
    text = convert.to_text({**card, **rest})
    assert "1 of 1 array matched" in text
    assert "1 array besides" in text
    assert "1 superfluous, ignored: b" in text
    assert "1 note: b" in text


@pytest.mark.slow
def test_what_was_ignored_is_told(config):
    arrays = networks.torch_arrays(networks.random_arrays())
    del arrays["head.weight"]
    arrays["classifier.weight"] = np.ones(3, np.float32)
    config.weights.write_bytes(writers.torch_zip(arrays))
    ignoring = replace(config, ignore=("head.*", "classifier.*"))
    text = convert.to_text(convert.convert(ignoring))
    assert "1 superfluous, ignored: classifier.weight" in text
    assert "initial values kept: params/head/kernel" in text


def test_nothing_is_written_when_the_file_does_not_fit(config):
    config.weights.write_bytes(pickle.dumps({"a": np.ones(3)}))
    with pytest.raises(RequestError, match="0 of 11 arrays match"):
        convert.convert(config)
    assert not config.output.parent.exists()


@pytest.mark.slow
def test_a_residual_network_of_torchvision_is_stored(tmp_path):
    arrays = make_resnet_golden.make_weights(50)
    rng = np.random.default_rng(0)
    arrays["fc.weight"] = rng.standard_normal((1000, 2048), np.float32)
    arrays["fc.bias"] = rng.standard_normal(1000, np.float32)
    norms = [name for name in arrays if name.endswith("running_mean")]
    for name in norms:
        counter = name.replace("running_mean", "num_batches_tracked")
        arrays[counter] = np.array(9)
    path = tmp_path / "resnet50.pth"
    path.write_bytes(writers.torch_zip(arrays))
    output = tmp_path / "converted"
    result = convert.convert(
        ConvertConfig(model="resnet50", weights=path, output=output)
    )
    text = convert.to_text(result)
    assert "267 of 267 arrays matched" in text
    assert "53 arrays besides not needed" in text
    variables, _ = store.load(pretrained.RESNET50, output)
    found = variables["params"]["layer2_0_downsample"]["kernel"]
    theirs = arrays["layer2.0.downsample.0.weight"]
    np.testing.assert_array_equal(found[0, 0], theirs[:, :, 0, 0].T)
    for path in tmp_path.rglob("*"):
        # A hundred megabytes each.
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize(
    "changes, flag",
    [
        (
            {"model": "resnet"},
            "`model`: expected .*tiny, .*resnet34, resnet50, .*amtennet, .*"
            "found 'resnet'",
        ),
        ({"weights": "missing"}, "`weights`: .*missing' does not exist"),
        ({"output": "published"}, "`output`: expected a folder"),
        ({"output": "."}, "`output`: expected a new or an empty folder"),
    ],
)
def test_errors_name_their_flag(config, tmp_path, changes, flag):
    for name in ("weights", "output"):
        if name in changes:
            changes = {name: tmp_path / changes[name]}
    with pytest.raises(RequestError, match=flag):
        convert.convert(replace(config, **changes))


def test_the_container_is_chosen(config):
    averaged = networks.torch_arrays(networks.random_arrays(seed=1))
    newest = networks.torch_arrays(networks.random_arrays())
    value = {"state_dict": newest, "state_dict_ema": averaged}
    config.weights.write_bytes(pickle.dumps(value, 2))
    with pytest.raises(RequestError, match=r"state_dict \(11\), state_dict_ema \(11\)"):
        convert.convert(config)
    convert.convert(replace(config, container="state_dict_ema"))
    variables, _ = store.load(networks.BACKBONE, config.output)
    np.testing.assert_array_equal(
        variables["params"]["act"]["slope"], averaged["features.2.weight"]
    )

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.system."""

import dataclasses
import json
import logging
import math
import os
import signal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.jobs import train as jobs_train
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.systems.networks.options import NetworkOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training import loop
from fakedet_jax.weights import folder, mapping, store
from tests import tiny

_CLASSES = ("real", "glow", "stylegan")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("network")
    return tiny.fit(tiny.write_pictures(root / "pictures"), root / "workdir")


def _info(classes=_CLASSES):
    return DetectorInfo(
        detector="tiny",
        classes=classes,
        is_fake=tuple(name != "real" for name in classes),
        task="multiclass",
        framing=Framing.square(16),
        threshold=0.5,
        threshold_origin="",
        step=3,
    )


def test_the_stored_detector_scores_like_the_network(trained):
    mesh = parallel.data_mesh()
    with tiny.registered():
        fitted = systems.load(trained, mesh)
    found = trained.parent / "pictures" / "test"
    paths = sorted(found.rglob("*.png"))[:8]
    images = np.stack([decode(path.read_bytes())[2:18, 2:18] for path in paths])
    variables = jax.tree.map(np.asarray, fitted.variables)
    logits, _ = tiny.Net(2).apply(variables, tiny.PREPROCESSING(images))
    np.testing.assert_allclose(
        fitted.probability_fn(fitted.variables, images),
        jax.nn.softmax(logits),
        rtol=1e-5,
    )


def test_the_stored_detector_says_what_it_is(trained):
    with tiny.registered():
        info = systems.load(trained, parallel.data_mesh()).info
    assert (info.detector, info.classes, info.is_fake, info.framing) == (
        "tiny",
        ("real", "fake"),
        (False, True),
        Framing.square(tiny.SIZE),
    )
    assert "validation split" in info.threshold_origin


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ({"batch_size": 12}, {}, "`batch_size`: expected a positive multiple of the 8"),
        ({}, {"num_microbatches": 2}, "`num_microbatches`: 2 parts do not cut"),
        (
            {"optimizer": "lion"},
            {},
            "`optimizer`: expected caffe_sgd, sgd, torch_sgd, adam",
        ),
        ({"schedule": "linear"}, {}, "`schedule`: expected constant"),
        ({}, {"dtype": "float16"}, "`dtype`: expected float32, bfloat16"),
    ],
    ids=str,
)
def test_settings_it_cannot_follow_are_refused(tmp_path, recipe, changes, message):
    with pytest.raises(RequestError, match=message):
        config = tiny.train_config(tmp_path, tmp_path, **changes)
        recipe = dataclasses.replace(tiny.DETECTOR.recipe, **recipe)
        tiny.DETECTOR.plan(config, recipe, parallel.data_mesh())


def test_every_network_can_follow_its_own_recipe():
    mesh = parallel.data_mesh()
    for name in systems.names():
        detector = systems.create(name)
        if isinstance(detector, NetworkDetector):
            config = tiny.train_config(None, None, detector=name)
            detector.check(config.options, detector.recipe, mesh)


def _rewrite(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detector": "plain"}, "holds the detector 'tiny', but config.json says"),
        ({"detector": "gone"}, "names the detector 'gone', expected amtennet"),
        ({"detector": ["tiny"]}, r"names the detector \['tiny'\]"),
        ({"dtype": "float64"}, "`dtype`: expected float32"),
    ],
    ids=str,
)
def test_a_config_of_another_detector_is_refused(trained, changes, message):
    path = trained / "config.json"
    before = path.read_bytes()
    try:
        _rewrite(path, **changes)
        with tiny.registered(), pytest.raises(RequestError, match=message):
            systems.load(trained, parallel.data_mesh())
    finally:
        path.write_bytes(before)


def test_facts_of_another_version_are_refused():
    facts = dataclasses.asdict(_info())
    del facts["threshold"]
    with pytest.raises(RequestError, match=r"of another version .*threshold"):
        DetectorInfo.from_json(facts)


def test_facts_come_back_through_json():
    info = _info()
    assert DetectorInfo.from_json(json.loads(json.dumps(dataclasses.asdict(info)))) == (
        info
    )


def test_the_score_is_the_probability_of_all_fakes():
    probabilities = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(_info().scores(probabilities), [0.5, 0.0])


def test_rounding_does_not_lead_out_of_the_unit_interval():
    probabilities = np.array([[0, 0.6, 0.40000004]], np.float32)
    assert _info().scores(probabilities)[0] == 1.0


def test_an_unknown_name_lists_the_valid_ones():
    names = ", ".join(systems.names())
    assert names == (
        "amtennet, meso4, mesoinception4, mislnet, hand_crafted_res, xception, "
        "autogan, block_dct, linear_probe, gend, cnndetection, "
        "community_forensics, fakespotter, exif_anomaly, fusion"
    )
    with pytest.raises(RequestError, match=f"`detector`: expected {names}, found 'x'"):
        systems.create("x")


@pytest.mark.parametrize("fraction", [0.0, 1.0, float("nan")])
def test_a_batch_norm_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(RequestError, match="`batch_norm_fraction`: expected"):
        NetworkOptions(batch_norm_fraction=fraction)


def test_a_network_without_a_batch_norm_fraction_refuses_one(tmp_path):
    config = tiny.train_config(tmp_path, tmp_path, batch_norm_fraction=0.9)
    with pytest.raises(RequestError, match="has no such setting"):
        tiny.DETECTOR.plan(config, tiny.DETECTOR.recipe, parallel.data_mesh())


_PRETRAINED = Backbone(
    name="tiny_pretrained",
    build=lambda dtype, site: tiny.Net(3, dtype),
    preprocessing=tiny.PREPROCESSING,
    layers=(
        Layer("conv", "conv", torch="conv", bias=True),
        Layer("bn", "norm", torch="bn"),
        Layer("fc", "dense", torch="fc", bias=True),
    ),
    embedding="three logits",
)


def _start_from(fresh, read):
    """All but the last layer, which has another number of classes."""
    params = {**read["params"], "fc": fresh["params"]["fc"]}
    return {**read, "params": params}


def test_a_training_starts_from_published_weights(tmp_path):
    rng = np.random.default_rng(0)
    read = jax.tree.map(
        lambda leaf: np.abs(rng.normal(size=leaf.shape)).astype(np.float32),
        store.abstract(_PRETRAINED),
    )
    tensors = {path: np.asarray(leaf) for path, leaf in mapping.flatten(read).items()}
    origin = {"sha256": "", "format": "made here", "bytes": 0}
    card = {"model": _PRETRAINED.name, **origin, **folder.identity(read)}
    store.save(tmp_path / "weights", read, card)
    detector = dataclasses.replace(
        tiny.DETECTOR, name="started", pretrained=_PRETRAINED, start_from=_start_from
    )
    pictures = tiny.write_pictures(tmp_path / "pictures")
    systems.register(detector)
    with mock.patch.object(loop, "train") as train:
        jobs_train.train(
            tiny.train_config(
                pictures,
                tmp_path / "workdir",
                detector="started",
                weights=tmp_path / "weights",
            )
        )
    systems.unregister("started")
    variables = mapping.flatten(train.call_args.kwargs["state"].variables)
    for path, leaf in variables.items():
        if "fc" not in path:
            np.testing.assert_array_equal(leaf, tensors[path], err_msg=path)
    assert variables["params/fc/kernel"].shape == (8, 2)
    config = json.loads((tmp_path / "workdir" / "config.json").read_text())
    assert config["weights"] == card["digest"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("perturbed") / "pictures")


_PERTURB = ("none", "jpeg:mix", "median_filter:3")


@pytest.mark.parametrize("copies", [None, 1.5])
@pytest.mark.slow
def test_a_training_on_perturbed_pictures_can_be_stopped(data_dir, tmp_path, copies):
    def fit(name):
        return tiny.fit(
            data_dir,
            tmp_path / name,
            perturb=_PERTURB,
            perturb_copies=copies,
            recipe={"num_epochs": 2},
        )

    whole = tiny.result(fit("whole"))
    stop = tiny.at_step(5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(Stopped):
        fit("parts")
    assert tiny.result(fit("parts")) == whole
    # 20 pictures in batches of 8.
    num_steps = 2 * math.ceil((copies or 1) * 20 / 8)
    assert whole["state"]["step"] == str(num_steps).encode()
    assert whole["config"]["perturb"] == list(_PERTURB)


@pytest.mark.slow
def test_perturbed_pictures_are_other_pictures(data_dir, tmp_path):
    plain, perturbed = (
        tiny.fit(data_dir, tmp_path / name, perturb=perturb, recipe={"num_epochs": 1})
        for name, perturb in (("plain", ()), ("perturbed", ("jpeg:10",)))
    )
    plain, perturbed = tiny.result(plain), tiny.result(perturbed)
    assert plain["state"] != perturbed["state"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perturb": ("jpeg",)}, "`perturb`: expected none"),
        ({"perturb": ("mean_filter:4",)}, "kernel size of 3, 5 or 7, found 4"),
        ({"perturb_copies": 2.0}, "`perturb_copies`: there is nothing to do"),
        (
            {"perturb": ("jpeg:60",), "perturb_copies": 0.5},
            "`perturb_copies`: expected a number from 1 to 100, found 0.5",
        ),
    ],
    ids=str,
)
def test_perturbations_are_checked_before_data_are_read(tmp_path, changes, message):
    with pytest.raises(RequestError, match=message):
        config = tiny.train_config(tmp_path, tmp_path, **changes)
        tiny.DETECTOR.plan(config, tiny.DETECTOR.recipe, parallel.data_mesh())


@pytest.mark.parametrize("copies", [0, 0.99, -1, 101, float("nan"), float("inf")])
def test_an_impossible_number_of_copies_is_refused(copies):
    with pytest.raises(RequestError, match="`perturb_copies`: expected a number from"):
        NetworkOptions(perturb=("jpeg:60",), perturb_copies=copies)


@pytest.mark.slow
def test_an_averaged_and_balanced_training_can_be_stopped_and_goes_on_exactly(
    data_dir, tmp_path
):
    def fit(name, decay=0.9):
        return tiny.fit(
            data_dir,
            tmp_path / name,
            weight_averaging=decay,
            balance="classes",
            recipe={"num_epochs": 1},
        )

    whole = tiny.result(fit("whole"))
    stop = tiny.at_step(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(Stopped):
        fit("parts")
    with pytest.raises(RequestError, match=r"weight_averaging=0.9 \(now 0.5\)"):
        fit("parts", decay=0.5)
    assert tiny.result(fit("parts")) == whole
    # The detector is the average, and not the last state.
    best, state = whole["best"], whole["state"]
    assert best["step"] == state["step"]
    kernel = "['params']['fc']['kernel']"
    assert best[kernel] == state[f"['average']{kernel}"] != state[kernel]


@pytest.mark.parametrize("decay", [0.0, 1.0, float("nan")])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(RequestError, match="`weight_averaging`: expected a number"):
        NetworkOptions(weight_averaging=decay)


def test_folders_that_are_not_there_are_refused_before_the_training(data_dir, tmp_path):
    with pytest.raises(RequestError, match="give `balance=classes`"):
        tiny.fit(data_dir, tmp_path / "workdir", balance="folders")
    assert not (tmp_path / "workdir").exists()


def test_chosen_parts_are_trained_and_the_others_stay(data_dir, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        workdir = tiny.fit(
            data_dir, tmp_path / "workdir", trainable="^fc/", recipe={"num_epochs": 1}
        )
    # fc has 8 × 2 + 2 numbers; the rest 216 + 8 + 16.
    assert "trained are 2 of 6 arrays of parameters, 18 of 258 numbers" in caplog.text
    with tiny.registered():
        fitted = systems.load(workdir, parallel.data_mesh())
    fresh = jax.jit(tiny.DETECTOR.model(2, "float32").init)(
        jax.random.key(0), jnp.zeros((1, *tiny.DETECTOR.framing.shape))
    )
    for collection in fresh:
        for name, arrays in fresh[collection].items():
            for leaf, start in arrays.items():
                same = bool((fitted.variables[collection][name][leaf] == start).all())
                assert same is (name != "fc"), f"{collection}/{name}/{leaf}"
    config = json.loads((workdir / "config.json").read_text())
    assert config["trainable"] == "^fc/"
    with pytest.raises(RequestError, match=r"trainable='\^fc/' \(now None\)"):
        tiny.fit(data_dir, workdir, recipe={"num_epochs": 1})


def test_a_pattern_of_no_parameter_is_refused_before_pictures_are_read(tmp_path):
    config = tiny.train_config(tmp_path, tmp_path, trainable="encoder")
    with pytest.raises(RequestError, match=r"`trainable`: 'encoder' .* bn/bias, bn/sc"):
        tiny.DETECTOR.plan(config, tiny.DETECTOR.recipe, parallel.data_mesh())

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of all detectors that are one network, and of their options."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedet_jax import settings, systems, workdir
from fakedet_jax.config import TrainConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import train
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import amtennet, residuals
from fakedet_jax.training import optim, steps
from tests import tiny
from tests.systems.networks import whole

# Trained parameters for two classes; AMTENnet's three biases of conv1 are frozen.
COUNTS = {
    "amtennet": 2_023_050,
    "meso4": 27_977,
    "mesoinception4": 28_615,
    "mislnet": 550_790,
    "hand_crafted_res": 8_484_354,
    "xception": 20_811_050,
    "autogan": 21_285_698,
    "block_dct": 25_077,
    # Of which 769 are trained.
    "linear_probe": 303_966_977,
    # Of which 104,450 are trained.
    "gend": 303_181_826,
    "cnndetection": 23_510_081,
    "community_forensics": 21_811_969,
}


NETWORKS = [systems.create(name) for name in COUNTS]


def _variables(detector):
    network = detector.build(2, "float32")
    pictures = jax.ShapeDtypeStruct((1, *detector.framing.shape), "float32")
    return jax.eval_shape(network.init, jax.random.key(0), pictures)


def _count(detector):
    return sum(leaf.size for leaf in jax.tree.leaves(_variables(detector)["params"]))


@pytest.mark.few(5)
@pytest.mark.parametrize("detector", NETWORKS, ids=lambda one: one.name)
def test_the_number_of_parameters_is_pinned(detector):
    assert _count(detector) == COUNTS[detector.name]


OPTIONS = [
    *({"amten_variant": name} for name in amtennet.VARIANTS),
    *({"residual": name} for name in residuals.KINDS),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.slow
def test_every_option_is_a_network_of_its_own(options):
    config = tiny.train_config(None, None, detector="amtennet", **options)
    detector = systems.create("amtennet", config.options)
    is_published = options == {"amten_variant": "amten"}
    # Average pooling has no parameters.
    same = is_published or options == {"amten_variant": "amtennet_7"}
    assert (_count(detector) == COUNTS["amtennet"]) is same
    plan = detector.plan(config, detector.recipe, parallel.data_mesh())
    record = workdir.record_of(config, detector.recipe, plan.record)
    unset = {"amten_variant": None, "residual": None}
    assert record.items() >= {**unset, "weights": None, **options}.items()
    params = _variables(detector)["params"]
    frozen = {"/".join(path) for path in _paths(params)}
    assert frozen.issuperset(detector.frozen)
    if detector.project is not None:
        jax.eval_shape(detector.project, params)


def _paths(tree, prefix=()):
    for name, node in tree.items():
        if isinstance(node, dict):
            yield from _paths(node, (*prefix, name))
        else:
            yield (*prefix, name)


@pytest.mark.parametrize("detector", NETWORKS, ids=lambda one: one.name)
def test_every_recipe_and_loss_is_known(detector):
    optim.create_optimizer(detector.recipe, num_steps=1, frozen=detector.frozen)
    optim.create_schedule(detector.recipe, num_steps=1)
    assert detector.loss in steps.LOSSES


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "amtennet",
            {"amten_variant": "amten_9"},
            "`amten_variant`: expected amten, amten_1, .*, found 'amten_9'",
        ),
        (
            "amtennet",
            {"residual": "sobel"},
            "`residual`: expected hand_crafted, srm, constrained, found 'sobel'",
        ),
        (
            "amtennet",
            {"residual": "srm", "amten_variant": "amten_1"},
            "`residual`: srm takes AMTEN's place",
        ),
        (
            "meso4",
            {"residual": "srm"},
            "`residual`: there is no such setting here; leave it out",
        ),
        (
            "fakespotter",
            {"amten_variant": "amten"},
            "`amten_variant`: there is no such setting here",
        ),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(name, options, message):
    values = {"detector": name, "workdir": Path("unused"), **options}
    with pytest.raises(RequestError, match=message):
        systems.create(name, settings.build(TrainConfig, values).options)


def test_a_workdir_keeps_its_variant(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"detector": "amtennet", "amten_variant": "amten_9"})
    )
    with pytest.raises(RequestError, match="found 'amten_9'"):
        systems.load(tmp_path, parallel.data_mesh())


def test_a_workdir_of_another_variant_is_refused(tmp_path):
    pictures = tiny.write_pictures(tmp_path / "pictures")
    values = {"detector": "amtennet", "amten_variant": "model_base"}
    config = tiny.train_config(pictures, tmp_path / "workdir", **values)
    detector = systems.create("amtennet", config.options)
    facts = {"classes": ["real", "fake"], "face_detector": "none", "faces": None}
    config.workdir.mkdir()
    workdir.write(config.workdir, workdir.record_of(config, detector.recipe, facts))
    other = tiny.train_config(pictures, tmp_path / "workdir", detector="amtennet")
    with pytest.raises(RequestError, match=r"amten_variant='model_base' .now None"):
        train.train(other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((one.name, {}) for one in NETWORKS if one.name in whole.NAMES),
        *(("amtennet", {"residual": kind}) for kind in residuals.KINDS),
    ],
    ids=str,
)
def test_every_network_learns_a_batch_by_heart(name, options):
    detector = systems.create(name, systems.options_of({"detector": name})(**options))
    recipe = dataclasses.replace(detector.recipe, schedule="constant", batch_size=4)
    network = detector.build(2, "float32")
    optimizer = optim.create_optimizer(recipe, 8, detector.frozen)
    step = steps.make_train_step(
        network,
        detector.preprocessing,
        optimizer,
        optim.create_schedule(recipe, 8),
        seed=0,
        objective=steps.classification(detector.loss),
        project=detector.project,
    )
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, *detector.framing.shape), np.uint8)
    # Fakes are smoother.
    pictures[2:, 1:] = pictures[2:, :-1] // 2 + pictures[2:, 1:] // 2
    labels = np.array([0, 0, 1, 1], np.int32)
    state = steps.create_train_state(network, detector.preprocessing, optimizer, 0)
    run = jax.jit(step)
    losses = []
    for _ in range(6):
        state, metrics = run(state, pictures, labels)
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all()
    assert min(losses[1:]) < losses[0]
    if detector.project is not None:
        again = detector.project(state.params)
        # Dividing by a sum once more may change the last digits.
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
        jax.tree.map(close, again, state.params)


def test_the_networks_to_start_from_have_names_for_convert():
    found = {systems.create(name).pretrained for name in systems.names()} - {None}
    names = sorted(network.name for network in found)
    assert names == [*("clip_vit_l14", "resnet34", "resnet50", "xception_imagenet")]

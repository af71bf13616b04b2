# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems: the registry, extended from outside."""

import dataclasses
import subprocess
import sys

import pytest

from fakedet_jax import config, settings, systems
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import evaluate
from fakedet_jax.settings import option
from fakedet_jax.systems.networks.options import NetworkOptions
from tests import tiny


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForeignOptions(NetworkOptions):
    """Options that another package declares."""

    depth: int = option(1, "Depth of the network.", minimum=1, is_architecture=True)


FOREIGN = dataclasses.replace(tiny.PLAIN, name="foreign", Options=ForeignOptions)


@pytest.fixture
def registered():
    systems.register(FOREIGN)
    yield
    systems.unregister("foreign")


def test_the_systems_are_the_published_ones():
    assert systems.names() == [
        "amtennet",
        "meso4",
        "mesoinception4",
        "mislnet",
        "hand_crafted_res",
        "xception",
        "autogan",
        "block_dct",
        "linear_probe",
        "gend",
        "cnndetection",
        "community_forensics",
        "fakespotter",
        "exif_anomaly",
        "fusion",
    ]
    assert systems.DEFAULT == "amtennet"
    for name in systems.names():
        assert systems.create(name).name == name


def test_an_unknown_system_is_answered_with_the_known_ones():
    with pytest.raises(RequestError, match=r"^`detector`: expected amtennet, .*'zz'$"):
        systems.create("zz")


def test_a_name_belongs_to_one_system(registered):
    with pytest.raises(ValueError, match="'foreign' is registered already"):
        systems.register(FOREIGN)


@pytest.mark.slow
def test_a_detector_from_outside_is_trained_and_evaluated(registered, tmp_path):
    pictures = tiny.write_pictures(tmp_path / "pictures")
    workdir = tmp_path / "workdir"
    values = {"data_dir": pictures, "workdir": workdir, "detector": "foreign"}
    request = settings.build(
        config.TrainConfig, {**values, "depth": 2, "num_epochs": 1}
    )
    assert request.options == ForeignOptions(depth=2)
    from fakedet_jax.jobs import train

    train.train(request)
    summary = evaluate.evaluate(config.EvaluateConfig(workdir=workdir))
    assert summary["num_examples"] == 11
    with pytest.raises(RequestError, match=r"depth=2 \(now 3\)"):
        train.train(settings.build(config.TrainConfig, {**values, "depth": 3}))


def test_the_title_names_the_architecture(registered):
    found = {"detector": "foreign", "depth": 3, "seed": 1}
    assert systems.title(found) == "foreign, 3"


def test_names_and_options_need_no_jax():
    code = (
        "import sys; from fakedet_jax import systems; systems.names(); "
        "list(systems.all_options()); list(systems.all_benchmark_options()); "
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.plugins, with distributions on disk."""

import sys

import numpy as np
import pytest
from absl import flags

from fakedet_jax.data import pipeline
from fakedet_jax.data.folder import load_folder
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb import perturbation, specification
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import plugins
from tests.data import pictures

_REGISTER = """
from fakedet_jax.perturb import perturbation

perturbation.register(
    perturbation.Operation(
        name="{name}",
        title="Dark",
        strength_name="levels",
        expected="a number",
        accepts=lambda strength: True,
        on_host=lambda picture, strength: picture // 2,
    )
)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution whose plugin is a module with a given text."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.load.cache_clear()
    known = perturbation.names()
    installed = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{plugins.GROUP}]\n{name.removeprefix('fakedet_test_')} = {name}\n"
        )
        installed.append(name)

    yield write
    plugins.load.cache_clear()
    for name in installed:
        sys.modules.pop(name, None)
    for name in set(perturbation.names()) - set(known):
        perturbation.unregister(name)


def test_without_plugins_nothing_happens(install, caplog):
    assert plugins.load() == ()
    assert not caplog.records


def test_a_plugin_that_fails_does_not_harm_the_others(install, caplog):
    install("fakedet_test_c_good", _REGISTER.format(name="dark"))
    install("fakedet_test_a_bad", "raise RuntimeError('no\\nluck')")
    install("fakedet_test_b_exit", "import sys; sys.exit()")
    install("fakedet_test_d_typo", "import no_such_module_anywhere")
    assert plugins.load() == ("c_good",)
    assert "dark" in perturbation.names()
    assert [record.getMessage() for record in caplog.records] == [
        "the plugin a_bad (fakedet_test_a_bad) failed: RuntimeError: no luck",
        "the plugin b_exit (fakedet_test_b_exit) failed: SystemExit: no reason given",
        "the plugin d_typo (fakedet_test_d_typo) failed: ModuleNotFoundError: "
        "No module named 'no_such_module_anywhere'",
    ]


def test_of_two_plugins_with_one_name_the_first_has_it(install, caplog):
    install("fakedet_test_two", _REGISTER.format(name="dark"))
    install("fakedet_test_one", _REGISTER.format(name="dark"))
    assert plugins.load() == ("one",)
    (record,) = caplog.records
    assert record.getMessage() == (
        "the plugin two (fakedet_test_two) failed: ValueError: perturb: 'dark' is "
        "registered already; choose another name"
    )


def test_plugins_are_imported_once(install):
    install("fakedet_test_good", _REGISTER.format(name="dark"))
    assert plugins.load() == plugins.load() == ("good",)


@pytest.mark.slow
def test_worker_processes_know_the_plugins(install, tmp_path):
    # Grain asks for it.
    flags.FLAGS.mark_as_parsed()
    install("fakedet_test_good", _REGISTER.format(name="dark"))
    plugins.load()
    root = pictures.write_folder(tmp_path / "data", {"real": 1, "fake": 1}, 16)
    dataset = load_folder(root, "all")
    same = np.zeros(dataset.num_examples, np.int32)
    treatment = Treatment((specification.parse("dark:1"),), 0, same)
    reading = {"framing": Framing.square(16), "batch_size": 2}
    (plain,) = pipeline.eval_batches(dataset, **reading)
    (dark,) = pipeline.eval_batches(
        dataset, **reading, treatment=treatment, num_workers=1
    )
    np.testing.assert_array_equal(dark["image"], plain["image"] // 2)

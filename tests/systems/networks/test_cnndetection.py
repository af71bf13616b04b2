# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CNNDetection as its authors publish it scores like PyTorch's ResNet-50."""

import json

import jax
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import cnndetection
from tests import tiny
from tests.golden import make_resnet_golden
from tests.models import QUICK
from tests.weights import torch_objects

GOLDEN = json.loads(make_resnet_golden.GOLDEN.read_text("utf-8"))["50"]
# What else a checkpoint of the authors holds.
OTHERS = {
    "optimizer": {"state": {0: {"exp_avg": np.ones((1, 2048), "f4")}}},
    "total_steps": 7,
}


def state():
    """The golden weights, with the first output alone."""
    weights = make_resnet_golden.make_weights(50)
    head = {name: weights[name][:1] for name in ("fc.weight", "fc.bias")}
    return {**weights, **head}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("cnndetection")
    content = {"model": state(), **OTHERS}
    (root / "file").write_bytes(torch_objects.archive(content))
    flags = (f"--weights={root / 'file'}", f"--output={root / 'workdir'}")
    assert tiny.run_cli("--mode=convert", "--model=cnndetection", *flags) == 0
    return root / "workdir"


def test_a_published_checkpoint_gives_the_evidence_of_pytorch(workdir):
    fitted = systems.load(workdir, parallel.data_mesh(jax.devices()[:1]))
    model = cnndetection.DETECTOR.model(2, "float32")
    compiled = jax.jit(model.apply, compiler_options=QUICK)
    logits, _ = compiled(fitted.variables, make_resnet_golden.make_images())
    expected = np.asarray(GOLDEN["eval_logits"])[:, 0]
    np.testing.assert_allclose(
        logits[:, 1] - logits[:, 0], expected, rtol=1e-4, atol=1e-4
    )


def test_two_sets_of_weights_need_a_choice(tmp_path, capsys):
    head = {"fc.weight": np.ones((1, 2048), "f4"), "fc.bias": np.ones(1, "f4")}
    both = torch_objects.archive({"model": head, "model_ema": head})
    (tmp_path / "file").write_bytes(both)
    flags = (f"--weights={tmp_path / 'file'}", f"--output={tmp_path / 'new'}")
    assert tiny.run_cli("--mode=convert", "--model=cnndetection", *flags) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert "holds several sets of weights: model (2), model_ema (2) arr" in complaint


def test_a_head_of_another_width_is_refused(tmp_path, capsys):
    wrong = {**state(), "fc.weight": np.ones((2, 2048), "f4")}
    (tmp_path / "file").write_bytes(torch_objects.archive({"model": wrong}))
    flags = (f"--weights={tmp_path / 'file'}", f"--output={tmp_path / 'new'}")
    assert tiny.run_cli("--mode=convert", "--model=cnndetection", *flags) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert "fc.weight (expected 1 × 2048, found 2 × 2048)" in complaint
    assert not (tmp_path / "new").exists()


def test_three_classes_have_an_output_each():
    model = cnndetection.DETECTOR.model(3, "float32")
    shapes = cnndetection.DETECTOR.abstract_variables(model)
    assert shapes["params"]["fc"]["kernel"].shape == (2048, 3)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""AMTENnet's PyTorch twin computes what ours does; skipped without PyTorch."""

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import parallel, peer
from fakedet_jax.systems import training_run
from fakedet_jax.systems.networks import amtennet, torch_peer
from fakedet_jax.training import steps

NUM_CLASSES, BATCH = 3, 8


def test_networks_without_a_twin_are_refused():
    torch_peer.check("amtennet")
    with pytest.raises(RequestError, match="no PyTorch twin of meso4, only of"):
        torch_peer.check("meso4")


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (BATCH, 128, 128, 3), np.uint8)
    return {"image": image, "label": np.arange(BATCH, dtype=np.int32) % NUM_CLASSES}


@pytest.fixture(scope="module")
def ours(batch):
    """Our losses of three steps, and the state before and after."""
    detector = amtennet.create()
    model = detector.build(NUM_CLASSES, DTYPES["float32"])
    training = training_run.create(
        model,
        detector.preprocessing,
        detector.recipe,
        100,
        seed=0,
        frozen=detector.frozen,
    )
    state = training.start(parallel.data_mesh(jax.devices()[:1]))
    train_step = jax.jit(training.step)
    states, losses = [state], []
    for _ in range(3):
        state, metrics = train_step(state, batch["image"], batch["label"])
        states.append(state)
        losses.append(float(metrics["loss"]))
    score = jax.jit(steps.make_log_probability_fn(model, detector.preprocessing))
    return detector, states, losses, score


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variant", peer.VARIANTS)
def test_probabilities_are_ours(theirs, ours, batch, variant):
    detector, states, _, score = ours
    variables = jax.device_get(states[-1].variables)
    calls = torch_peer.scoring(
        theirs, detector.preprocessing, variables, batch["image"], NUM_CLASSES
    )
    if calls[variant] is None:
        pytest.skip("there is no compiler")
    expected = np.exp(score(variables, batch["image"]))
    np.testing.assert_allclose(calls[variant]().numpy(), expected, atol=1e-4)
    assert expected.std() > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_an_update_is_ours(theirs, ours, batch):
    detector, states, losses, _ = ours
    variables = jax.device_get(states[0].variables)
    step = torch_peer.Step(
        theirs,
        lambda loss: loss,
        detector.preprocessing,
        detector.recipe,
        variables,
        batch,
        NUM_CLASSES,
    )
    np.testing.assert_allclose(float(step()), losses[0], rtol=1e-4)
    first, second = (jax.device_get(state.params) for state in states[:2])
    for name, layer in step.network.layers.items():
        room, key = name.split("/")
        before, after = first[room][key], second[room][key]
        for kind, found in (("kernel", layer.weight), ("bias", layer.bias)):
            if kind not in before:
                continue
            value = found.detach().numpy()
            if kind == "kernel":
                value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
            expected, update = after[kind] - before[kind], value - before[kind]
            # Gradients of noise differ by their rounding.
            error = np.linalg.norm(update - expected)
            assert error <= 0.02 * np.linalg.norm(expected), (name, kind)


@pytest.mark.filterwarnings("ignore")
def test_both_variants_train(theirs, ours, batch):
    detector, states, losses, _ = ours
    calls = torch_peer.training(
        theirs,
        detector.preprocessing,
        detector.recipe,
        jax.device_get(states[0].variables),
        batch,
        NUM_CLASSES,
    )
    np.testing.assert_allclose(float(calls["eager"]()), losses[0], rtol=1e-4)
    if calls["compiled"] is not None:
        # It was called once, to be compiled.
        np.testing.assert_allclose(float(calls["compiled"]()), losses[1], rtol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_that_fails_is_named_and_left_out(theirs, caplog):
    def broken(_):
        raise RuntimeError("no working C++ compiler\nand more")

    calls = theirs.training(lambda wrap: lambda: wrap(lambda: 1)())
    assert calls["eager"]() == 1
    with caplog.at_level("WARNING", "fakedet_jax"):
        assert theirs._tried(lambda: broken(None)) is None
    assert "left out (RuntimeError: no working C++ compiler)" in caplog.text

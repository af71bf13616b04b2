# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `sgd.json` with `torch.optim.SGD` in float64.

Run from the root of the repository, with PyTorch 2.13 installed:

    python -m tests.golden.make_sgd_golden

Start and gradients come from `make_start` and `make_gradients`; the file holds the
parameters after each step.
"""

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("sgd.json")
# The rate changes on the way: then it shows whether the momentum holds it.
RATES = (0.1, 0.1, 0.1, 0.02, 0.02, 0.02)
SETTINGS = {
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.9},
    "dampening and decay": {"momentum": 0.9, "dampening": 0.9, "weight_decay": 0.05},
    "no momentum": {"momentum": 0.0, "dampening": 0.5, "weight_decay": 0.05},
}


def make_start() -> np.ndarray:
    """Parameters before the first step, float64 `[4]`."""
    return np.random.default_rng(30).normal(size=4)


def make_gradients() -> np.ndarray:
    """A gradient for each step, float64 `[6, 4]`."""
    return np.random.default_rng(31).normal(size=(len(RATES), 4))


def main() -> None:
    """Writes the golden file."""
    import torch

    golden = {}
    for name, settings in SETTINGS.items():
        weights = torch.tensor(make_start(), requires_grad=True)
        optimizer = torch.optim.SGD([weights], lr=RATES[0], **settings)
        trajectory = []
        for rate, gradient in zip(RATES, make_gradients(), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            weights.grad = torch.tensor(gradient)
            optimizer.step()
            trajectory.append(weights.tolist())
        golden[name] = trajectory
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

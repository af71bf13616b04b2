# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `adam.json` with `torch.optim.Adam` in float64.

Run from the root of the repository, with PyTorch 2.13 installed:

    python -m tests.golden.make_adam_golden

Start, gradients and rates are those of `make_sgd_golden`, the gradients times `scale`;
the file holds the parameters after each step.
"""

import json
from pathlib import Path

from tests.golden.make_sgd_golden import RATES, make_gradients, make_start

GOLDEN = Path(__file__).with_name("adam.json")
# The constants of Zou et al. (2025), and others that show more in a few steps.
SETTINGS = {
    "published": {"beta2": 0.98, "epsilon": 1e-6, "weight_decay": 1e-4, "scale": 1.0},
    "strong decay": {"beta2": 0.98, "epsilon": 1e-6, "weight_decay": 0.5, "scale": 1.0},
    "small gradients": {
        "beta2": 0.9,
        "epsilon": 1e-6,
        "weight_decay": 0.0,
        "scale": 1e-6,
    },
}


def main() -> None:
    """Writes the golden file."""
    import torch

    golden = {}
    for name, settings in SETTINGS.items():
        weights = torch.tensor(make_start(), requires_grad=True)
        optimizer = torch.optim.Adam(
            [weights],
            lr=RATES[0],
            betas=(0.9, settings["beta2"]),
            eps=settings["epsilon"],
            weight_decay=settings["weight_decay"],
        )
        trajectory = []
        for rate, gradient in zip(RATES, make_gradients(), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            weights.grad = torch.tensor(settings["scale"] * gradient)
            optimizer.step()
            trajectory.append(weights.tolist())
        golden[name] = trajectory
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

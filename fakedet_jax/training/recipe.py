# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How a network is optimised, as data; `training.optim` turns it into optax parts."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option

OPTIMIZERS = ("caffe_sgd", "sgd", "torch_sgd", "adam", "torch_adam")
SCHEDULES = ("constant", "cosine", "step", "time_decay")


@dataclasses.dataclass(frozen=True)
class Recipe(Settings):
    """Optimisation settings; every system brings its published ones."""

    optimizer: str = option(
        "caffe_sgd",
        "Update rule: caffe_sgd, sgd, torch_sgd, adam or torch_adam.",
        choices=OPTIMIZERS,
    )
    learning_rate: float = option(1e-3, "Base learning rate.", above=0)
    schedule: str = option(
        "constant",
        "Learning-rate schedule: constant, cosine, step or time_decay.",
        choices=SCHEDULES,
    )
    decay_steps: int = option(
        1000, "Steps between two decays of the schedule `step`.", minimum=1
    )
    decay_factor: float = option(
        0.5, "Factor of each decay of the schedule `step`.", minimum=0
    )
    decay_per_step: float = option(
        0.0,
        "Constant d of the schedule `time_decay`: the rate is divided by 1 + d * step.",
        minimum=0,
    )
    momentum: float = option(
        0.95, "Momentum of the SGD optimizers; Adam does not use it.", minimum=0
    )
    dampening: float = option(0.0, "Dampening of the momentum of torch_sgd.", minimum=0)
    weight_decay: float = option(
        0.0,
        "Weight decay: decoupled for adam, an L2 penalty for the other optimizers.",
        minimum=0,
    )
    batch_size: int = option(64, "Pictures per update, over all devices.", minimum=1)
    num_epochs: int = option(10, "Passes over the training split.", minimum=1)
    final_learning_rate: float | None = option(
        None,
        "Learning rate at the end of the schedule `cosine`; 0 by default.",
        minimum=0,
    )
    adam_beta2: float | None = option(
        None, "Adam's beta2; 0.999 by default.", minimum=0, below=1
    )
    adam_epsilon: float | None = option(
        None, "Adam's epsilon; 1e-8 by default.", above=0
    )

    def __post_init__(self) -> None:
        """Checks each setting, and those that depend on each other.

        Raises:
            RequestError: A value is not valid.
        """
        super().__post_init__()
        final = self.final_learning_rate
        if final is not None and final > self.learning_rate:
            raise RequestError(
                "`final_learning_rate`: expected a number from 0 to the learning rate "
                f"{self.learning_rate:g}, found {final:g}"
            )


def change(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with the settings that somebody gives.

    Args:
        recipe: The published one.
        changes: Fields of it, by name.

    Returns:
        The recipe to follow.

    Raises:
        RequestError: A value is not valid, or would be ignored.
    """
    changed = dataclasses.replace(recipe, **changes)
    if changes.get("final_learning_rate") and changed.schedule != "cosine":
        raise RequestError(
            "`final_learning_rate`: it ends `schedule=cosine`, found "
            f"`schedule={changed.schedule}`; leave it out"
        )
    return changed

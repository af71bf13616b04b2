# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How a network is optimised, as data; `training.optim` turns it into optax parts."""

import dataclasses

from fakedet_jax.errors import RequestError

OPTIMIZERS = ("caffe_sgd", "sgd", "torch_sgd", "adam", "torch_adam")
SCHEDULES = ("constant", "cosine", "step", "time_decay")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Optimisation settings; every system brings its published ones.

    Attributes:
        optimizer: Update rule, one of `OPTIMIZERS`.
        learning_rate: Base learning rate.
        schedule: Learning-rate schedule, one of `SCHEDULES`.
        decay_steps: Steps between two decays of the schedule `step`.
        decay_factor: Factor of each decay of the schedule `step`.
        decay_per_step: Amount that each step adds to the divisor of the schedule
            `time_decay`.
        momentum: Momentum of all optimizers except Adam's.
        dampening: Part of a gradient that torch_sgd's momentum leaves out.
        weight_decay: Decoupled for `adam`; an L2 penalty for the other optimizers,
            which add this multiple of the parameters to their gradient.
        batch_size: Examples per update, over all devices.
        num_epochs: Passes over the training split.
        final_learning_rate: Learning rate at the end of the schedule `cosine`; None
            for 0.
        adam_beta2: Decay of the second moment of both kinds of Adam; None for 0.999.
            The first moment has 0.9.
        adam_epsilon: Constant in the divisor of both kinds of Adam; None for 1e-8.
    """

    optimizer: str = "caffe_sgd"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    decay_steps: int = 1000
    decay_factor: float = 0.5
    decay_per_step: float = 0.0
    momentum: float = 0.95
    dampening: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 64
    num_epochs: int = 10
    # None instead of the usual value: `config.json` of earlier versions holds it so.
    final_learning_rate: float | None = None
    adam_beta2: float | None = None
    adam_epsilon: float | None = None

    def __post_init__(self) -> None:
        """Checks the names.

        Raises:
            RequestError: The optimizer or the schedule is unknown.
        """
        for field, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if (found := getattr(self, field)) not in choices:
                raise RequestError(
                    f"`{field}`: expected {', '.join(choices)}, found {found!r}"
                )

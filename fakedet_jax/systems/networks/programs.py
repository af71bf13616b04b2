# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a detector that is one network runs on devices."""

import jax
import jax.numpy as jnp

from fakedet_jax.compiler import Program
from fakedet_jax.systems import programs, training_run
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.systems.options import PictureOptions
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.training import steps

# Of a made-up run, for the learning rate.
_NUM_STEPS = 1000


def training(
    detector: NetworkDetector, options: PictureOptions, num_classes: int
) -> training_run.Training:
    """The training by the published recipe.

    Args:
        detector: The kind of detector.
        options: Of its training.
        num_classes: Of its output.
    """
    return training_run.create(
        detector.trained_model(num_classes, options),
        detector.preprocessing,
        detector.recipe,
        _NUM_STEPS,
        seed=0,
        **detector.step_options(options),
    )


def create(
    detector: NetworkDetector, request: ProgramRequest, num_classes: int = 2
) -> Programs:
    """The training step, and class probabilities.

    Args:
        detector: The kind of detector.
        request: For what they are made.
        num_classes: Of the detector's output.
    """
    assert isinstance(request.options, PictureOptions)
    options = request.options

    def train() -> Program:
        return programs.training(
            request,
            detector.framing,
            training(detector, options, num_classes),
            label=jax.ShapeDtypeStruct((), jnp.int32),
        )

    def score() -> Program:
        model = detector.model(num_classes, options.dtype)
        return programs.of_pictures(
            request,
            detector.framing,
            steps.make_log_probability_fn(model, detector.preprocessing),
            detector.abstract_variables(model),
        )

    return {"train": train, "score": score}

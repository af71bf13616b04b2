# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What FakeSpotter runs on devices, and what its backbone does alone."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from fakedet_jax.compiler import Program
from fakedet_jax.systems import programs
from fakedet_jax.systems.fakespotter.counts import (
    CountSettings,
    count_fn,
    count_settings,
)
from fakedet_jax.systems.fakespotter.options import FakeSpotterOptions
from fakedet_jax.systems.fakespotter.system import (
    abstract_variables,
    make_log_probability_fn,
)
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.weights import store


def create(request: ProgramRequest) -> Programs:
    """Neuron counts, means for thresholds, class probabilities and the backbone alone.

    The training looks at pictures to average layers, `train`, and to count neurons,
    `coverage`; its classifier is small.

    Args:
        request: For what they are made. Its options name a backbone.

    Raises:
        RequestError: They do not.
    """
    assert isinstance(request.options, FakeSpotterOptions)
    options = request.options
    settings = count_settings(options, options.dtype)

    def score() -> Program:
        return programs.of_pictures(
            request,
            settings.backbone.preprocessing.framing,
            make_log_probability_fn(settings, options.widths),
            abstract_variables(settings, options.widths),
        )

    made = of_backbone(request, settings)
    return {
        "coverage": made["coverage"],
        "train": made["means"],
        "score": score,
        "forward": made["forward"],
    }


def of_backbone(request: ProgramRequest, settings: CountSettings) -> Programs:
    """What a backbone does: `coverage` counts, `means` averages, `forward` embeds.

    Args:
        request: For what they are made; its options are not looked at.
        settings: The network, and what is counted.
    """
    network = settings.network
    make = functools.partial(
        programs.of_pictures, request, settings.backbone.preprocessing.framing
    )

    def forward(variables: Any, images: jax.Array) -> Any:
        values = network.preprocessing(images)
        embedding, out = network.module.apply(variables, values, train=False)
        # The last layer too: counting needs it as well.
        return embedding, list(out.values())[-1].astype(jnp.float32)

    def variables() -> Any:
        return store.abstract(settings.backbone)

    def count() -> Program:
        thresholds = jax.ShapeDtypeStruct((len(network.layer_sizes),), jnp.float32)
        return make(count_fn(network), (variables(), thresholds))

    return {
        "coverage": count,
        "means": lambda: make(network.means, variables()),
        "forward": lambda: make(forward, variables()),
    }

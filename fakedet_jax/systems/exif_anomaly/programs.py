# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the anomaly detector runs on devices."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from fakedet_jax.compiler import Program
from fakedet_jax.media import exif
from fakedet_jax.mixture import fitting, model, rows
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import parallel
from fakedet_jax.systems import programs, training_run
from fakedet_jax.systems.exif_anomaly import embedding
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.systems.exif_anomaly.model import AnomalyModel
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions
from fakedet_jax.systems.exif_anomaly.ranker import Embedder
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.training.recipe import Recipe

if TYPE_CHECKING:
    from fakedet_jax.systems.exif_anomaly.system import ExifAnomaly

# Photographs that the published mixture is fitted to, about.
_NUM_ROWS = 25_000
# Of a made-up run, for the learning rate.
_NUM_STEPS = 1000


def create(system: "ExifAnomaly", request: ProgramRequest) -> Programs:
    """Training to rank, class probabilities, and a pass of the mixture's fit.

    Args:
        system: The system.
        request: For what they are made.

    Raises:
        RequestError: There is no such embedder or backbone.
    """
    assert isinstance(request.options, ExifAnomalyOptions)
    options, mesh = request.options, request.mesh
    named = embedding.create(vars(options))
    num_components = options.num_components[0]
    shapes = model.abstract(options.covariance, num_components, named.num_features)

    def score() -> Program:
        # Threshold and spread are numbers in the program, whatever they are.
        fitted = AnomalyModel(shapes, 0.0, 1.0, false_alarm_rate=0.0, num_held_out=0)
        detector = system.detector(
            named, named.abstract, fitted, options, step=0, digest=""
        )
        return programs.of_pictures(
            request, named.framing, detector.log_probabilities, detector.arrays
        )

    def mixture() -> Program:
        num_rows = request.batch_size or rows.block_size(_NUM_ROWS, mesh.size)
        parallel.local_batch_size(num_rows, mesh)
        accumulate, arguments = fitting.abstract_pass(shapes, num_rows, mesh)
        flops = None
        if options.covariance == "full":
            # Of each component, two products of the rows with a matrix, in a loop.
            flops = 4.0 * num_components * num_rows * named.num_features**2
        return Program(accumulate, arguments, mesh, num_rows, flops, dtype="float32")

    made: dict[str, Callable[[], Program]] = {"score": score, "mixture": mixture}
    if options.backbone is None:
        embedder = face_ranker.create(str(named.settings["embedder"]))

        def train() -> Program:
            return programs.training(
                request,
                named.framing,
                ranking(embedder, options, system.recipe),
                label=jax.ShapeDtypeStruct((len(exif.TAGS) + 1,), jnp.float32),
            )

        made = {"train": train, **made}
    return made


def ranking(
    embedder: Embedder, options: ExifAnomalyOptions, recipe: Recipe
) -> training_run.Training:
    """The training to rank.

    Args:
        embedder: The network.
        options: Of the training.
        recipe: Its optimisation.
    """
    return training_run.create(
        embedder.build(DTYPES[options.dtype]),
        embedder.preprocessing,
        recipe,
        _NUM_STEPS,
        seed=0,
        trainable=options.trainable,
        objective=ranking_training.make_objective(options.manipulated_weight),
    )

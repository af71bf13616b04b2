# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast a detector that is one network trains and scores."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import measurement, parallel
from fakedet_jax.systems.networks import traces
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training import loop, optim, steps

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

# Of a made-up run, for the learning rate.
_NUM_STEPS = 1000

ROWS: tuple[tuple[str, str, str, float], ...] = (
    ("train_images_per_second", "Training step", "images/s", 1),
    ("evaluation_images_per_second", "Evaluation", "images/s", 1),
    ("pipeline_per_train", "Input pipeline / training step", "× (3 wanted)", 1),
    ("traces_jit_images_per_second", "Traces, jit over a mesh", "images/s", 1),
    ("traces_pmap_images_per_second", "Traces, pmap", "images/s", 1),
    ("train_lower_seconds", "Training step, lowering", "s", 1),
    ("train_compile_seconds", "Training step, compiling", "s", 1),
    ("evaluation_lower_seconds", "Evaluation, lowering", "s", 1),
    ("evaluation_compile_seconds", "Evaluation, compiling", "s", 1),
    ("train_temporary_bytes", "Temporaries of a training step", "MiB", 2**20),
    ("train_flops_per_image", "Arithmetic of a training step", "GFLOP/image", 1e9),
    ("train_flops_per_second", "Training step", "TFLOP/s", 1e12),
    ("train_share_of_peak", "Training step / matrix product", "%", 0.01),
)


class NetworkBenchmark:
    """The measurements of one network.

    Attributes:
        framing: Framing of its input.
        rows: See `systems.base.Benchmark`.
    """

    rows = ROWS

    def __init__(
        self, config: BenchmarkConfig, detector: NetworkDetector, mesh: Mesh
    ) -> None:
        """Checks the settings.

        Raises:
            RequestError: They do not fit.
        """
        recipe = dataclasses.replace(detector.recipe, batch_size=config.batch_size)
        settings = TrainConfig(
            detector=detector.name,
            workdir=Path(),
            options=detector.Options(dtype=config.dtype),
        )
        detector.plan(settings, recipe, mesh)
        self.framing = detector.framing
        self._config, self._detector, self._mesh = config, detector, mesh

    def measure(self, dataset: Dataset) -> Results:
        """Measures scoring, traces and training.

        Args:
            dataset: Tells how many classes there are.

        Returns:
            Names to numbers; see `ROWS`.
        """
        subject = _subject(
            self._config, self._detector, dataset.num_classes, self._mesh
        )
        results: Results = {}
        # Training comes last, as it takes the state over.
        for measure in (_evaluation, _traces, _train):
            _LOGGER.info("measuring: %s", measure.__name__.strip("_"))
            results |= measure(subject)
        return results

    def ratios(self, results: Mapping[str, Any]) -> Results:
        """What follows from all measurements together."""
        return _ratios(self._config, results)


@dataclasses.dataclass(frozen=True)
class _Subject:
    """What is measured: the network of a detector on a mesh.

    Attributes:
        config: The settings.
        detector: The kind of detector.
        model: Its network.
        optimizer: Of its recipe.
        state: Before the first step, on the mesh; the training step takes it over.
        mesh: The devices.
        batch: On the host.
    """

    config: BenchmarkConfig
    detector: NetworkDetector
    model: nn.Module
    optimizer: optax.GradientTransformation
    state: steps.TrainState
    mesh: Mesh
    batch: dict[str, np.ndarray]


def _subject(
    config: BenchmarkConfig, detector: NetworkDetector, num_classes: int, mesh: Mesh
) -> _Subject:
    model = detector.build(num_classes, DTYPES[config.dtype])
    optimizer = optim.create_optimizer(detector.recipe, _NUM_STEPS, detector.frozen)
    create_state = jax.jit(
        lambda: steps.create_train_state(model, detector.preprocessing, optimizer, 0),
        out_shardings=parallel.replicated(mesh),
    )
    rng = np.random.default_rng(0)
    rows = config.batch_size
    batch = {
        "image": rng.integers(0, 256, (rows, *detector.framing.shape), np.uint8),
        "label": np.arange(rows, dtype=np.int32) % num_classes,
    }
    return _Subject(config, detector, model, optimizer, create_state(), mesh, batch)


def _train(subject: _Subject) -> Results:
    recipe = subject.detector.recipe
    train_step = steps.make_train_step(
        subject.model,
        subject.detector.preprocessing,
        subject.optimizer,
        optim.create_schedule(recipe, _NUM_STEPS),
        seed=0,
    )
    state = subject.state
    placed = parallel.put_batch(subject.mesh, subject.batch)
    arguments = (state, placed["image"], placed["label"])
    jitted = loop.compile_step(train_step, subject.mesh)

    def step() -> Any:
        # The state is donated, so that only the metrics can be waited for.
        nonlocal state
        state, metrics = compiled(state, placed["image"], placed["label"])
        return metrics

    with jax.set_mesh(subject.mesh):
        compiled, seconds_to_compile = _compile("train", jitted, arguments)
        flops = measurement.count_flops(jitted, arguments)
        seconds = measurement.seconds_per_call(step, subject.config.num_repeats)
    memory = compiled.memory_analysis()
    batch_size = subject.config.batch_size
    return {
        "train_images_per_second": batch_size / seconds,
        **seconds_to_compile,
        "train_temporary_bytes": memory.temp_size_in_bytes if memory else None,
        "train_flops_per_image": flops / batch_size if flops else None,
    }


def _evaluation(subject: _Subject) -> Results:
    variables = subject.state.variables
    image = parallel.put_batch(subject.mesh, subject.batch)["image"]
    jitted = jax.jit(
        steps.make_probability_fn(subject.model, subject.detector.preprocessing),
        out_shardings=parallel.batch_sharding(subject.mesh),
    )
    with jax.set_mesh(subject.mesh):
        compiled, seconds_to_compile = _compile(
            "evaluation", jitted, (variables, image)
        )
        seconds = measurement.seconds_per_call(
            lambda: compiled(variables, image), subject.config.num_repeats
        )
    rate = subject.config.batch_size / seconds
    return {"evaluation_images_per_second": rate, **seconds_to_compile}


def _traces(subject: _Subject) -> Results:
    """Both ways to extract traces, each from a batch on the host."""
    variables, image = subject.state.variables, subject.batch["image"]

    def by_jit() -> jax.Array:
        batch = parallel.put_batch(subject.mesh, {"image": image})
        # Only here: under a mesh `jax.pmap` refuses to run.
        with jax.set_mesh(subject.mesh):
            return traces.jit_extract(variables, batch["image"])

    calls = {
        "traces_jit_images_per_second": by_jit,
        "traces_pmap_images_per_second": lambda: traces.pmap_extract(variables, image),
    }
    try:
        jax.eval_shape(traces.extract, variables, image)
    except RequestError:
        # The network has no extractor.
        return dict.fromkeys(calls)
    repeats, rows = subject.config.num_repeats, subject.config.batch_size
    return {
        name: rows / measurement.seconds_per_call(call, repeats)
        for name, call in calls.items()
    }


def _ratios(config: BenchmarkConfig, results: Mapping[str, Any]) -> Results:
    rate = results["train_images_per_second"]
    flops = results["train_flops_per_image"]
    flops_per_second = flops * rate if flops else None
    peak = results[f"matmul_{config.dtype}_flops_per_second"]
    return {
        "pipeline_per_train": results["pipeline_images_per_second"] / rate,
        "train_flops_per_second": flops_per_second,
        "train_share_of_peak": flops_per_second / peak if flops_per_second else None,
    }


def _compile(name: str, jitted: Any, arguments: tuple[Any, ...]) -> tuple[Any, Results]:
    compiled, lower_seconds, compile_seconds = measurement.compile_timed(
        jitted, arguments
    )
    return compiled, {
        f"{name}_lower_seconds": lower_seconds,
        f"{name}_compile_seconds": compile_seconds,
    }

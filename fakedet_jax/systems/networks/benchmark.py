# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast a detector that is one network trains and scores."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.compiler import Program
from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import measurement, parallel
from fakedet_jax.systems.base import Benchmark
from fakedet_jax.systems.networks import programs, traces
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.systems.programs import ProgramRequest
from fakedet_jax.training import steps

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

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


class NetworkBenchmark(Benchmark):
    """The measurements of one network."""

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
        config, detector = self._config, self._detector
        num_classes = dataset.num_classes
        options = detector.Options(dtype=config.dtype)
        request = ProgramRequest(self._mesh, options, config.batch_size)
        made = programs.create(detector, request, num_classes)
        state = programs.training(detector, options, num_classes).start(self._mesh)
        rows = config.batch_size
        shape = (rows, *self.framing.shape)
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        labels = np.arange(rows, dtype=np.int32) % num_classes
        _LOGGER.info("measuring: evaluation")
        results = self._evaluation(made["score"](), state.variables, images)
        _LOGGER.info("measuring: traces")
        results |= self._traces(state.variables, images)
        # Training comes last, as it takes the state over.
        _LOGGER.info("measuring: train")
        return results | self._train(made["train"](), state, images, labels)

    def ratios(self, results: Mapping[str, Any]) -> Results:
        """What follows from all measurements together."""
        rate = results["train_images_per_second"]
        flops = results["train_flops_per_image"]
        flops_per_second = flops * rate if flops else None
        peak = results[f"matmul_{self._config.dtype}_flops_per_second"]
        return {
            "pipeline_per_train": results["pipeline_images_per_second"] / rate,
            "train_flops_per_second": flops_per_second,
            "train_share_of_peak": flops_per_second and flops_per_second / peak,
        }

    def _train(
        self,
        program: Program,
        state: steps.TrainState,
        images: np.ndarray,
        labels: np.ndarray,
    ) -> Results:
        placed = parallel.put_batch(self._mesh, {"image": images, "label": labels})
        batch = placed["image"], placed["label"]

        def step() -> Any:
            # The state is donated, so that only the metrics can be waited for.
            nonlocal state
            state, metrics = compiled(state, *batch)
            return metrics

        with jax.set_mesh(self._mesh):
            compiled, seconds_to_compile = _compile("train", program)
            flops = measurement.count_flops(program.jitted, program.arguments)
            seconds = measurement.seconds_per_call(step, self._config.num_repeats)
        memory = compiled.memory_analysis()
        return {
            "train_images_per_second": len(images) / seconds,
            **seconds_to_compile,
            "train_temporary_bytes": memory.temp_size_in_bytes if memory else None,
            "train_flops_per_image": flops / len(images) if flops else None,
        }

    def _evaluation(
        self, program: Program, variables: Any, images: np.ndarray
    ) -> Results:
        placed = parallel.put_batch(self._mesh, {"image": images})["image"]
        with jax.set_mesh(self._mesh):
            compiled, seconds_to_compile = _compile("evaluation", program)
            seconds = measurement.seconds_per_call(
                lambda: compiled(variables, placed), self._config.num_repeats
            )
        rate = len(images) / seconds
        return {"evaluation_images_per_second": rate, **seconds_to_compile}

    def _traces(self, variables: Any, images: np.ndarray) -> Results:
        """Both ways to extract traces, each from a batch on the host."""

        def by_jit() -> jax.Array:
            batch = parallel.put_batch(self._mesh, {"image": images})
            # Only here: under a mesh `jax.pmap` refuses to run.
            with jax.set_mesh(self._mesh):
                return traces.jit_extract(variables, batch["image"])

        calls = {
            "traces_jit_images_per_second": by_jit,
            "traces_pmap_images_per_second": lambda: traces.pmap_extract(
                variables, images
            ),
        }
        try:
            jax.eval_shape(traces.extract, variables, images)
        except RequestError:
            # The network has no extractor.
            return dict.fromkeys(calls)
        repeats = self._config.num_repeats
        return {
            name: len(images) / measurement.seconds_per_call(call, repeats)
            for name, call in calls.items()
        }


def _compile(name: str, program: Program) -> tuple[Any, Results]:
    compiled, lower_seconds, compile_seconds = measurement.compile_timed(
        program.jitted, program.arguments
    )
    return compiled, {
        f"{name}_lower_seconds": lower_seconds,
        f"{name}_compile_seconds": compile_seconds,
    }

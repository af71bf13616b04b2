# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast a detector that is one network trains and scores."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.compiler import Program
from fakedet_jax.config import BenchmarkConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import LogProbabilityFn
from fakedet_jax.models import precision
from fakedet_jax.runtime import measurement, parallel, peer
from fakedet_jax.systems.base import Benchmark
from fakedet_jax.systems.networks import programs, torch_peer, traces
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.systems.programs import ProgramRequest
from fakedet_jax.training import steps

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

ROWS: tuple[measurement.Row, ...] = (
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

    rows = (*ROWS, *peer.rows(torch_peer.WORKS))

    def __init__(
        self, config: BenchmarkConfig, detector: NetworkDetector, mesh: Mesh
    ) -> None:
        """Checks the settings.

        Raises:
            RequestError: They do not fit, or there is nothing to compare with.
        """
        recipe = dataclasses.replace(detector.recipe, batch_size=config.batch_size)
        detector.check(detector.Options(dtype=config.dtype), recipe, mesh)
        if config.compare is not None:
            torch_peer.check(detector.name)
            peer.load()
        self.framing = detector.framing
        self._config, self._detector, self._mesh = config, detector, mesh

    def measure(self, dataset: Dataset) -> Results:
        """Measures scoring, traces and training.

        Args:
            dataset: Tells how many classes there are.

        Returns:
            Names to numbers; see `rows`.
        """
        config = self._config
        shape = (config.batch_size, *self.framing.shape)
        batch = {
            "image": np.random.default_rng(0).integers(0, 256, shape, np.uint8),
            "label": np.arange(config.batch_size, dtype=np.int32) % dataset.num_classes,
        }
        made, state = self._create(dataset.num_classes, config.dtype)
        _LOGGER.info("measuring: evaluation")
        score, results = self._scoring(made["score"](), state.variables, batch)
        results["evaluation_images_per_second"] = self._speed(score)
        _LOGGER.info("measuring: traces")
        results |= self._traces(state.variables, batch["image"])
        # Training comes last, as it takes the state over.
        _LOGGER.info("measuring: train")
        step, facts = self._stepping(made["train"](), state, batch)
        results |= {**facts, "train_images_per_second": self._speed(step)}
        if config.compare is not None:
            results |= self._compare(dataset.num_classes, batch)
        return results

    def scoring(self, num_classes: int) -> tuple[LogProbabilityFn, Any]:
        """Class log-probabilities, and variables as training starts with them."""
        detector, dtype = self._detector, self._config.dtype
        _, state = self._create(num_classes, dtype)
        model = detector.model(num_classes, dtype)
        return (
            steps.make_log_probability_fn(model, detector.preprocessing),
            state.variables,
        )

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

    def _speed(self, call: Callable[[], Any]) -> float:
        """Pictures per second of a call that takes a batch."""
        seconds = measurement.seconds_per_call(call, self._config.num_repeats)
        return self._config.batch_size / seconds

    def _create(
        self, num_classes: int, dtype: str
    ) -> tuple[Mapping[str, Callable[[], Program]], steps.TrainState]:
        """The programs, and the state before the first step."""
        detector = self._detector
        options = detector.Options(dtype=dtype)
        request = ProgramRequest(self._mesh, options, self._config.batch_size)
        made = programs.create(detector, request, num_classes)
        return made, programs.training(detector, options, num_classes).start(self._mesh)

    def _stepping(
        self,
        program: Program,
        state: steps.TrainState,
        batch: Mapping[str, np.ndarray],
    ) -> tuple[Callable[[], Any], Results]:
        """A call that trains on a batch and takes the state over; and its program."""
        placed = parallel.put_batch(self._mesh, batch)
        inputs = placed["image"], placed["label"]

        def step() -> Any:
            # The state is donated, so that only the metrics can be waited for.
            nonlocal state
            state, metrics = compiled(state, *inputs)
            return metrics

        with jax.set_mesh(self._mesh):
            compiled, facts = _compile("train", program)
            flops = measurement.count_flops(program.jitted, program.arguments)
        memory = compiled.memory_analysis()
        rows = self._config.batch_size
        return step, {
            **facts,
            "train_temporary_bytes": memory.temp_size_in_bytes if memory else None,
            "train_flops_per_image": flops / rows if flops else None,
        }

    def _scoring(
        self, program: Program, variables: Any, batch: Mapping[str, np.ndarray]
    ) -> tuple[Callable[[], Any], Results]:
        """A call that scores a batch; and its program."""
        images = parallel.put_batch(self._mesh, {"image": batch["image"]})["image"]
        with jax.set_mesh(self._mesh):
            compiled, facts = _compile("evaluation", program)
        return lambda: compiled(variables, images), facts

    def _compare(self, num_classes: int, batch: Mapping[str, np.ndarray]) -> Results:
        """The training step and scoring, in turns with PyTorch's."""
        torch, detector = peer.load(), self._detector
        results = peer.describe(torch)
        for numbers in peer.formats(self._config.dtype):
            dtype, products = peer.FORMATS[numbers]
            theirs = peer.Peer(torch, numbers)
            with precision.using(products):
                made, state = self._create(num_classes, dtype)
                # Training takes those of the state over.
                variables = jax.tree.map(jnp.copy, state.variables)
                score, _ = self._scoring(made["score"](), variables, batch)
                step, _ = self._stepping(made["train"](), state, batch)
            given, images = jax.device_get(variables), batch["image"]
            calls = {
                "evaluation": {
                    "ours": score,
                    **torch_peer.scoring(
                        theirs, detector.preprocessing, given, images, num_classes
                    ),
                },
                "train": {
                    "ours": step,
                    **torch_peer.training(
                        theirs,
                        detector.preprocessing,
                        detector.recipe,
                        given,
                        batch,
                        num_classes,
                    ),
                },
            }
            for work, turns in calls.items():
                results |= peer.compare(
                    work,
                    numbers,
                    turns,
                    batch_size=self._config.batch_size,
                    num_repeats=self._config.num_repeats,
                )
        return results

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

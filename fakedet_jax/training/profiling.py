# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Traces of some training steps: what the host and the devices did, and when."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import jax

from fakedet_jax.config import ProfileConfig
from fakedet_jax.errors import RequestError

_LOGGER = logging.getLogger(__name__)


class StepProfiler:
    """Traces the steps that the settings name, as a context.

    Leaving the context ends a trace that is still running.
    """

    def __init__(
        self, config: ProfileConfig | None, num_steps: int, *, done: int = 0
    ) -> None:
        """Checks the settings.

        Args:
            config: Which steps are traced; None for none.
            num_steps: Steps of the whole run.
            done: Steps that an earlier run has made.

        Raises:
            RequestError: The run has no such step, or the folder cannot be written.
        """
        self._folder = config.folder if config else None
        self._steps = range(0)
        self._is_running = False
        if config is None or self._folder is None:
            return
        if config.first_step > num_steps:
            raise RequestError(
                f"`profile_first_step`: expected at most {num_steps}, the number of "
                f"steps of this run, found {config.first_step}"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"`profile_dir`: {str(self._folder)!r} cannot be made "
                f"({error.strerror}); name another folder"
            ) from error
        assert config.last_step is not None
        self._steps = range(config.first_step, config.last_step + 1)
        if done >= config.last_step:
            _LOGGER.warning(
                "no step is traced: this run goes on after step %d, the trace would "
                "end with step %d",
                done,
                config.last_step,
            )

    def __enter__(self) -> "StepProfiler":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Marks a step, its waiting for pictures included.

        A run that resumes within the steps traces the rest of them.

        Args:
            number: Of the step, from 1.
        """
        if number not in self._steps:
            yield
            return
        if not self._is_running:
            assert self._folder is not None
            options = jax.profiler.ProfileOptions()
            # Every call of Python would be noted, which slows the steps down.
            options.python_tracer_level = 0
            jax.profiler.start_trace(self._folder, profiler_options=options)
            self._is_running = True
        # XProf makes its table of steps of these marks.
        with jax.profiler.StepTraceAnnotation("train", step_num=number):
            yield

    def finish(self, number: int, results: Any) -> None:
        """Ends the trace after its last step.

        Args:
            number: Of the step.
            results: What it computes; waited for, so that the trace holds all of it.
        """
        if self._is_running and number == self._steps[-1]:
            jax.block_until_ready(results)
            self._stop()

    def _stop(self) -> None:
        if self._is_running:
            self._is_running = False
            jax.profiler.stop_trace()
            _LOGGER.info("the trace is in %s", self._folder)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Extracts faces with the workers of Ray, in place of `pool`.

The process that hands out the inputs lists them, assigns the splits and writes the
records. The dataset does not depend on who has staged the files, so a killed run can be
resumed with Ray or without.
"""

import dataclasses
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fakedet_jax.bulk import ray_engine
from fakedet_jax.config import EngineConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.prepare import pool, staging, worker


@dataclasses.dataclass(frozen=True)
class _Common:
    """What all tasks have in common.

    Attributes:
        root: The data folder.
        cropping: How faces are found and cut out.
        versions: Versions that workers must have.
    """

    root: Path
    cropping: Cropping
    versions: dict[str, Any]


def run(
    tasks: Iterable[pool.Task],
    *,
    root: Path,
    cropping: Cropping,
    engine: EngineConfig,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[pool.Task]:
    """Stages inputs, each in a task of Ray.

    An input whose process dies is tried again and at last staged as skipped.

    Args:
        tasks: The inputs.
        root: The data folder.
        cropping: How faces are found and cut out.
        engine: The settings.
        is_stopped: Called several times a second. `True` ends the work at once and
            loses unfinished inputs.

    Yields:
        Each task as soon as it is staged, in any order.

    Raises:
        RequestError: The request is wrong, the disk is full, or workers do not see the
            folders.
        RuntimeError: Ray failed.
    """
    common = _Common(root, cropping, staging.versions())
    answers = ray_engine.run(
        _stage, common, tasks, engine=engine, is_stopped=is_stopped
    )
    for task, answer in answers:
        if answer is None:
            pool.stage_as_skipped(task, "the process died")
        else:
            pool.check(answer, task)
        if not task.staged.is_file():
            raise RequestError(
                f"`output`: expected {str(task.staged)!r} after a worker has written "
                "it; use a folder that all machines see under this path"
            )
        yield task


def _stage(common: _Common, task: pool.Task) -> dict[str, Any]:
    """Stages an input in a worker."""
    if not common.root.is_dir():
        raise RequestError(
            f"`data_dir`: expected a folder that all machines see, found no "
            f"{str(common.root)!r} on {socket.gethostname()}; use a shared file system"
        )
    if (found := staging.versions()) != common.versions:
        raise RequestError(
            f"`engine`: expected workers with the versions {common.versions} of this "
            f"machine, found {found} on {socket.gethostname()}; install the same ones"
        )
    worker.use_one_thread()
    return worker.work_on(task, common.root, common.cropping)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The worker process that stages inputs one after the other; `pool` starts it.

Its setup is a `Cropping` and the data folder. It answers when it is ready, and to each
task. Pictures never pass between processes: crops are staged as files.
"""

import contextlib
from pathlib import Path
from typing import Any

from fakedet_jax.data.folder import content_fraction
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import Guarded, extract
from fakedet_jax.prepare import staging
from fakedet_jax.prepare.pool import Task
from fakedet_jax.runtime import workers


def work_on(task: Task, root: Path, cropping: Cropping) -> dict[str, Any]:
    """Extracts the faces of one input and stages them.

    Args:
        task: The input.
        root: The data folder.
        cropping: How faces are found and cut out.

    Returns:
        The answer: empty if all is well; otherwise a `warning` about an input that
        caused an unexpected error, or a `request` that ends all work, such as a wrong
        setting or a full disk.
    """
    path = root / task.name
    # A video is identified by its name, because hashing a large file takes long.
    is_photo = task.kind == "photo"
    content = str(content_fraction(path, task.name)) if is_photo else task.name
    guarded = Guarded(
        extract(
            path,
            task.name,
            task.kind,
            cropping,
            tags=task.tags,
            needs_tags=task.needs_tags,
            mask=root / task.mask if task.mask else None,
        )
    )
    try:
        staging.write(task.staged, content, guarded, task.compress)
    except RequestError as error:
        return {"request": str(error)}
    except OSError as error:
        return {"request": str(staging.disk_error(error, task.staged.parent.parent))}
    return {"warning": guarded.surprise} if guarded.surprise else {}


def use_one_thread() -> None:
    """Keeps OpenCV from sharing the cores a second time, as workers do already."""
    with contextlib.suppress(RequestError):  # Not every face detector needs OpenCV.
        opencv.set_num_threads(1)


def work(parent: workers.Parent) -> None:
    """Works until this process is ended."""
    cropping, root = parent.setup
    use_one_thread()
    parent.send({"ready": True})
    while True:
        parent.send(work_on(parent.receive(), root, cropping))

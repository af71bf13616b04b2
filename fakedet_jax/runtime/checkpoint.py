# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Stores the states of a training run, through Orbax.

A workdir holds two such stores:

- `checkpoints/STEP`: the newest states of the run, to resume from
- `best/STEP`: the detector that did best on validation data: its variables, and its
  classes and threshold as JSON; the newest step counts, earlier ones belong to the
  states that a run may resume from

Orbax writes a step under a temporary name and renames it when it is complete, so that
the last complete step stays usable when a run is killed or the disk is full.
"""

import contextlib
import errno
import gc
import logging
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import jax
import numpy as np

from fakedet_jax.errors import RequestError

_LOGGER = logging.getLogger(__name__)
# The newest state, and the one before it in case the newest is damaged.
NUM_STATES = 2
_ECHO_SECONDS = 0.2


class Store:
    """A folder of numbered steps, each a tree of arrays and a JSON object.

    Use it in a `with` statement, which waits at its end for what is being written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_to_keep: int | None = NUM_STATES,
        read_only: bool = False,
    ) -> None:
        """Opens the folder.

        Args:
            folder: The folder; it is made if missing, unless `read_only`.
            max_to_keep: How many of the newest steps to keep; None for all.
            read_only: Whether nothing in the folder is changed, including what another
                process is writing there.
        """
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers

        # Orbax reports each save to the log of absl at level INFO.
        self._ocp = ocp
        self._folder = folder
        if read_only:
            options = ocp.CheckpointManagerOptions(
                read_only=True, create=False, save_interval_steps=0
            )
        else:
            options = ocp.CheckpointManagerOptions(
                save_decision_policy=checkpoint_managers.FixedIntervalPolicy(1),
                preservation_policy=checkpoint_managers.LatestN(max_to_keep),
                cleanup_tmp_directories=True,
            )
        # Orbax warns about a folder that is read only, although that was asked for.
        with _quiet_loggers("absl"):
            self._manager = ocp.CheckpointManager(
                folder.absolute(),
                # Named here so that a read-only store knows its items too.
                item_handlers={
                    "tree": ocp.PyTreeCheckpointHandler(
                        type_handler_registry=_registry(ocp)
                    ),
                    "facts": ocp.JsonCheckpointHandler(),
                },
                options=options,
            )

    def steps(self) -> list[int]:
        """The complete steps, in ascending order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, tree: Any, facts: Mapping[str, Any]) -> None:
        """Starts to write a step; the arrays may be reused as soon as it returns.

        Args:
            step: Number of the step; a stored step of that number is replaced.
            tree: Tree of arrays.
            facts: JSON object.

        Raises:
            OSError: The disk is full, or the step before could not be written.
        """
        arguments = self._ocp.args.Composite(
            tree=self._ocp.args.PyTreeSave(tree),
            facts=self._ocp.args.JsonSave(dict(facts)),
        )
        with _disk_errors(self._folder):
            if step in self._manager.all_steps():
                self._manager.delete(step)
            self._manager.save(step, args=arguments, force=True)

    def read_facts(self, step: int) -> dict[str, Any]:
        """The JSON object of a step, one of `steps()`.

        Raises:
            RequestError: The step is damaged.
        """
        arguments = self._ocp.args.Composite(facts=self._ocp.args.JsonRestore())
        with _damage(self._folder, step):
            return dict(self._manager.restore(step, args=arguments)["facts"])

    def read_tree(self, step: int, abstract: Any) -> Any:
        """The arrays of a step.

        Args:
            step: One of `steps()`.
            abstract: Tree of `jax.ShapeDtypeStruct` with shardings, see
                `abstract_like`.

        Returns:
            A tree of the structure of `abstract`.

        Raises:
            RequestError: The step is damaged, or its arrays have other names or shapes.
        """
        arguments = self._ocp.args.Composite(
            tree=self._ocp.args.PyTreeRestore(
                abstract,
                restore_args=self._ocp.checkpoint_utils.construct_restore_args(
                    abstract
                ),
            )
        )
        with _damage(self._folder, step):
            # Checked first, as Orbax finds a difference only while it reads.
            found = _shapes(self._manager.item_metadata(step)["tree"].tree)
        wanted = _shapes(abstract)
        if found != wanted:
            different = sorted(
                name
                for name in {*found, *wanted}
                if found.get(name) != wanted.get(name)
            )
            raise RequestError(
                f"`workdir`: {str(self._folder / str(step))!r} holds another network: "
                f"{len(different)} of its arrays are not as expected, such as "
                f"{different[0]}; use the `workdir` of this detector and these classes"
            )
        with _damage(self._folder, step):
            return self._manager.restore(step, args=arguments)["tree"]

    def delete_after(self, step: int) -> None:
        """Deletes the steps after `step`, which a run resumed there makes again."""
        for later in [number for number in self.steps() if number > step]:
            self._manager.delete(later)

    def keep_only(self, steps: Collection[int]) -> None:
        """Deletes all steps but these; those that are not stored are ignored."""
        for other in set(self.steps()).difference(steps):
            self._manager.delete(other)

    def wait(self) -> None:
        """Returns when every saved step is on disk.

        Raises:
            OSError: A step could not be written.
        """
        with _disk_errors(self._folder):
            self._manager.wait_until_finished()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            with _disk_errors(self._folder):
                self._manager.close()
            return
        # The error that is being raised is the one to report.
        try:
            self._manager.close()
        except Exception as second:
            _LOGGER.debug("While closing %s: %s", self._folder, second)


def abstract_like(tree: Any, sharding: Any) -> Any:
    """Describes the arrays of a tree for `Store.read_tree`.

    Args:
        tree: Tree of arrays, or of their shapes.
        sharding: Where the arrays are to be placed.

    Returns:
        Tree of `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
    )


def _registry(ocp: ModuleType) -> Any:
    """How Orbax writes arrays: each copy of one device whole, by one process.

    By default it cuts an array of which every device has a copy into a slice for each
    device. On one host that writes nothing faster, and compiles a program for each
    shape and device before the first step is stored.
    """
    handlers = ocp.type_handlers
    return handlers.create_type_handler_registry(
        (np.number, handlers.ScalarHandler()),
        (np.ndarray, handlers.NumpyHandler()),
        (jax.Array, handlers.ArrayHandler(use_replica_parallel=False)),
    )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shape of every array by its path, whatever types the containers have."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            tree, is_leaf=lambda node: hasattr(node, "shape")
        )
    }


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turns all errors by which Orbax and TensorStore report a disk into `OSError`."""
    try:
        yield
    except Exception as error:
        raise OSError(
            f"could not write a checkpoint under {str(folder)!r} "
            f"({_disk_reason(error)}); the last complete one stays usable; free some "
            "space and run the same command again"
        ) from error


def _disk_reason(error: BaseException) -> str:
    text = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    # TensorStore names the error at the end of a page about its settings.
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        if os.strerror(number) in text:
            return os.strerror(number)
    return (str(error).strip() or repr(error)).splitlines()[-1][:300]


@contextlib.contextmanager
def _without_echo() -> Iterator[None]:
    """Silences the reads that Orbax abandons when another one fails.

    It reads all arrays at once and reports the first failure; asyncio and the
    interpreter report the others, some of them a little later.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unused: None
    with _quiet_loggers("asyncio", "absl"):
        try:
            yield
        except Exception:
            time.sleep(_ECHO_SECONDS)
            gc.collect()
            raise
        finally:
            sys.unraisablehook = hook


@contextlib.contextmanager
def _quiet_loggers(*names: str) -> Iterator[None]:
    """Lets loggers report critical messages only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _damage(folder: Path, step: int) -> Iterator[None]:
    """Turns all errors of reading a step into `RequestError`."""
    try:
        with _without_echo():
            yield
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise RequestError(
            f"`workdir`: the checkpoint {str(folder / str(step))!r} is damaged or of "
            f"another network ({reason[:200]}); delete that folder to go on from an "
            "earlier one, or train in another `workdir`"
        ) from error

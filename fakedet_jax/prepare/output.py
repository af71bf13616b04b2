# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The output folder of a preparation: its lock, its dataset and its summary.

The summary is written last, so its presence says that the dataset is complete.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.data import layouts, prepared
from fakedet_jax.data.prepared.facts import FILE_NAME as FACTS
from fakedet_jax.data.prepared.loading import folder_of
from fakedet_jax.data.tfds_source import quiet
from fakedet_jax.errors import RequestError
from fakedet_jax.prepare import manifest, staging
from fakedet_jax.prepare.assembly import Assembly
from fakedet_jax.runtime import records, storage
from fakedet_jax.runtime.progress import Progress

SUMMARY = "summary.json"

# Room for the records, their index and the file system, relative to the crops.
_SPACE_FACTOR = 1.05

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def lock(output: Path) -> Iterator[None]:
    """Creates the folder and locks it for this process during a `with` block.

    Where the file system has no locks, a warning asks the user to start no other run.

    Args:
        output: The output folder; its parents are created too.

    Raises:
        RequestError: It cannot be created, or another process has locked it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RequestError(
            f"`output`: expected a folder that can be created, found {str(output)!r} "
            f"({error.strerror or error}); name another one"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError(
                "`output`: expected a folder that no other run uses, found one at work "
                f"in {str(output)!r}; wait until it has ended"
            ) from error
        except OSError as error:  # Some network file systems have no locks.
            _LOGGER.warning(
                "`output`: %r cannot be locked (%s); start no other run that writes "
                "to this folder until this one has ended",
                str(output),
                error.strerror or error,
            )
        yield
    finally:
        os.close(descriptor)  # This frees the lock; so does the death of the process.


def find_finished(
    output: Path, name: str, request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Looks for a finished dataset.

    Args:
        output: The output folder.
        name: Name of the dataset.
        request: All that the dataset depends on, JSON-able.

    Returns:
        Its summary; `None` if the dataset is not finished.

    Raises:
        RequestError: The folder holds another dataset, one that was made by another
            request, or files of something else.
    """
    for other in layouts.names():
        if other != name and prepared.is_prepared(output, other):
            raise RequestError(
                f"`output`: {str(output)!r} holds the prepared dataset {other} "
                "already; name another folder"
            )
    path = output / SUMMARY
    if not path.is_file():
        folder = folder_of(output, name)
        if folder.exists() and not (output / staging.FOLDER).is_dir():
            raise RequestError(
                f"`output`: {str(folder)!r} is there without the {SUMMARY} of "
                "`mode=prepare`; name another folder"
            )
        return None
    advice = "name another folder as `output`"
    summary = records.read(path, dict[str, Any], advice=advice)
    made_of = records.convert(
        summary.get("request"),
        dict[str, Any],
        source=f"{str(path)!r}: request",
        advice=advice,
    )
    if not prepared.is_prepared(output, name):
        return None
    if differences := _differences(made_of, request):
        raise RequestError(
            f"`output`: {str(output)!r} holds a dataset that was made of other "
            f"{', '.join(differences)}; name another folder, or "
            "delete this one"
        )
    return summary


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names the entries of a request that differ, with both values.

    >>> _differences({"seed": 0, "faces": {"size": 64}}, {"seed": 1, "faces": {}})
    ['seed (0, now 1)', 'faces (size 64, now None)']
    """
    found = []
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        parts = f"{before}, now {value}"
        if isinstance(before, dict) and isinstance(value, dict):
            keys = [k for k in {**before, **value} if before.get(k) != value.get(k)]
            parts = "; ".join(f"{k} {before.get(k)}, now {value.get(k)}" for k in keys)
        found.append(name if name == "files" else f"{name} ({parts})")
    return found


def write_dataset(output: Path, name: str, assembly: Assembly, faces: Any) -> None:
    """Writes the records, in place of anything that an earlier run has left.

    Args:
        output: The output folder.
        name: Name of the dataset.
        assembly: Contents of the dataset.
        faces: How faces were found and cut out, JSON-able.

    Raises:
        OSError: The records cannot be written.
        RequestError: The disk has too little room.
        RuntimeError: Fewer crops can be read back than were written.
    """
    from fakedet_jax.data.prepared.builder import FacesBuilder

    folder = folder_of(output, name)
    (output / SUMMARY).unlink(missing_ok=True)
    for leftover in [folder, *folder.parent.glob("incomplete.*")]:
        if leftover.exists():
            shutil.rmtree(leftover)
    needed = int(assembly.num_bytes * _SPACE_FACTOR) + len(assembly.facts) * 1024
    free = shutil.disk_usage(output).free
    if free < needed:
        raise RequestError(
            f"`output`: {str(output)!r} has {free / 2**20:,.0f} MiB of room, and the "
            f"dataset needs {needed / 2**20:,.0f}; finished work is kept, so make "
            "room there and run the same command again"
        )
    with (
        Progress(
            len(assembly.facts), label="write", unit="faces", has_warm_up=False
        ) as bar,
        tempfile.TemporaryDirectory() as empty,
        quiet(),
    ):
        contents = assembly.contents(faces, bar.update)
        builder = FacesBuilder(
            layout=layouts.create(name), data_dir=str(output), contents=contents
        )
        with _disk_errors():
            builder.download_and_prepare(download_dir=empty)
    assembly.facts.save(folder / FACTS)
    source = prepared.PreparedSource(output, "all", name, assembly.digest)
    if len(source) != len(assembly.facts):
        raise RuntimeError(
            f"{str(folder)!r}: {len(assembly.facts)} crops were written, and "
            f"{len(source)} can be read; the disk may be full or damaged"
        )


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns what the writer of records raises on a full disk into an `OSError`."""
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except RuntimeError as error:
        if full in str(error):
            raise OSError(errno.ENOSPC, full) from error
        raise


def finish(output: Path, summary: Mapping[str, Any]) -> None:
    """Writes the summary, which marks the dataset as finished, and tidies up.

    Args:
        output: The output folder.
        summary: Summary of the preparation, JSON-able.

    Raises:
        OSError: The summary cannot be written.
    """
    storage.write_json(output / SUMMARY, summary)
    tidy(output)


def tidy(output: Path) -> None:
    """Deletes staged and temporary files, which a finished dataset does not need."""
    shutil.rmtree(output / staging.FOLDER, ignore_errors=True)
    for name in (SUMMARY, manifest.FILE_NAME):
        for path in output.glob(f".{name}.*.tmp"):
            path.unlink(missing_ok=True)

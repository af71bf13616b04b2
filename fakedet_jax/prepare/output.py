# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder that a preparation writes to: whose it is, and how far it is."""

import contextlib
import errno
import fcntl
import json
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
from fakedet_jax.runtime import storage
from fakedet_jax.runtime.progress import Progress

SUMMARY = "summary.json"

# Records, their index and what the file system needs, besides the crops.
_SPACE_FACTOR = 1.05


@contextlib.contextmanager
def lock(output: Path) -> Iterator[None]:
    """Makes the folder, and keeps it to this process while a `with` block runs.

    Raises:
        RequestError: It cannot be made, or another process is at work in it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RequestError(
            f"`output`: {str(output)!r} cannot be made a folder "
            f"({error.strerror or error}); name another one"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError(
                f"`output`: expected a folder for this run alone, but another one is "
                f"at work in {str(output)!r}; wait for its end"
            ) from error
        except OSError:
            pass  # Some network file systems know no locks.
        yield
    finally:
        os.close(descriptor)  # And with it the lock, also when a process is killed.


def find_finished(
    output: Path, name: str, request: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Looks for a dataset that is finished.

    Args:
        output: The folder.
        name: Of the dataset.
        request: All that the dataset depends on, JSON-able.

    Returns:
        Its summary; None where it is still to be made.

    Raises:
        RequestError: There is one that was made of something else.
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
    try:
        summary = dict(json.loads(path.read_text(encoding="utf-8")))
        made_of = dict(summary["request"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{str(path)!r}: expected the summary that `mode=prepare` wrote, found "
            "something else; name another folder as `output`"
        ) from error
    if not prepared.is_prepared(output, name):
        return None
    if any(request[key] != made_of.get(key) for key in request):
        raise RequestError(
            f"`output`: {str(output)!r} holds a dataset that was made of other "
            f"{', '.join(_differences(made_of, request))}; name another folder, or "
            "delete this one"
        )
    return summary


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, with both values where these are short.

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
    """Writes the records, in place of what an earlier run may have left.

    Args:
        output: The folder.
        name: Of the dataset.
        assembly: What goes into it.
        faces: How faces were found and cut out, JSON-able.

    Raises:
        OSError: It cannot be written.
        RequestError: There is not enough room.
        RuntimeError: What was written cannot be read.
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
            f"dataset needs {needed / 2**20:,.0f}; what is finished is kept, so make "
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
    """Makes an `OSError` of what the writer of records says of a full disk."""
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except RuntimeError as error:
        if full in str(error):
            raise OSError(errno.ENOSPC, full) from error
        raise


def finish(output: Path, summary: Mapping[str, Any]) -> None:
    """Writes the summary, which says that all is done, and tidies up.

    Raises:
        OSError: It cannot be written.
    """
    storage.write_json(output / SUMMARY, summary)
    tidy(output)


def tidy(output: Path) -> None:
    """Takes away what is of no more use once a dataset is finished."""
    shutil.rmtree(output / staging.FOLDER, ignore_errors=True)
    for name in (SUMMARY, manifest.FILE_NAME):
        for path in output.glob(f".{name}.*.tmp"):
            path.unlink(missing_ok=True)

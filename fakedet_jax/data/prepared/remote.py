# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepared datasets that lie in a bucket: they are copied once and read from the copy.

Random access to single pictures over a network would be slow, and what reads the
records takes an address that it does not know for an empty file.
"""

import concurrent.futures
import re
import shutil
from pathlib import Path
from typing import Any

from fakedet_jax.data import layouts
from fakedet_jax.data.dataset import digest_of
from fakedet_jax.data.prepared.loading import VERSION, folder_of, is_prepared
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import storage
from fakedet_jax.runtime.progress import Progress

# By scheme, the package that knows how to read it.
_PACKAGES = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs", "hf": "huggingface_hub"}

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]+)://(?P<path>.*)", re.DOTALL)
_METADATA = "metadata.json"
_COMPLETE = "dataset_info.json"  # What says that all the others are there.

_NUM_COPIES = 8  # At a time; a bucket gives a single one only a part of its speed.
_PIECE_BYTES = 4 * 2**20
_MIB = 2**20


def localise(data_dir: str) -> Path:
    """Turns the address of a prepared dataset into a folder of this machine.

    What lies in a bucket is copied into the user's cache folder, one folder for each
    dataset, unless it is there. A copy that was interrupted goes on file by file.

    Args:
        data_dir: A folder, or an address such as `gs://BUCKET/FOLDER`, of what
            `prepare` was given as `output`. As a string: a `Path` would lose one of
            the slashes.

    Returns:
        The folder; the same one where it is of this machine already.

    Raises:
        RequestError: The address is none of a prepared dataset, or cannot be read, or
            the disk is full.

    >>> localise("data/faces")
    PosixPath('data/faces')
    """
    address = _ADDRESS.fullmatch(data_dir)
    if address is None:
        return Path(data_dir)
    package = _PACKAGES.get(address["scheme"])
    if package is None:
        known = ", ".join(f"{scheme}://" for scheme in _PACKAGES)
        raise RequestError(
            f"`data_dir`: expected a folder, or an address with {known}, found "
            f"{data_dir!r}"
        )
    try:
        from etils import epath

        name, metadata = _find(epath.Path(data_dir), data_dir)
        folder = storage.user_cache_dir() / "prepared" / digest_of([metadata])
        if not is_prepared(folder, name):
            _copy(epath.Path(data_dir) / name / VERSION, folder_of(folder, name))
    except RequestError:
        raise
    except ImportError as error:
        raise RequestError(
            f"`data_dir`: {data_dir!r} cannot be read without {package} "
            f"({_one_line(error)}); run: pip install {package}"
        ) from error
    except Exception as error:  # Each of the packages has errors of its own.
        raise RequestError(
            f"`data_dir`: {data_dir!r} cannot be read ({type(error).__name__}: "
            f"{_one_line(error)}); check the address, the network and whether this "
            "machine is signed in; what is copied is kept"
        ) from error
    return folder


def _find(root: Any, data_dir: str) -> tuple[str, str]:
    """The name of the dataset that lies in a folder, and its metadata."""
    try:
        present = {path.name for path in root.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        present = set()
    found = [
        name
        for name in sorted(present.intersection(layouts.names()))
        if (root / name / VERSION / _COMPLETE).exists()
    ]
    if len(found) != 1:
        raise RequestError(
            f"`data_dir`: expected one prepared dataset in {data_dir!r}, found "
            f"{', '.join(found) or 'none'}; copy there what `mode=prepare` has "
            "written to its `output`"
        )
    return found[0], (root / found[0] / VERSION / _METADATA).read_text()


def _copy(source: Any, folder: Path) -> None:
    """Copies the files that are not there yet; the one that says so comes last."""
    sizes = {path.name: path.stat().length for path in source.iterdir()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [name for name in sizes if not _is_there(folder / name, sizes[name])]
        needed = sum(sizes[name] for name in missing)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise RequestError(
            f"`data_dir`: the folder for a copy, {str(folder)!r}, cannot be made "
            f"({error.strerror or error}); set XDG_CACHE_HOME to another one"
        ) from error
    if free < needed:
        raise RequestError(
            f"`data_dir`: a copy needs {needed / _MIB:,.0f} MiB, and {str(folder)!r} "
            f"has {free / _MIB:,.0f}; make room there, or set XDG_CACHE_HOME to "
            "another folder"
        )

    def copy(name: str) -> int:
        with (
            (source / name).open("rb") as original,
            storage.atomic_file(folder / name) as file,
        ):
            shutil.copyfileobj(original, file, _PIECE_BYTES)
            if file.tell() != sizes[name]:
                raise OSError(
                    f"{name} has {file.tell():,} of {sizes[name]:,} bytes; it was cut "
                    "off, or is being changed"
                )
        return sizes[name]

    missing = [name for name in missing if name != _COMPLETE]
    with (
        Progress(needed, label="copy", unit="bytes") as progress,
        concurrent.futures.ThreadPoolExecutor(_NUM_COPIES, "fakedet-copy") as pool,
    ):
        copies = [pool.submit(copy, name) for name in missing]
        try:
            for copied in concurrent.futures.as_completed(copies):
                progress.update(copied.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        progress.update(copy(_COMPLETE))


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

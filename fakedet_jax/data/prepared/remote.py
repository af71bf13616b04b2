# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepared datasets in a bucket: copied once, then read from the copy.

Random access to single pictures over a network would be slow, and the reader of records
takes a remote address for an empty file.
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
from fakedet_jax.runtime.text import one_line

# The package that reads each scheme.
_PACKAGES = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs", "hf": "huggingface_hub"}

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]+)://(?P<path>.*)", re.DOTALL)
_METADATA = "metadata.json"
_COMPLETE = "dataset_info.json"  # Exists only if all other files do.

_NUM_COPIES = 8  # In parallel; a single copy does not use the full speed.
_PIECE_BYTES = 4 * 2**20
_MIB = 2**20


def localise(data_dir: str) -> Path:
    """Copies a prepared dataset to this machine if it is in a bucket.

    The copy is in the user's cache folder, and is made once per dataset. An interrupted
    copy continues with the missing files.

    Args:
        data_dir: The `output` folder of `mode=prepare`, or its address, such as
            `gs://BUCKET/FOLDER`. A string, because a `Path` would lose a slash.

    Returns:
        The folder of the copy, or `data_dir` if it is a folder.

    Raises:
        RequestError: The address is not that of a prepared dataset, or cannot be read,
            or the disk is full.

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
            f"({one_line(error)}); run: pip install {package}"
        ) from error
    except Exception as error:  # Each package has its own errors.
        raise RequestError(
            f"`data_dir`: {data_dir!r} cannot be read ({type(error).__name__}: "
            f"{one_line(error)}); check the address, the network and whether this "
            "machine is signed in; files already copied are kept"
        ) from error
    return folder


def _find(root: Any, data_dir: str) -> tuple[str, str]:
    """The name of the only dataset in a folder, and its metadata."""
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
    """Copies missing files; the one that marks the copy as complete comes last."""
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
                    f"{name} has {file.tell():,} of {sizes[name]:,} bytes; it was "
                    "truncated, or is being changed"
                )
        return sizes[name]

    missing = [name for name in missing if name != _COMPLETE]
    with (
        Progress(needed, label="copy", unit="bytes") as progress,
        concurrent.futures.ThreadPoolExecutor(_NUM_COPIES, "fakedet-copy") as pool,
    ):
        # After an error, `map` cancels the copies that have not begun.
        for num_bytes in pool.map(copy, missing):
            progress.update(num_bytes)
        progress.update(copy(_COMPLETE))


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size

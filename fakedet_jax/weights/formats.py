# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Recognises the format of weight files by their content and reads them.

The readers are ours because the files come from strangers: none of them runs anything
that a file contains, and none needs the framework that wrote it.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import (
    caffe,
    dlib_files,
    folder,
    keras,
    safetensors_files,
    torch_files,
)
from fakedet_jax.weights.tensors import MAX_BYTES, Contents, TensorFile, UnreadableError

_HEAD_BYTES = 2048
# Start of pickles of protocols 0 and 1, which have no signature.
_TEXT_PICKLE = re.compile(rb"\((?:d|l|i|c|t|\]|\})|[\]}](?:q|p)|c[A-Za-z_][\w.]*\n")
# Limit of the package `safetensors` for the JSON header.
_MAX_HEADER_BYTES = 100_000_000


@dataclasses.dataclass(frozen=True)
class _Format:
    name: str
    layout: str
    matches: Callable[[bytes], bool]
    read: Callable[..., Contents]
    has_containers: bool = False


def read(path: Path, container: str | None = None) -> TensorFile:
    """Reads all arrays of a weight file, or of the folder of a converted network.

    Args:
        path: The file or folder; the extension of the name is ignored.
        container: The container of a checkpoint that holds the weights; see
            `checkpoints.select`.

    Returns:
        The arrays, with names and axes of the file's layout.

    Raises:
        RequestError: The file does not exist, has an unknown format, is damaged, or
            holds something other than arrays.
    """
    try:
        if path.is_dir():
            return folder.read(path)
        return _read_file(path, container)
    except UnreadableError as error:
        raise RequestError(f"`weights`: {str(path)!r} {error}") from error
    except OSError as error:
        raise RequestError(
            f"`weights`: {str(path)!r} cannot be read ({error.strerror or error})"
        ) from error


def known() -> list[str]:
    """Names of all supported file formats."""
    return [form.name for form in _FORMATS]


def _read_file(path: Path, container: str | None) -> TensorFile:
    if not path.exists():
        raise UnreadableError("does not exist")
    if not path.is_file():
        raise UnreadableError("is not a file")
    num_bytes = path.stat().st_size
    if num_bytes == 0:
        raise UnreadableError("is empty")
    if num_bytes > MAX_BYTES:
        raise UnreadableError(
            f"has {num_bytes / 2**30:.1f} GiB, expected at most {MAX_BYTES // 2**30} "
            "GiB"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for form in _FORMATS:
        if form.matches(head):
            if form.has_containers:
                contents = form.read(path, container)
            elif container is None:
                contents = form.read(path)
            else:
                raise UnreadableError(
                    f"is a file of {form.name}, which has no containers; leave "
                    "`container` out"
                )
            return TensorFile(
                path=path,
                format=form.name,
                layout=form.layout,
                tensors=contents.tensors,
                sha256=digest,
                num_bytes=num_bytes,
                notes=contents.notes,
            )
    raise UnreadableError(
        f"has an unknown format (it starts with {head[:16]!r}); expected "
        f"{', '.join(known())}, or a folder that `mode=convert` wrote"
    )


def _is_hdf5(head: bytes) -> bool:
    # Other data may precede the signature, of 512 bytes or a larger power of two.
    return any(
        head[start:].startswith(b"\x89HDF\r\n\x1a\n") for start in (0, 512, 1024)
    )


def _is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_pickle(head: bytes) -> bool:
    binary = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return binary or _TEXT_PICKLE.match(head) is not None


def _is_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and length <= _MAX_HEADER_BYTES


# Formats with a signature come first.

_FORMATS = (
    _Format("Keras HDF5", "keras", _is_hdf5, keras.read),
    _Format("PyTorch zip archive", "torch", _is_zip, torch_files.read_zip, True),
    _Format(
        "PyTorch stream", "torch", torch_files.is_stream, torch_files.read_stream, True
    ),
    _Format("pickle", "torch", _is_pickle, torch_files.read_pickle, True),
    _Format("dlib network", "torch", dlib_files.looks_like, dlib_files.read),
    _Format("safetensors", "torch", _is_safetensors, safetensors_files.read),
    _Format("caffemodel", "caffe", caffe.looks_like, caffe.read),
)

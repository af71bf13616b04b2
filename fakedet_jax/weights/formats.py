# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Recognises the format of weight files by their content and reads them.

The readers are ours because the files come from strangers: none of them runs anything
that a file contains, and none needs the framework that wrote it.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.weights import (
    caffe,
    dlib_files,
    folder,
    hub,
    keras,
    onnx_files,
    safetensors_files,
    shards,
    torch_files,
)
from fakedet_jax.weights.tensors import (
    MAX_BYTES,
    Contents,
    TensorFile,
    UnreadableError,
    collect,
    listed,
    shown,
)

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
    """Reads all arrays of a weight file, or of a network in several files.

    Args:
        path: The file, whose extension is ignored; the index of several files; a
            folder with such files or with a converted network; or a file of Hugging
            Face, see `hub.local`.
        container: The container of a checkpoint that holds the weights; see
            `checkpoints.select`.

    Returns:
        The arrays, with names and axes of the file's layout.

    Raises:
        RequestError: The file does not exist, has an unknown format, is damaged, or
            holds something other than arrays.
    """
    path = hub.local(path)
    try:
        if path.is_dir():
            return _read_folder(path, container)
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


def _read_folder(path: Path, container: str | None) -> TensorFile:
    files = None if (path / folder.CARD).exists() else shards.in_folder(path)
    if files is None:
        if container is not None:
            raise UnreadableError("has no containers; leave `container` out")
        return folder.read(path)
    if len(files) == 1:
        return _read_file(files[0], container)
    return _joined(path, [_part(file, container) for file in files])


def _read_file(path: Path, container: str | None) -> TensorFile:
    if not path.exists():
        raise UnreadableError("does not exist")
    if not path.is_file():
        raise UnreadableError("is not a file")
    num_bytes = path.stat().st_size
    if num_bytes == 0:
        raise UnreadableError("is empty")
    _check_size(num_bytes)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if shards.is_index(head):
        return _read_index(path, container)
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
                operations=contents.operations,
            )
    raise UnreadableError(
        f"has an unknown format (it starts with {head[:16]!r}); expected "
        f"{', '.join(known())}, or a folder that `mode=convert` wrote"
    )


def _read_index(path: Path, container: str | None) -> TensorFile:
    parts = []
    for file, names in shards.of_index(path).items():
        part = _part(file, container)
        if missing := sorted(names - part.tensors.keys()):
            text = listed([shown(name[:80]) for name in missing])
            raise UnreadableError(
                f"names arrays that {file.name} lacks: {text}; get both files again"
            )
        parts.append(part)
    return _joined(path, parts)


def _part(file: Path, container: str | None) -> TensorFile:
    try:
        with file.open("rb") as opened:
            if shards.is_index(opened.read(_HEAD_BYTES)):
                raise UnreadableError("is an index itself")
        return _read_file(file, container)
    except FileNotFoundError as error:
        raise UnreadableError(f"lacks the part {shown(file.name[:80])}") from error
    except UnreadableError as error:
        raise UnreadableError(
            f"has the part {shown(file.name[:80])}, which {error}"
        ) from error


def _joined(path: Path, parts: Sequence[TensorFile]) -> TensorFile:
    """The arrays of several files as those of one."""
    num_bytes = sum(part.num_bytes for part in parts)
    _check_size(num_bytes)
    formats = {(part.format, part.layout) for part in parts}
    if len(formats) > 1:
        raise UnreadableError("has parts of different formats")
    digest = hashlib.sha256("".join(part.sha256 for part in parts).encode())
    return dataclasses.replace(
        parts[0],
        path=path,
        tensors=collect(item for part in parts for item in part.tensors.items()),
        sha256=digest.hexdigest(),
        num_bytes=num_bytes,
        notes=(
            *dict.fromkeys(note for part in parts for note in part.notes),
            f"joined {len(parts)} files",
        ),
    )


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise UnreadableError(
            f"has {num_bytes / 2**30:.1f} GiB, expected at most {MAX_BYTES // 2**30} "
            "GiB"
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
    _Format("Keras archive", "keras", keras.is_archive, keras.read_archive),
    _Format("PyTorch zip archive", "torch", _is_zip, torch_files.read_zip, True),
    _Format(
        "PyTorch stream", "torch", torch_files.is_stream, torch_files.read_stream, True
    ),
    _Format("pickle", "torch", _is_pickle, torch_files.read_pickle, True),
    _Format("dlib network", "torch", dlib_files.looks_like, dlib_files.read),
    _Format("safetensors", "torch", _is_safetensors, safetensors_files.read),
    _Format("ONNX", "torch", onnx_files.looks_like, onnx_files.read),
    _Format("caffemodel", "caffe", caffe.looks_like, caffe.read),
)

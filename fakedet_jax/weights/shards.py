# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the files of a network that was saved in several.

An index is a JSON object whose `weight_map` says which file beside it holds which
array, as Hugging Face's libraries write it for safetensors and for PyTorch's archives.
Without an index, the numbers in the names, as in `model-00001-of-00003.safetensors`,
say how many files there are.
"""

import json
import re
from pathlib import Path

from fakedet_jax.weights.tensors import UnreadableError, listed, shown

_MAX_INDEX_BYTES = 64 * 2**20
_MAX_FILES = 1000
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors)")


def is_index(start: bytes) -> bool:
    """Whether a file that starts like this may be an index.

    Args:
        start: The first bytes of the file.
    """
    return re.match(rb'\s*\{\s*"(metadata|weight_map)"\s*:', start) is not None


def of_index(path: Path) -> dict[Path, set[str]]:
    """The files that an index names, with the names of their arrays.

    Args:
        path: The index.

    Returns:
        Files in the folder of the index, sorted, each with its arrays.

    Raises:
        UnreadableError: The index is damaged, or names files elsewhere or none.
    """
    if path.stat().st_size > _MAX_INDEX_BYTES:
        raise UnreadableError("is an index of more than 64 MiB")
    try:
        index = json.loads(path.read_bytes())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UnreadableError(
            f"is a damaged or truncated index ({str(error)[:80]}); get the file again"
        ) from error
    where = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(where, dict) or not where:
        raise UnreadableError("is an index without a weight_map")
    files: dict[str, set[str]] = {}
    for name, file in where.items():
        if not isinstance(file, str) or Path(file).name != file or file in ("", ".."):
            raise UnreadableError(
                f"is an index that names {shown(str(file)[:80])}, expected the name of "
                "a file beside it"
            )
        files.setdefault(file, set()).add(name)
    if len(files) > _MAX_FILES:
        raise UnreadableError(f"is an index of more than {_MAX_FILES:,} files")
    return {path.with_name(file): files[file] for file in sorted(files)}


def in_folder(folder: Path) -> list[Path] | None:
    """The index, or the files, of a network in a folder.

    Args:
        folder: The folder.

    Returns:
        One index or one file, or all numbered files; None if it holds none.

    Raises:
        UnreadableError: There are several networks, or numbered files are missing.
    """
    indices = sorted(folder.glob("*.index.json"))
    if len(indices) == 1:
        return indices
    files = sorted(folder.glob("*.safetensors"))
    found = indices or files
    matches = [_NUMBERED.fullmatch(file.name) for file in files]
    sets = {(match[1], int(match[3])) for match in matches if match}
    if not indices and len(sets) == 1 and all(matches):
        ((_, number),) = sets
        missing = sorted(
            {*range(1, number + 1)} - {int(match[2]) for match in matches if match}
        )
        if missing:
            text = listed([str(part) for part in missing])
            raise UnreadableError(
                f"lacks the parts {text} of {number}; get these files, too"
            )
        return files
    if len(found) > 1:
        names = listed([shown(file.name[:80]) for file in found])
        raise UnreadableError(f"holds several networks ({names}); name one file")
    return found or None

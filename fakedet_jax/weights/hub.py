# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weight files of Hugging Face, by `hf://owner/name/file` or `…/file@revision`.

The package `huggingface_hub` downloads a file once into its own cache, or finds it
there; `HF_HUB_OFFLINE=1` makes it look nowhere else. Our readers read the file.
"""

import logging
import re
from pathlib import Path

from fakedet_jax.errors import RequestError

_LOGGER = logging.getLogger(__name__)

# A path keeps one of two slashes.
_SCHEME = "hf:"
_WORD = re.compile(r"[\w.-]{1,96}", re.ASCII)
_MAX_LENGTH = 500

# What is wrong, by the names of the package's exceptions.
_REASONS = {
    "GatedRepoError": "its publisher asks for consent on its page, and for a token",
    "RepositoryNotFoundError": "there is no such repository, or it is private",
    "RevisionNotFoundError": "the repository has no such revision",
    "LocalEntryNotFoundError": "it is not in the cache, and cannot be downloaded",
    "EntryNotFoundError": "the repository has no such file",
    "OfflineModeIsEnabled": "it is not in the cache, and downloads are turned off",
}


def local(path: Path) -> Path:
    """The file that a path means: of the Hub, where it starts with `hf:`.

    Args:
        path: The path, as `--weights` takes it.

    Returns:
        A path of this machine; the same one unless it is of the Hub.

    Raises:
        RequestError: It names no file of the Hub, `huggingface_hub` is not installed,
            or the file can neither be found nor downloaded.

    >>> local(Path("weights/file.pth")).as_posix()
    'weights/file.pth'
    """
    if path.parts[:1] != (_SCHEME,):
        return path
    repository, name, revision = _split(path)
    given = f"`weights`: {_shown(path)!r}"
    try:
        import huggingface_hub
    except ImportError as error:
        raise RequestError(
            f"{given} is a file of Hugging Face, which needs huggingface_hub; install "
            "it with pip install 'fakedet-jax[hub]', or download the file and name it"
        ) from error
    try:
        found = Path(
            huggingface_hub.hf_hub_download(repository, name, revision=revision)
        )
    except Exception as error:
        # Also what HTTP libraries raise, which are not ours to name.
        raise RequestError(
            f"{given} cannot be had: {_reason(error)}; check the name and the network, "
            "or download the file and name it"
        ) from error
    _LOGGER.info("%s is %s", _shown(path), found)
    return found


def _split(path: Path) -> tuple[str, str, str | None]:
    """Repository, file and revision.

    Raises:
        RequestError: The path names none.
    """
    owner, name, *rest = (*path.parts[1:3], "", "")[:2] + path.parts[3:]
    file, _, revision = "/".join(rest).partition("@")
    parts = [owner, name, *file.split("/"), *(revision or "main").split("/")]
    is_valid = (
        len(_shown(path)) <= _MAX_LENGTH
        and all(_WORD.fullmatch(part) for part in parts)
        and not {".", ".."}.intersection(parts)
    )
    if not is_valid:
        raise RequestError(
            "`weights`: expected hf://OWNER/NAME/FILE or hf://OWNER/NAME/FILE@REVISION "
            f"for a file of Hugging Face, found {_shown(path)[:_MAX_LENGTH]!r}"
        )
    return f"{owner}/{name}", file, revision or None


def _shown(path: Path) -> str:
    return f"{_SCHEME}//{'/'.join(path.parts[1:])}"


def _reason(error: Exception) -> str:
    for cls in type(error).__mro__:
        if cls.__name__ in _REASONS:
            return _REASONS[cls.__name__]
    first = next(iter(str(error).splitlines()), "") or "no reason was told"
    return f"{type(error).__name__} ({first[:160]})"

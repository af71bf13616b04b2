# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixtures in `.npz` files, together with a description of the embedding."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.mixture.model import (
    COVARIANCE_TYPES,
    Mixture,
    from_arrays,
    whitening_shape,
)
from fakedet_jax.runtime import records, storage

_VERSION = 1
_ARRAYS = ("weights", "centres", "whitening", "offset", "scale")


@dataclasses.dataclass(frozen=True, eq=False)
class Saved:
    """A mixture that was read from a file.

    Attributes:
        mixture: The mixture.
        settings: Settings of the embedding, such as its backbone and weights.
        path: The file.
    """

    mixture: Mixture
    settings: Mapping[str, Any]
    path: Path


def save(path: Path, mixture: Mixture, settings: Mapping[str, Any]) -> None:
    """Writes a mixture, atomically; the same mixture always gives the same bytes.

    Args:
        path: The `.npz` file, in an existing folder.
        mixture: The mixture.
        settings: Settings of the embedding that the mixture was fitted to, as values
            that JSON can hold.

    Raises:
        OSError: The file cannot be written.
        ValueError: A setting is not finite.
    """
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    arrays: dict[str, Any] = {
        "version": np.int32(_VERSION),
        "covariance_type": np.array(mixture.covariance_type),
        "settings": np.array(text),
        **{name: np.asarray(getattr(mixture, name)) for name in _ARRAYS},
    }
    with storage.atomic_file(path) as file:
        np.savez_compressed(file, **arrays)


def load(path: Path) -> Saved:
    """Reads a mixture.

    Args:
        path: The file that `save` wrote; it may come from elsewhere.

    Returns:
        The mixture and what it is of.

    Raises:
        RequestError: It cannot be read, or holds no sound mixture.
    """
    expected = "expected an .npz file of a mixture; fit it again"
    try:
        # NumPy would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            version = int(content["version"])
            if version != _VERSION:
                raise RequestError(
                    f"{str(path)!r}: expected version {_VERSION} of a mixture, found "
                    f"{version}; fit it again"
                )
            covariance_type = str(content["covariance_type"])
            settings = records.parse(
                str(content["settings"]),
                dict[str, Any],
                source=f"{str(path)!r}: settings",
                advice="fit it again",
            )
            arrays = {name: content[name] for name in _ARRAYS}
    except RequestError:
        raise
    except OSError as error:
        raise RequestError(
            f"{str(path)!r} cannot be read ({error.strerror or error}); {expected}"
        ) from error
    except Exception as error:
        # A file from elsewhere may be damaged in any way that zip and NumPy know.
        raise RequestError(
            f"{str(path)!r} holds no mixture that can be read; {expected}"
        ) from error
    fault = _fault(arrays, covariance_type)
    if fault is not None:
        raise RequestError(f"{str(path)!r}: expected a sound mixture, found {fault}")
    mixture = from_arrays(**arrays, covariance_type=covariance_type)
    return Saved(mixture, settings, path)


def check_embedding(
    saved: Saved, num_features: int, settings: Mapping[str, Any]
) -> None:
    """Refuses a mixture of another embedding.

    Args:
        saved: The mixture, as `load` returns it.
        num_features: Length of the embedding.
        settings: Settings of the embedding, which must equal those of the mixture.

    Raises:
        RequestError: The length or a setting differs.
    """
    if saved.mixture.num_features != num_features:
        raise RequestError(
            f"{str(saved.path)!r}: expected a mixture of {num_features} features, "
            f"found one of {saved.mixture.num_features}; fit one to this embedding"
        )
    wanted = records.as_json(settings)
    for name in sorted({*wanted, *saved.settings}):
        expected, found = wanted.get(name), saved.settings.get(name)
        if expected != found:
            raise RequestError(
                f"{str(saved.path)!r}: expected a mixture of an embedding with {name} "
                f"{json.dumps(expected)}, found {json.dumps(found)}; fit one to this "
                "embedding"
            )


def _fault(arrays: Mapping[str, np.ndarray], covariance_type: str) -> str | None:
    """Describes what is wrong with the arrays of a file; None if nothing is."""
    if covariance_type not in COVARIANCE_TYPES:
        return f"the covariance type {covariance_type!r}"
    if any(array.dtype != np.float32 for array in arrays.values()):
        return "arrays that are not float32"
    if arrays["centres"].ndim != 2 or not arrays["centres"].size:
        return f"centres of shape {list(arrays['centres'].shape)}"
    num_components, num_features = arrays["centres"].shape
    shapes = {
        "weights": (num_components,),
        "whitening": whitening_shape(covariance_type, num_components, num_features),
        "offset": (num_features,),
        "scale": (num_features,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"{name} of shape {list(arrays[name].shape)} where {list(shape)} fit"
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return "numbers that are not finite"
    diagonal = arrays["whitening"]
    if covariance_type in ("full", "tied"):
        diagonal = np.diagonal(diagonal, axis1=-2, axis2=-1)
    if not ((arrays["scale"] > 0).all() and (diagonal > 0).all()):
        return "scales that are not positive"
    if (arrays["weights"] < 0).any() or abs(arrays["weights"].sum() - 1) > 1e-3:
        return "weights that do not add up to 1"
    return None

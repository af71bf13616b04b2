# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features of a face-recognition network: neuron counts and embeddings."""

import io
import logging
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BackboneFeatureConfig, InputConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel, platforms, records
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter.counts import (
    CountSettings,
    NeuronCounter,
    count_settings,
)
from fakedet_jax.systems.features import (
    Feature,
    FeatureFn,
    FeatureRequest,
    embedding_feature,
)
from fakedet_jax.weights import store
from fakedet_jax.weights.tensors import shown

_LOGGER = logging.getLogger(__name__)

_MAX_THRESHOLDS_BYTES = 2**20
# Enough to tell digests of weights apart.
_MAX_SHOWN = 24


def open_backbone(
    chosen: BackboneFeatureConfig, mesh: Mesh
) -> tuple[Framing, Mapping[str, FeatureFn]]:
    """Reads the weights of a recognition network.

    Args:
        chosen: The network, its weights and what is counted.
        mesh: The devices.

    Returns:
        The framing of its input, and its features.

    Raises:
        RequestError: There is no such network, or the weights do not fit.
    """
    settings = count_settings(chosen, chosen.dtype)
    variables, card = store.load(settings.backbone, chosen.weights)
    placed = parallel.replicate(mesh, variables)
    features = backbone_features(settings, placed, card["digest"], None)
    return settings.backbone.preprocessing.framing, features


def backbone_features(
    settings: CountSettings,
    variables: Any,
    digest: str,
    thresholds: np.ndarray | None,
) -> Mapping[str, FeatureFn]:
    """The features of a recognition network.

    Args:
        settings: The network and what is counted.
        variables: Its variables, on the mesh.
        digest: Of the variables.
        thresholds: float32 `[layers]`; None where none are known.

    Returns:
        `coverage` and `embedding`.
    """
    described = settings.described(digest)
    network = settings.network

    def count(request: FeatureRequest) -> Feature:
        sizes = network.layer_sizes
        chosen = thresholds
        if request.thresholds is not None:
            chosen = read_thresholds(request.thresholds, sizes, described)
        if chosen is None:
            _announce_fit(request)
            counter = NeuronCounter(
                settings,
                variables,
                request.mesh,
                batch_size=request.mesh.size,
                reading=InputConfig(),
            )
            chosen = counter.thresholds_of(request.open_batches())
        placed = parallel.replicate(request.mesh, chosen)
        compiled = platforms.jit_rows(network.counts, request.mesh)
        return Feature(
            compute=lambda images: compiled(variables, images, placed),
            row_shape=(len(sizes),),
            dtype=np.dtype(np.int32),
            layers=tuple(sizes),
            layer_sizes=tuple(sizes.values()),
            thresholds=chosen,
            settings=described,
        )

    def embed(variables: Any, images: jax.Array) -> jax.Array:
        pictures = network.preprocessing(images)
        embedding, _ = network.module.apply(variables, pictures, train=False)
        return embedding

    framing = settings.backbone.preprocessing.framing
    return {
        "coverage": count,
        "embedding": embedding_feature(embed, variables, framing, described),
    }


def _announce_fit(request: FeatureRequest) -> None:
    if request.are_training_pictures:
        _LOGGER.info("fitting the thresholds on these pictures")
        return
    # Eq. 1 takes the training pictures: others must not leak into their own counts.
    _LOGGER.warning(
        "the thresholds are fitted on %s, so the counts depend on which pictures are "
        "counted together; for pictures to be judged, extract `split=train` first and "
        "name its features.npz with `thresholds`",
        request.pictures,
    )


def read_thresholds(
    path: Path, layers: Iterable[str], settings: Mapping[str, str]
) -> np.ndarray:
    """The array `thresholds` of an `.npz` file.

    Args:
        path: The file.
        layers: Of the network.
        settings: That an array `settings` in the file must not contradict.

    Raises:
        RequestError: There is none, or it is of another network.
    """
    expected = "expected an .npz file, such as the features.npz of `features=coverage`"
    try:
        # The other arrays stay on the disk; they may be large.
        with zipfile.ZipFile(path) as archive:
            found = _read_array(archive, "thresholds")
            described = None
            if "settings.npy" in archive.namelist():
                described = _read_array(archive, "settings")
    except OSError as error:
        raise RequestError(
            f"`thresholds`: {str(path)!r} cannot be read ({error.strerror or error}); "
            f"{expected}"
        ) from error
    except Exception as error:
        # A file from elsewhere may be damaged in any way that zip and NumPy know.
        raise RequestError(
            f"`thresholds`: {str(path)!r} holds no array `thresholds` of numbers that "
            f"can be read; {expected}"
        ) from error
    if described is not None:
        _check_settings(path, str(described), settings)
    try:
        return coverage.check_thresholds(found, layers)
    except RequestError as error:
        raise RequestError(f"`thresholds`: {str(path)!r}: {error}") from error


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        content = file.read(_MAX_THRESHOLDS_BYTES + 1)
    if len(content) > _MAX_THRESHOLDS_BYTES:
        raise ValueError("the array is too large")
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _check_settings(path: Path, text: str, settings: Mapping[str, str]) -> None:
    """Refuses thresholds of other neurons than those that are counted.

    Raises:
        RequestError: They are, or nobody can tell.
    """
    found = records.parse(
        text,
        dict[str, Any],
        source=f"`thresholds`: {str(path)!r}: settings",
        advice="extract the thresholds again",
    )
    different = [
        f"with {name}={shown(str(found[name])[:_MAX_SHOWN])}, expected "
        f"{value[:_MAX_SHOWN]}"
        for name, value in settings.items()
        if name in found and found[name] != value
    ]
    if different:
        raise RequestError(
            f"`thresholds`: {str(path)!r} was fitted {'; '.join(different)}; name "
            "thresholds of the same settings, or leave them out"
        )

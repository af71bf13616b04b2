# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Manipulation traces of AMTENnet as pure functions of variables and pictures.

The trace F_mt is the error of AMTEN's predictor: `conv1(picture) − picture`. The reused
trace F_reu adds the outputs of the layers that follow. `extract` and `extract_reused`
are pure functions, so they can be transformed:
>>> import jax, numpy as np
>>> from fakedet_jax import traces
>>> from fakedet_jax.systems.networks.amtennet import Amten
>>> pictures = np.zeros((2, 16, 20, 3), np.uint8)
>>> shapes = jax.eval_shape(Amten().init, jax.random.key(0), pictures)
>>> variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
>>> jax.jit(traces.extract)(variables, pictures).shape
(2, 16, 20, 3)
>>> traces.pmap_extract(variables, pictures, reused=True).shape
(2, 16, 20, 12)

To use a mesh, give `jit_extract` pictures sharded along the batch, under
`jax.set_mesh`; `pmap_extract` spreads pictures over devices without a mesh.

References:
    Guo, Yang, Chen, Sun: see `amtennet`; section 3.1.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.report.traces import traces_figure
from fakedet_jax.runtime import platforms
from fakedet_jax.systems.features import Feature, FeatureFn, FeatureRequest
from fakedet_jax.systems.networks import amtennet

Variables = Mapping[str, Any]
Images = jax.Array | np.ndarray
_Extractor = Callable[[Variables, Images], jax.Array]


def extract(variables: Variables, images: Images) -> jax.Array:
    """Extracts the manipulation trace F_mt of each picture.

    Args:
        variables: Variables of `amtennet.AmtenNet`, `{"params": {"amten": …}}`, or of
            `amtennet.Amten` alone, `{"params": {"conv1": …}}`, in any variant that has
            a predictor; other entries are ignored.
        images: uint8 RGB `[batch, height, width, 3]`, of any size.

    Returns:
        float32 `[batch, height, width, 3]`: prediction minus picture, both in 0–255.
        Channels are red, green, blue, as in `images`, although the network itself
        takes blue, green, red.

    Raises:
        RequestError: The variables hold no extractor, or the images are no such array.
    """
    return _outputs(variables, images)["trace"][..., ::-1]


def extract_reused(variables: Variables, images: Images) -> jax.Array:
    """Extracts the reused trace F_reu, the input of the CNN after the extractor.

    Args:
        variables: As for `extract`.
        images: uint8 RGB `[batch, height, width, 3]`, of any size.

    Returns:
        float32 `[batch, height, width, 12]` in the network's order: conv5 (6 channels),
        conv3 (3), F_mt (3, here blue, green, red). Variants have other widths.

    Raises:
        RequestError: As for `extract`.
    """
    return _outputs(variables, images)["reused_trace"]


def jit_extract(
    variables: Variables, images: Images, *, reused: bool = False
) -> jax.Array:
    """Runs `extract`, compiled once for each shape of the images.

    Args:
        variables: As for `extract`.
        images: As for `extract`. An array sharded along the batch gives traces with the
            same sharding; set its mesh with `jax.set_mesh`, or CPUs gather the batch.
        reused: Whether to extract F_reu instead, as `extract_reused` does.

    Returns:
        The array that `extract` or `extract_reused` returns.

    Raises:
        RequestError: As for `extract`.
    """
    params = _extractor_params(variables)
    return _jitted(_function(reused))({"params": params}, images)


def pmap_extract(
    variables: Variables,
    images: Images,
    devices: Sequence[jax.Device] | None = None,
    *,
    reused: bool = False,
) -> jax.Array:
    """Runs `extract` by `jax.pmap`: each device takes an equal part of the batch.

    Args:
        variables: As for `extract`.
        images: As for `extract`, any number of them. The last part is padded with
            zeros, and their traces are dropped.
        devices: Devices of this process; all of them by default.
        reused: Whether to extract F_reu instead, as `extract_reused` does.

    Returns:
        The array that `extract` or `extract_reused` returns, equal to that of
        `jit_extract` up to float32 rounding. It stays spread over the devices where the
        batch divides evenly, and is on the first device otherwise.

    Raises:
        RequestError: As for `extract`.
    """
    params = _extractor_params(variables)
    _check_images(images)
    devices = tuple(jax.local_devices() if devices is None else devices)
    num_images = images.shape[0]
    per_device = -(-num_images // len(devices))
    missing = per_device * len(devices) - num_images
    if missing:
        xp = np if isinstance(images, np.ndarray) else jnp
        images = xp.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
    parts = images.reshape(len(devices), per_device, *images.shape[1:])
    mapped = _pmapped(_function(reused), devices)({"params": params}, parts)
    if not missing:
        return _merge_parts(mapped)
    # Indexing `mapped` would gather the whole array on every device.
    shards = sorted(mapped.addressable_shards, key=lambda shard: shard.index[0].start)
    traces = [jax.device_put(shard.data[0], devices[0]) for shard in shards]
    return jnp.concatenate(traces)[:num_images]


def _outputs(variables: Variables, images: Images) -> dict[str, jax.Array]:
    """Named outputs of the extractor, channel-last float32."""
    params = _extractor_params(variables)
    _check_images(images)
    values = amtennet.PREPROCESSING(jnp.asarray(images))
    extractor = amtennet.Amten(variant=amtennet.extractor_variant(params))
    _, out = extractor.apply({"params": params}, values)
    return {name: planes.transpose(0, 2, 3, 1) for name, planes in out.items()}


def _extractor_params(variables: Variables) -> Mapping[str, Any]:
    """The parameters of `amtennet.Amten` from its own or the whole network's."""
    params = variables.get("params") if isinstance(variables, Mapping) else None
    if isinstance(params, Mapping):
        params = params.get("amten", params)
        if isinstance(params, Mapping) and "conv1" in params:
            return params
        if "base" in variables["params"]:
            raise RequestError(
                "variables: this variant of AMTENnet has no predictor conv1 and so no "
                "manipulation trace; load a variant that has one, such as amten"
            )
    found = variables
    if isinstance(variables, Mapping):
        found = variables.get("params", variables)
    names = list(found) if isinstance(found, Mapping) else type(found).__name__
    raise RequestError(
        "variables: expected those of an AMTENnet, {'params': {'amten': …}}, or of its "
        f"extractor, {{'params': {{'conv1': …}}}}, found {names}; load an AMTENnet"
    )


def _check_images(images: Images) -> None:
    shape: tuple[int, ...] = getattr(images, "shape", ())
    dtype = getattr(images, "dtype", type(images))
    if len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8:
        raise RequestError(
            "images: expected a uint8 array [batch, height, width, 3] of RGB pictures, "
            f"found {dtype} {list(shape)}"
        )


def _function(reused: bool) -> _Extractor:
    return extract_reused if reused else extract


@functools.cache
def _jitted(function: _Extractor) -> _Extractor:
    return jax.jit(function)


@functools.cache
def _pmapped(function: _Extractor, devices: tuple[jax.Device, ...]) -> _Extractor:
    return jax.pmap(function, in_axes=(None, 0), devices=devices)


@jax.jit
def _merge_parts(parts: jax.Array) -> jax.Array:
    return parts.reshape(-1, *parts.shape[2:])


def features(variables: Variables, framing: Framing) -> Mapping[str, FeatureFn]:
    """The traces as a feature to extract.

    Args:
        variables: As for `extract`, on a mesh.
        framing: Of the network's input.

    Returns:
        `traces`, or nothing where the variables hold no extractor.
    """
    picture = jax.ShapeDtypeStruct((1, *framing.shape), np.uint8)
    try:
        shape = platforms.eval_shape(extract, variables, picture)
    except RequestError:
        return {}

    def traces(request: FeatureRequest) -> Feature:
        del request
        return Feature(
            compute=lambda images: jit_extract(variables, images),
            row_shape=shape.shape[1:],
            dtype=np.dtype(shape.dtype),
            layers=("trace",),
            draw=traces_figure,
        )

    return {"traces": traces}

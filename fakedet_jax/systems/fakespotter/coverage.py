# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Neuron coverage of a face-recognition network: thresholds and counts, pure.

A fake face lights up other neurons than a real one. The threshold ξ_l of layer l is
the mean of its neurons' outputs over all training pictures, real and fake (Eq. 1). The
coverage of a picture is, for each layer, the number of neurons above its threshold,
strictly (Eq. 2). (Wang, Juefei-Xu, Ma, Xie, Huang, Wang, Liu: "FakeSpotter: a simple
yet robust baseline for spotting AI-synthesized fake faces", IJCAI 2020,
arXiv 1909.06122.)

Any network will do that gives its embedding and its named layers' outputs:

>>> import flax.linen as nn, jax, numpy as np
>>> from fakedet_jax import coverage
>>> from fakedet_jax.media.framing import Framing
>>> from fakedet_jax.models.preprocessing import Preprocessing
>>> class Net(nn.Module):
...     @nn.compact
...     def __call__(self, images, *, train=False):
...         planes = nn.Conv(8, (3, 3), name="conv")(images)
...         embedding = nn.Dense(5, name="fc")(planes.mean((1, 2)))
...         return embedding, {"conv": planes, "fc": embedding}
>>> net = coverage.Coverage(Net(), Preprocessing(Framing.square(6)))
>>> net.layer_sizes
{'conv': 288, 'fc': 5}
>>> faces = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), np.uint8)
>>> variables = Net().init(jax.random.key(0), net.preprocessing(faces))

Two passes over pictures, of which everything may be jitted, vmapped and sharded:

>>> state = coverage.init_thresholds(len(net.layer_sizes))
>>> means = jax.jit(net.means)(variables, faces)
>>> state = coverage.update_thresholds(state, means, mask=np.ones(4, bool))
>>> thresholds = coverage.finish_thresholds(state)
>>> counts = jax.jit(net.counts)(variables, faces, thresholds)
>>> counts.shape, counts.dtype
((4, 2), dtype('int32'))
>>> coverage.features(counts, net.layer_sizes.values()).dtype
dtype('float32')

Over a mesh, give them pictures that are sharded along the batch, under `jax.set_mesh`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.errors import RequestError
from fakedet_jax.models import blocking
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import parallel, platforms, text

# What one neuron is; the paper leaves it open. "unit": every number in a layer's
# output. "channel": the mean of a feature over the plane, or over the tokens of an
# encoder, as in DeepXplore (Pei, Cao, Yang, Jana, SOSP 2017). Fully-connected layers
# are the same in both.
NEURONS = ("unit", "channel")

Variables = Mapping[str, Any]
Images = jax.Array | np.ndarray
Thresholds = jax.Array | np.ndarray | Sequence[float]

# CPUs add up so many slices of an array as fast as they read it; XLA's loops over
# longer axes take several times as long.
_MAX_SLICES = 16

# CPUs walk a batch in blocks of so many pictures, at most, on each device: outputs then
# stay in the cache, and the memory needed does not grow with the batch.
_BLOCK_SIZE = 4

# From a layer's outputs, float32 `[batch, ...]`, to `[batch]`.
_LayerFn = Callable[[jax.Array], jax.Array]

# An unevaluated sum of float32 arrays, the second some 2⁻²⁴ of the first: together
# they hold about twice the digits.
_TwoFloats = tuple[jax.Array, jax.Array]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The coverage of one network, as pure functions of variables and pictures.

    Layers are in network order wherever they are numbered. Under `jit` no output of a
    layer outlives its counting: no more memory is needed than for the network alone,
    and on CPUs, which take a few pictures at a time, much less.

    Attributes:
        module: `module.apply(variables, images, train=False) → (embedding, out)`, where
            `out` maps the layers' names, in network order, to outputs
            `[batch, height, width, features]`, `[batch, tokens, features]` or
            `[batch, features]` of any float dtype.
        preprocessing: Of the module's input.
        neuron: What is counted, one of `NEURONS`.

    Raises:
        RequestError: There is no such neuron.
    """

    module: nn.Module
    preprocessing: Preprocessing
    neuron: str = "unit"

    def __post_init__(self) -> None:
        if self.neuron not in NEURONS:
            raise RequestError(text.unknown("neuron", self.neuron, NEURONS))

    @functools.cached_property
    def layer_sizes(self) -> dict[str, int]:
        """Number of neurons of every layer, by name; nothing is computed for it."""
        # Noted while tracing: what leaves a transformation comes sorted by name.
        shapes: dict[str, tuple[int, ...]] = {}

        def note_shapes(pictures: jax.Array) -> None:
            images = self.preprocessing(pictures)
            key = jax.random.key(0)
            (_, out), _ = self.module.init_with_output(key, images, train=False)
            shapes.update({name: values.shape for name, values in out.items()})

        shape = (1, *self.preprocessing.framing.shape)
        platforms.eval_shape(note_shapes, jax.ShapeDtypeStruct(shape, jnp.uint8))
        if self.neuron == "channel":
            return {name: shape[-1] for name, shape in shapes.items()}
        return {name: math.prod(shape[1:]) for name, shape in shapes.items()}

    def means(self, variables: Variables, images: Images) -> jax.Array:
        """Averages each layer's neurons, picture by picture.

        The mean over channels of their spatial means is the mean over all units, so
        both kinds of neuron have the same means and thresholds.

        Args:
            variables: Of the module.
            images: uint8 RGB `[batch, height, width, 3]` of the network's input size.

        Returns:
            float32 `[batch, layers]`. On CPUs right to the last digits even where
            outputs of either sign cancel. Elsewhere each is a plain float32 sum, whose
            error is some millionths of the mean absolute output.

        Raises:
            RequestError: The images are no such array.
        """
        self._check_images(images)

        def on_cpus(images: jax.Array) -> jax.Array:
            outputs = self._outputs(variables, images)
            return _stack(_one_by_one(_mean_of_units, values) for values in outputs)

        def elsewhere(images: jax.Array) -> jax.Array:
            outputs = self._outputs(variables, images)
            return _stack(values.mean(_neuron_axes(values)) for values in outputs)

        return platforms.choose(
            jnp.asarray(images),
            cpu=functools.partial(_walk, on_cpus),
            default=elsewhere,
        )

    def counts(
        self, variables: Variables, images: Images, thresholds: Thresholds
    ) -> jax.Array:
        """Counts the neurons above their layer's threshold (Eq. 2).

        Args:
            variables: Of the module.
            images: uint8 RGB `[batch, height, width, 3]` of the network's input size.
            thresholds: float32 `[layers]`; a neuron counts if its output, as float32,
                is strictly greater.

        Returns:
            int32 `[batch, layers]`.

        Raises:
            RequestError: The images are no such array, or the thresholds belong to
                another network; `check_thresholds` checks more.
        """
        if not isinstance(thresholds, jax.Array):
            thresholds = check_thresholds(thresholds, self.layer_sizes)
        _check_length(thresholds, self.layer_sizes)
        self._check_images(images)

        def on_cpus(images: jax.Array) -> jax.Array:
            layers = zip(thresholds, self._outputs(variables, images), strict=True)
            return _stack(
                _one_by_one(functools.partial(self._count, threshold), values)
                for threshold, values in layers
            )

        def elsewhere(images: jax.Array) -> jax.Array:
            counts = [jnp.zeros(images.shape[0], jnp.int32)]
            layers = zip(thresholds, self._outputs(variables, images), strict=True)
            for threshold, values in layers:
                # Nothing less: GPUs would count the layers that are alike together,
                # and keep all of them until then.
                after = jnp.where(counts[-1] < 0, jnp.nan, threshold)
                counts.append(self._plain_count(after, values))
            return _stack(counts[1:])

        return platforms.choose(
            jnp.asarray(images),
            cpu=functools.partial(_walk, on_cpus),
            default=elsewhere,
        )

    def _outputs(self, variables: Variables, images: jax.Array) -> Iterator[jax.Array]:
        """The layers' outputs, float32, in network order."""
        values = self.preprocessing(images)
        _, out = self.module.apply(variables, values, train=False)
        return (values.astype(jnp.float32) for values in out.values())

    def _plain_count(self, thresholds: jax.Array, values: jax.Array) -> jax.Array:
        """How many are above thresholds `[batch]`, in one reduction.

        XLA fuses it with the layer itself.
        """
        if self.neuron == "channel" and values.ndim > 2:
            thresholds = thresholds * math.prod(values.shape[1:-1])
            values = values.sum(tuple(range(1, values.ndim - 1)))
        thresholds = thresholds.reshape(-1, *[1] * (values.ndim - 1))
        return (values > thresholds).sum(_neuron_axes(values), dtype=jnp.int32)

    def _count(self, threshold: jax.Array, values: jax.Array) -> jax.Array:
        neurons = values.reshape(values.shape[0], -1, values.shape[-1])
        if self.neuron == "channel":
            # The sums, against as many thresholds: XLA multiplies by reciprocals where
            # it should divide, and a mean of equal numbers may lie above them.
            threshold = threshold * neurons.shape[1]
            neurons = jnp.add(*_sum(neurons))
        return _count_above(neurons.reshape(neurons.shape[0], -1), threshold)

    def _check_images(self, images: Images) -> None:
        height, width, _ = shape = self.preprocessing.framing.shape
        found: tuple[int, ...] = getattr(images, "shape", ())
        dtype = getattr(images, "dtype", type(images))
        if len(found) != 4 or found[1:] != shape or dtype != np.uint8:
            raise RequestError(
                f"images: expected an array uint8 [batch, {height}, {width}, 3] of RGB "
                f"pictures, found {dtype} {list(found)}; resize them"
            )


@flax.struct.dataclass
class ThresholdState:
    """Sums over the pictures seen so far.

    Attributes:
        count: int32, number of pictures.
        total: float32 `[layers]`, sum of their means.
        compensation: float32 `[layers]`, what rounding took from `total`. Thanks to it
            neither the number of pictures nor their batching shows in the thresholds.
    """

    count: jax.Array
    total: jax.Array
    compensation: jax.Array


def init_thresholds(num_layers: int) -> ThresholdState:
    """No pictures so far.

    Args:
        num_layers: Number of layers of the network.
    """
    zeros = jnp.zeros(num_layers, jnp.float32)
    return ThresholdState(jnp.zeros((), jnp.int32), zeros, zeros)


def update_thresholds(
    state: ThresholdState, means: jax.Array, mask: jax.Array | np.ndarray
) -> ThresholdState:
    """Adds pictures, a pure function.

    Args:
        state: The sums so far.
        means: float32 `[batch, layers]`, as `Coverage.means` gives them.
        mask: bool `[batch]`; rows where it is false, such as the padding of the last
            batch, are left out, whatever they hold.

    Returns:
        The sums with these pictures.
    """
    mask = jnp.asarray(mask, bool)
    kept = jnp.where(mask[:, None], means, 0.0)
    high, low = _sum(kept[None])
    total, lost = _add_exactly(state.total, high[0])
    return ThresholdState(
        count=state.count + mask.sum(dtype=jnp.int32),
        total=total,
        compensation=state.compensation + (lost + low[0]),
    )


def finish_thresholds(state: ThresholdState) -> np.ndarray:
    """The thresholds ξ (Eq. 1).

    Args:
        state: The sums over all training pictures.

    Returns:
        float32 `[layers]`.

    Raises:
        RequestError: There were no pictures, or the network gave numbers that are not
            finite.
    """
    count = int(parallel.to_host(state.count))
    if not count:
        raise RequestError(
            "thresholds: expected at least one training picture, found none that can "
            "be used; check `data_dir` and `split`"
        )
    total = parallel.to_host(state.total).astype(np.float64)
    thresholds = (total + parallel.to_host(state.compensation)) / count
    if not np.isfinite(thresholds).all():
        numbers = (1 + np.flatnonzero(~np.isfinite(thresholds))).tolist()
        raise RequestError(
            "thresholds: expected finite outputs of the network, found others in its "
            f"layers number {numbers}; check `weights`"
        )
    return thresholds.astype(np.float32)


def check_thresholds(thresholds: Thresholds, layers: Iterable[str]) -> np.ndarray:
    """Checks thresholds from elsewhere, such as a file, before they are used.

    Args:
        thresholds: Numbers, any shape.
        layers: Names of the network's layers, in network order.

    Returns:
        float32 `[layers]`.

    Raises:
        RequestError: They are not one finite number for each layer.
    """
    try:
        checked = np.asarray(thresholds, np.float32)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"thresholds: expected an array of numbers, found {type(thresholds)}; give "
            "the array `thresholds` that `features=coverage` writes"
        ) from error
    names = list(layers)
    _check_length(checked, names)
    if not np.isfinite(checked).all():
        wrong = [names[index] for index in np.flatnonzero(~np.isfinite(checked))]
        raise RequestError(
            "thresholds: expected finite numbers, found others for the layers "
            f"{', '.join(wrong)}; compute them again"
        )
    return checked


def features(counts: jax.Array | np.ndarray, sizes: Iterable[int]) -> jax.Array:
    """Counts as shares of their layers, which makes layers comparable.

    Args:
        counts: Integers `[..., layers]`.
        sizes: Number of neurons of each layer, the values of `Coverage.layer_sizes`.

    Returns:
        float32 `[..., layers]`, from 0 to 1.
    """
    return jnp.asarray(counts, jnp.float32) / np.asarray(list(sizes), np.float32)


def _check_length(thresholds: jax.Array | np.ndarray, layers: Iterable[str]) -> None:
    names = list(layers)
    if thresholds.shape != (len(names),):
        raise RequestError(
            f"thresholds: expected {len(names)} numbers, one for each layer from "
            f"{names[0]} to {names[-1]}, found shape {list(thresholds.shape)}; give "
            "thresholds that were computed with the same `backbone`"
        )


def _walk(function: _LayerFn, images: jax.Array) -> jax.Array:
    """Applies a function of `[batch, ...]` block by block, all devices at once."""
    shards = blocking.split_blocks(images)
    num_shards, shard_size, *shape = shards.shape
    # A batch of any size, as exported programs have, has no common divisor but one.
    is_known = isinstance(shard_size, int)
    size = math.gcd(shard_size, _BLOCK_SIZE) if is_known else 1
    blocks = shards.reshape(num_shards, shard_size // size, size, *shape)
    walk = functools.partial(lax.map, function)
    # Vectorising over one device would still transpose what the inner loops take.
    walked = jax.vmap(walk)(blocks) if num_shards > 1 else walk(blocks[0])
    return walked.reshape(images.shape[0], -1)


def _one_by_one(function: _LayerFn, values: jax.Array) -> jax.Array:
    """Applies a function of `[batch, ...]` to one picture at a time.

    XLA does not fuse the layer into a loop. Without it, a CPU would compute depthwise
    convolutions once for the next layer and again, number by number, for the count.
    """
    return lax.map(lambda picture: function(picture[None])[0], values)


def _count_above(neurons: jax.Array, threshold: jax.Array | np.float32) -> jax.Array:
    """How many of `[batch, neurons]` are above, int32 `[batch]`."""
    above = _cut(neurons) > threshold
    partial = above.sum(1, dtype=jnp.int32)
    # Without the barrier XLA merges the two sums into a slow one over everything.
    return lax.optimization_barrier(partial).sum(1)


def _neuron_axes(values: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, values.ndim))


def _stack(columns: Iterable[jax.Array]) -> jax.Array:
    return jnp.stack(list(columns), axis=1)


def _mean_of_units(values: jax.Array) -> jax.Array:
    return _mean(values.reshape(values.shape[0], -1))


def _mean(values: jax.Array) -> jax.Array:
    """Mean over axis 1 of `[batch, n, ...]`."""
    high, low = _sum(values)
    return (high + low) / values.shape[1]


def _sum(values: jax.Array) -> _TwoFloats:
    """Sum over axis 1 of float32 `[batch, n, ...]`, without the rounding of its steps.

    Sums of a few slices at a time, each with its rounding error carried along (Ogita,
    Rump, Oishi: "Accurate sum and dot product", 2005).
    """
    zero = np.float32(0)

    def add_slices(high: jax.Array, low: jax.Array) -> _TwoFloats:
        return lax.reduce((high, low), (zero, zero), _add_two_floats, (1,))

    high, low = values, jnp.zeros_like(values)
    while high.shape[1] > _MAX_SLICES:
        high, low = add_slices(_cut(high), _cut(low))
    return add_slices(high, low)


def _add_two_floats(left: _TwoFloats, right: _TwoFloats) -> _TwoFloats:
    high, lost = _add_exactly(left[0], right[0])
    return high, left[1] + right[1] + lost


def _add_exactly(left: jax.Array, right: jax.Array) -> _TwoFloats:
    """The float32 sum and its rounding error (Knuth's two-sum)."""
    total = left + right
    right_part = total - left
    left_part = total - right_part
    return total, (left - left_part) + (right - right_part)


def _cut(values: jax.Array) -> jax.Array:
    """`[batch, n, ...]` as `[batch, slices, n / slices, ...]`, a few slices if any."""
    batch, size, *rest = values.shape
    divisors = (d for d in range(_MAX_SLICES, 1, -1) if size % d == 0)
    num_slices = next(divisors, size)
    return values.reshape(batch, num_slices, size // num_slices, *rest)

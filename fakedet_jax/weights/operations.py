# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Names the arrays of an ONNX network by the order of its operations.

Programs that export a network join the normalisation behind a convolution with it, and
call what results by a number. The operations still come in the order of the network,
so that each convolution, normalisation, PReLU and fully-connected layer can be found by
its place. A joined normalisation becomes one that adds what the convolution adds.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.models.parameters import Layer
from fakedet_jax.weights.tensors import Operation, TensorFile, shown

# Operations with arrays, by the kind of the layer.
_KINDS = {
    "conv": "Conv",
    "norm": "BatchNormalization",
    "prelu": "PRelu",
    "dense": "Gemm",
}
_NORM = ("weight", "bias", "running_mean", "running_var")


def by_order(
    layers: Sequence[Layer], tensor_file: TensorFile, epsilon: float, network: str
) -> TensorFile:
    """The arrays of an ONNX file by PyTorch's names.

    Args:
        layers: The layers of the network, in network order.
        tensor_file: The file, with its operations.
        epsilon: What the normalisations of the network add to the variance.
        network: Name of the network for error messages.

    Returns:
        The file as it is if its arrays have the names already; otherwise with the names
        of the layers.

    Raises:
        RequestError: The operations are not those of the network.
    """
    names = {layer.torch for layer in layers}
    if names <= {name.rpartition(".")[0] for name in tensor_file.tensors}:
        return tensor_file
    operations = [
        operation
        for operation in tensor_file.operations
        if operation.kind in _KINDS.values()
    ]
    tensors = dict(_named(layers, operations, tensor_file, epsilon, network))
    note = f"{len(operations)} operations matched by their order"
    return dataclasses.replace(
        tensor_file, tensors=tensors, notes=(*tensor_file.notes, note)
    )


def _named(
    layers: Sequence[Layer],
    operations: Sequence[Operation],
    tensor_file: TensorFile,
    epsilon: float,
    network: str,
) -> Iterator[tuple[str, np.ndarray]]:
    def refuse(reason: str) -> RequestError:
        return RequestError(
            f"`weights`: {str(tensor_file.path)!r} is not {network}: {reason}; give an "
            "ONNX file of this network"
        )

    rest = list(reversed(operations))
    joined: np.ndarray | None = None
    for layer in layers:
        if layer.kind == "norm" and joined is not None:
            # Scaled so that dividing by the deviation changes nothing.
            scale = np.full(joined.shape, math.sqrt(1 + epsilon), np.float32)
            zeros, ones = np.zeros_like(joined), np.ones_like(joined)
            parts = (scale, joined, zeros, ones)
            for leaf, array in zip(_NORM, parts, strict=True):
                yield f"{layer.torch}.{leaf}", array
            joined = None
            continue
        expected = _KINDS[layer.kind]
        operation = rest.pop() if rest else None
        if operation is None or operation.kind != expected:
            found = "the end" if operation is None else operation.kind
            raise refuse(f"expected {expected} for {layer.torch}, found {found}")
        missing = [n for n in operation.arrays if n not in tensor_file.tensors]
        if missing:
            raise refuse(
                f"the array {shown(missing[0][:80])} of an operation is computed"
            )
        arrays = tuple(tensor_file.tensors[name] for name in operation.arrays)
        if layer.kind == "norm":
            if not math.isclose(operation.epsilon, epsilon, rel_tol=1e-3):
                raise refuse(
                    f"{layer.torch} adds {operation.epsilon:g} to the variance"
                )
            for leaf, array in zip(_NORM, arrays, strict=True):
                yield f"{layer.torch}.{leaf}", array
        elif layer.kind == "prelu":
            yield f"{layer.torch}.weight", arrays[0].reshape(-1)
        else:
            is_product = layer.kind == "dense" and operation.is_transposed
            weight = arrays[0].T if is_product else arrays[0]
            yield f"{layer.torch}.weight", weight
            if layer.bias and len(arrays) > 1:
                yield f"{layer.torch}.bias", arrays[1]
            elif len(arrays) > 1:
                joined = np.asarray(arrays[1], np.float32)
    if rest:
        raise refuse(f"it goes on with {rest[-1].kind} behind {layers[-1].torch}")

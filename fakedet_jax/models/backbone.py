# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The type of a backbone: a face-recognition network or an image encoder."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# Where the output of a layer is taken: directly behind the layer, or behind the
# normalisation and the non-linearity that follow it.
SITES = ("layer", "activation")


@dataclasses.dataclass(frozen=True)
class PackagedWeights:
    """Weights that a package of the Python Package Index carries as a data file.

    Attributes:
        distributions: Names of packages that carry the file, the preferred one first.
        extra: Extra of this project that installs the preferred one.
        file: Path of the file below the folder of installed packages.
        sha256: Hash of the file, hexadecimal; a package with another one is refused.
    """

    distributions: tuple[str, ...]
    extra: str
    file: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network that turns faces into embeddings.

    Attributes:
        name: Value of the setting `backbone` that selects it.
        build: `(dtype, site) → module`, where `site` is one of `SITES` and the module
            maps `(images, *, train=False)` to `(embedding, out)`. `images` are float
            `[batch, height, width, 3]`, preprocessed; the embedding is float32
            `[batch, features]`; `out` maps the names of all convolutional and
            fully-connected layers, in network order, to their outputs, channel-last;
            those of encoders are `[batch, tokens, width]`, also of whole blocks.
        preprocessing: Preprocessing of the input.
        layers: All layers with parameters, with their names in published files.
        embedding: Description of the embedding: layer, size and scale.
        packaged: Weights that are used where the user names none; None where no
            package has them.
        unused: Patterns of names in published files that belong to no layer here, such
            as a classifier behind the embedding.
        onnx_epsilon: Of a network that is also published as ONNX, what its
            normalisations add to the variance; None for others.
        layouts: `layers` again, with the names in files of other publishers.
        size: Of an encoder, its size; None for others.
        sizes: Of an encoder, all known sizes of its family, so that files of another
            one can be told.
    """

    name: str
    build: Callable[[Any, str], nn.Module]
    preprocessing: Preprocessing
    layers: tuple[Layer, ...]
    embedding: str
    packaged: PackagedWeights | None = None
    unused: tuple[str, ...] = ()
    onnx_epsilon: float | None = None
    layouts: tuple[tuple[Layer, ...], ...] = ()
    size: EncoderSize | None = None
    sizes: tuple[EncoderSize, ...] = ()

    def without_projection(self) -> "Backbone":
        """The same encoder, whose embedding is what others project.

        Raises:
            ValueError: It is no encoder.
        """
        if self.size is None:
            raise ValueError(f"{self.name} is no encoder")
        if not self.size.features:
            return self
        build, size = self.build, dataclasses.replace(self.size, features=0)

        def shorter(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
            return tuple(one for one in layers if one.name != "projection")

        return dataclasses.replace(
            self,
            build=lambda dtype, site: build(dtype, site).clone(size=size),
            layers=shorter(self.layers),
            layouts=tuple(map(shorter, self.layouts)),
            embedding=f"what {self.name} projects, not of unit length",
            size=size,
        )

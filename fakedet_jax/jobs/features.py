# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What `mode=extract` can extract: the features, and the networks they come from."""

import dataclasses
import io
import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import report, systems
from fakedet_jax.config import DataConfig, ExtractConfig, InputConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.runtime import checkpoint, parallel, records
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter import system as fakespotter
from fakedet_jax.systems.fakespotter.counts import CountSettings, NeuronCounter
from fakedet_jax.systems.networks import traces
from fakedet_jax.weights import store
from fakedet_jax.weights.tensors import shown

_LOGGER = logging.getLogger(__name__)

_MAX_THRESHOLDS_BYTES = 2**20
# Enough to tell digests of weights apart.
_MAX_SHOWN = 24

# uint8 `[batch, height, width, 3]`, and bool `[batch]`: which rows are pictures.
MaskedBatch = tuple[np.ndarray, np.ndarray]
OpenFn = Callable[[], Iterator[MaskedBatch]]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of pictures, ready to be computed.

    Attributes:
        compute: Compiled, from uint8 `[batch, height, width, 3]` on the mesh to
            `[batch, …]`.
        row_shape: Of the features of one picture.
        dtype: Of the features.
        layers: Names of the layers that they come from.
        layer_sizes: Neurons of each layer, where neurons are counted.
        thresholds: float32 `[layers]`, where neurons are counted.
        settings: What the network and its neurons are, for JSON; thresholds that were
            fitted with others do not fit.
        draw: From a picture, its features and a title to a PNG file, if it can be
            drawn.
    """

    compute: Callable[[jax.Array], jax.Array]
    row_shape: tuple[int, ...]
    dtype: np.dtype
    layers: tuple[str, ...]
    layer_sizes: tuple[int, ...] = ()
    thresholds: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.float32)
    )
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    draw: Callable[[np.ndarray, np.ndarray, str], bytes] | None = None


class Network(Protocol):
    """A network that features come from."""

    @property
    def framing(self) -> Framing:
        """Of its input."""

    @property
    def training_data(self) -> DataConfig | None:
        """The pictures it was trained on, None where nobody knows."""

    def feature(self, open_batches: OpenFn) -> Feature:
        """Gets the feature ready.

        Args:
            open_batches: Starts to read the pictures, for features that depend on all
                of them.
        """


def open_network(config: ExtractConfig, mesh: Mesh) -> Network:
    """Loads the network that the asked feature comes from.

    Raises:
        RequestError: The settings or the network are not as expected.
    """
    if config.features not in _NETWORKS:
        raise RequestError(
            f"`features`: expected {', '.join(_NETWORKS)}, found {config.features!r}"
        )
    if config.backbone is not None and config.workdir is not None:
        raise RequestError(
            "`workdir`, `backbone`: the network comes from one of them; leave the "
            "other out"
        )
    for name in ("neuron", "site", "dtype"):
        changed = getattr(config, name) != getattr(ExtractConfig, name)
        if changed and config.backbone is None:
            raise RequestError(
                f"`{name}`: it belongs to a `backbone`; a `workdir` has its own; leave "
                "it out"
            )
    if config.weights is not None and config.backbone is None:
        raise RequestError(
            "`weights`: they belong to a `backbone`, found none; name it, or leave "
            "them out"
        )
    if config.thresholds is not None and config.features != "coverage":
        raise RequestError(
            f"`thresholds`: `features={config.features}` counts nothing; leave it out"
        )
    return _NETWORKS[config.features](config, mesh)


class _Traces:
    """AMTEN's manipulation traces."""

    def __init__(self, config: ExtractConfig, mesh: Mesh) -> None:
        workdir = _workdir(config, "amtennet")
        self._detector = systems.load(workdir, mesh)
        self.framing = self._detector.info.framing
        self.training_data = _training_data(workdir)
        picture = jax.ShapeDtypeStruct((1, *self.framing.shape), np.uint8)
        try:
            shape = jax.eval_shape(
                traces.jit_extract, self._detector.variables, picture
            )
        except RequestError as error:
            raise RequestError(
                f"`features`: the detector {self._detector.info.detector!r} of "
                f"`workdir` has no {config.features}; expected the workdir of amtennet"
            ) from error
        self._shape = shape

    def feature(self, open_batches: OpenFn) -> Feature:
        del open_batches
        variables = self._detector.variables
        return Feature(
            compute=lambda images: traces.jit_extract(variables, images),
            row_shape=self._shape.shape[1:],
            dtype=np.dtype(self._shape.dtype),
            layers=("trace",),
            draw=report.traces_figure,
        )


class _Recognition:
    """A recognition network, of a FakeSpotter or by itself."""

    def __init__(self, config: ExtractConfig, mesh: Mesh) -> None:
        self._mesh = mesh
        self._thresholds: np.ndarray | None = None
        self.training_data: DataConfig | None = None
        if config.backbone is not None:
            self._settings = CountSettings(
                backbones.create(config.backbone),
                config.neuron,
                config.site,
                config.dtype,
            )
            if config.weights is None:
                raise RequestError(
                    f"`weights`: `backbone={config.backbone}` needs its weights; name "
                    "a published file, or a folder that `mode=convert` wrote"
                )
            variables, card = store.load(self._settings.backbone, config.weights)
            digest = card["digest"]
            self._variables = parallel.replicate(mesh, variables)
        else:
            workdir = _workdir(
                config, "fakespotter or exif_anomaly, or `backbone` and `weights`"
            )
            self._settings, _ = fakespotter.read_settings(workdir)
            digest = checkpoint.read_config(workdir)["weights"]
            fitted = systems.load(workdir, mesh)
            self._variables = fitted.variables["backbone"]
            self._thresholds = parallel.to_host(fitted.variables["thresholds"])
            self.training_data = _training_data(workdir)
        self.framing = self._settings.backbone.preprocessing.framing
        self.described = {
            "backbone": self._settings.backbone.name,
            "weights": digest,
            "neuron": self._settings.neuron,
            "site": self._settings.site,
            "dtype": self._settings.dtype,
        }

    def _jit(self, function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        return jax.jit(function, out_shardings=parallel.batch_sharding(self._mesh))


class _Coverage(_Recognition):
    """Neuron counts."""

    def __init__(self, config: ExtractConfig, mesh: Mesh) -> None:
        super().__init__(config, mesh)
        self._fitted_on = f"this very split ({config.split})"
        if config.paths:
            self._fitted_on = "these very files"
        self._is_training_data = not config.paths and config.split == "train"
        if config.thresholds is not None:
            layers = self._settings.network.layer_sizes
            self._thresholds = _read_thresholds(
                config.thresholds, layers, self.described
            )

    def feature(self, open_batches: OpenFn) -> Feature:
        network = self._settings.network
        sizes = network.layer_sizes
        thresholds = self._thresholds
        if thresholds is None:
            self._announce_fit()
            counter = NeuronCounter(
                self._settings,
                self._variables,
                self._mesh,
                batch_size=self._mesh.size,
                reading=InputConfig(),
            )
            thresholds = counter.thresholds_of(open_batches())
        placed = parallel.replicate(self._mesh, thresholds)
        compiled = self._jit(network.counts)
        return Feature(
            compute=lambda images: compiled(self._variables, images, placed),
            row_shape=(len(sizes),),
            dtype=np.dtype(np.int32),
            layers=tuple(sizes),
            layer_sizes=tuple(sizes.values()),
            thresholds=thresholds,
            settings=self.described,
        )

    def _announce_fit(self) -> None:
        if self._is_training_data:
            _LOGGER.info("fitting the thresholds on these pictures")
            return
        # Eq. 1 takes the training pictures: others must not leak into their own counts.
        _LOGGER.warning(
            "the thresholds are fitted on %s, so the counts depend on which pictures "
            "are counted together; for pictures to be judged, extract `split=train` "
            "first and name its features.npz with `thresholds`",
            self._fitted_on,
        )


class _Embedding(_Recognition):
    """What the network itself makes of a face."""

    def feature(self, open_batches: OpenFn) -> Feature:
        del open_batches
        network = self._settings.network

        def embed(variables: Any, images: jax.Array) -> jax.Array:
            pictures = network.preprocessing(images)
            embedding, _ = network.module.apply(variables, pictures, train=False)
            return embedding

        picture = jax.ShapeDtypeStruct((1, *self.framing.shape), np.uint8)
        shape = jax.eval_shape(embed, self._variables, picture)
        compiled = self._jit(embed)
        return Feature(
            compute=lambda images: compiled(self._variables, images),
            row_shape=shape.shape[1:],
            dtype=np.dtype(shape.dtype),
            layers=("embedding",),
            settings=self.described,
        )


class _AnomalyEmbedding:
    """What a detector of anomalies fits its mixture to."""

    def __init__(self, config: ExtractConfig, mesh: Mesh) -> None:
        workdir = _workdir(config, "exif_anomaly")
        self._mesh = mesh
        self._detector = systems.load(workdir, mesh)
        self.framing = self._detector.info.framing
        self.training_data = _training_data(workdir)

    def feature(self, open_batches: OpenFn) -> Feature:
        del open_batches
        variables, parts = self._detector.variables, self._detector.anomaly
        assert parts is not None
        picture = jax.ShapeDtypeStruct((1, *self.framing.shape), np.uint8)
        shape = jax.eval_shape(parts.embed, variables, picture)
        compiled = jax.jit(
            parts.embed, out_shardings=parallel.batch_sharding(self._mesh)
        )
        return Feature(
            compute=lambda images: compiled(variables, images),
            row_shape=shape.shape[1:],
            dtype=np.dtype(shape.dtype),
            layers=("embedding",),
            settings={"embedding": str(self._detector.info.details["embedding"])},
        )


def _open_embedding(config: ExtractConfig, mesh: Mesh) -> Network:
    if config.backbone is None and config.workdir is not None:
        found = checkpoint.read_config(config.workdir).get("detector")
        if found == "exif_anomaly":
            return _AnomalyEmbedding(config, mesh)
    return _Embedding(config, mesh)


_NETWORKS: dict[str, Callable[[ExtractConfig, Mesh], Network]] = {
    "traces": _Traces,
    "coverage": _Coverage,
    "embedding": _open_embedding,
}


def _workdir(config: ExtractConfig, what: str) -> Path:
    if config.workdir is None:
        raise RequestError(
            f"`workdir`: `features={config.features}` needs the workdir of {what}, "
            "found none"
        )
    return config.workdir


def _training_data(workdir: Path) -> DataConfig:
    return DataConfig.from_settings(checkpoint.read_config(workdir))


def _read_thresholds(
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

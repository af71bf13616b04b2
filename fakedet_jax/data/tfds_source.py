# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Random access to datasets that TFDS has built, without TensorFlow."""

import abc
import contextlib
import dataclasses
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.data.dataset import Record


@dataclasses.dataclass(frozen=True, repr=False)
class TfdsSource(abc.ABC):
    """Random access to one split of a built dataset.

    Files are opened when they are first read, in every process anew. The `repr` of a
    subclass says which dataset it is and not where it lies, so that a dataset which
    was moved is still the same one.

    Attributes:
        data_dir: Where the dataset was built.
        split: `train`, `validation`, `test` or `all`.
    """

    data_dir: Path
    split: str

    @property
    @abc.abstractmethod
    def _builder(self) -> Any:
        """The TFDS builder of the dataset, which is there."""

    def __len__(self) -> int:
        return len(self._serialized)

    def __getitem__(self, index: int) -> Record:
        example = self._parse(self._record_features, self._at(index))
        return Record(
            encoded=example["image"],
            label=int(example["label"]),
            name=to_text(example["name"]),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def example(self, index: int) -> dict[str, Any]:
        """Returns all features of an example; `image` as encoded bytes, text as `str`.

        Raises:
            IndexError: `index` is not in `[0, len(self))`.
        """
        example = self._parse(self._builder.info.features, self._at(index))
        return {
            name: to_text(value) if _is_text(name, value) else value
            for name, value in example.items()
        }

    @functools.cached_property
    def index(self) -> tuple[list[str], np.ndarray]:
        """Names and int32 labels of all examples, read without decoding pictures."""
        columns = self.columns("name", "label")
        names = [to_text(name) for name in columns["name"]]
        return names, np.array(columns["label"], np.int32)

    def columns(self, *features: str) -> dict[str, list[Any]]:
        """Reads some features of all examples at once, each several times faster.

        Args:
            features: Their names.

        Returns:
            By name, the values in the order of the examples: texts and pictures as
            bytes, all else as TFDS gives them.
        """
        wanted = self._select(features)
        found: dict[str, list[Any]] = {name: [] for name in features}
        for start in range(0, len(self), _READ_AHEAD):
            chunk = range(start, min(start + _READ_AHEAD, len(self)))
            for serialized in self._serialized.__getitems__(chunk):
                example = self._parse(wanted, serialized)
                for name, values in found.items():
                    values.append(example[name])
        return found

    def _at(self, index: int) -> bytes:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self!r} has no example {index}")
        serialized: bytes = self._serialized[index]
        return serialized

    def _parse(self, features: Any, serialized: bytes) -> dict[str, Any]:
        # TFDS refuses a decoder of what is not asked for.
        decoders = self._decoders if "image" in features else None
        example: dict[str, Any] = features.deserialize_example_np(
            serialized, decoders=decoders
        )
        return example

    @functools.cached_property
    def _serialized(self) -> Any:
        import tensorflow_datasets as tfds

        return self._builder.as_data_source(
            split=self.split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )

    @functools.cached_property
    def _decoders(self) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"image": tfds.decode.SkipDecoding()}

    @functools.cached_property
    def _record_features(self) -> Any:
        """Only what a record holds, which is parsed several times faster."""
        return self._select(_RECORD)

    def _select(self, names: Sequence[str]) -> Any:
        import tensorflow_datasets as tfds

        features = self._builder.info.features
        return tfds.features.FeaturesDict({name: features[name] for name in names})


_RECORD = ("image", "label", "name")
_READ_AHEAD = 256


def to_text(value: bytes) -> str:
    """What TFDS gives for a text; bytes that are not UTF-8 become lone surrogates."""
    return value.decode("utf-8", "surrogateescape")


def is_complete(builder_dir: str | Path) -> bool:
    """Whether a folder of TFDS holds a dataset that is whole."""
    # TFDS writes into a folder of another name and renames it at the very end.
    return (Path(builder_dir) / "dataset_info.json").is_file()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TFDS from writing to standard output and from showing progress bars.

    Standard output belongs to the results of a command, and the bars know no totals.
    """
    from tensorflow_datasets.core.utils import tqdm_utils

    # TFDS can set this in public but not tell it.
    shown = getattr(tqdm_utils, "_active", True)
    tqdm_utils.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        if shown:
            tqdm_utils.enable_progress_bar()


def _is_text(name: str, value: Any) -> bool:
    return isinstance(value, bytes) and name != "image"

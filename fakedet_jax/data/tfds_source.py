# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Random access to datasets built by TFDS, without TensorFlow."""

import abc
import contextlib
import dataclasses
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fakedet_jax.data.dataset import Record
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import text


@dataclasses.dataclass(frozen=True, repr=False)
class TfdsSource(abc.ABC):
    """Random access to one split of a built dataset.

    Each process opens the files when it first reads them. The `repr` of a subclass
    identifies the dataset but not its folder, so that it can be moved.

    Attributes:
        data_dir: Folder in which the dataset was built.
        split: `train`, `validation`, `test` or `all`.
    """

    data_dir: Path
    split: str

    @property
    @abc.abstractmethod
    def _builder(self) -> Any:
        """The TFDS builder of the dataset, which exists on disk."""

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
        """Reads all features of an example.

        Args:
            index: Index of the example in this split.

        Returns:
            The features by name: `image` as encoded bytes, text as `str`, others as
            TFDS gives them.

        Raises:
            IndexError: `index` is not in `[0, len(self))`.
            RequestError: The file of the example is missing or damaged.
        """
        example = self._parse(self._builder.info.features, self._at(index))
        for name, value in example.items():
            if isinstance(value, bytes) and name != "image":
                example[name] = to_text(value)
        return example

    def columns(self, *features: str) -> dict[str, list[Any]]:
        """Reads some features of all examples, several times faster than `example`.

        Args:
            *features: Names of the features.

        Returns:
            For each feature its values in the order of the examples: texts and pictures
            as bytes, others as TFDS gives them.
        """
        wanted = self._select(features)
        found: dict[str, list[Any]] = {name: [] for name in features}
        for start in range(0, len(self), _READ_AHEAD):
            chunk = range(start, min(start + _READ_AHEAD, len(self)))
            with self._naming_files(chunk):
                examples = self._serialized.__getitems__(chunk)
            for serialized in examples:
                example = self._parse(wanted, serialized)
                for name, values in found.items():
                    values.append(example[name])
        return found

    def _at(self, index: int) -> bytes:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self!r} has no example {index}")
        with self._naming_files(range(index, index + 1)):
            return self._serialized[index]

    @contextlib.contextmanager
    def _naming_files(self, chunk: range) -> Iterator[None]:
        """Names the files of some examples if these cannot be read."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            files = []
            start = 0
            for part in self._builder.info.splits[self.split].file_instructions:
                if start < chunk.stop and start + part.take > chunk.start:
                    files.append(Path(part.filename))
                start += part.take
            missing = [file for file in files if not file.is_file()]
            names = ", ".join(str(file) for file in (missing or files)[:_MAX_FILES])
            raise RequestError(
                f"`data_dir`: {names} is missing or damaged ({text.one_line(error)}); "
                "copy this file again from where the dataset was made, or delete "
                f"{str(files[0].parent) if files else 'the dataset'} and make it again"
            ) from error

    def _parse(self, features: Any, serialized: bytes) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        # TFDS refuses decoders of features that are not read.
        decoders = {"image": tfds.decode.SkipDecoding()} if "image" in features else {}
        return features.deserialize_example_np(serialized, decoders=decoders)

    @functools.cached_property
    def _serialized(self) -> Any:
        import tensorflow_datasets as tfds

        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        with self._naming_files(range(_ALL)):
            return self._builder.as_data_source(
                split=self.split, deserialize_method=raw
            )

    @functools.cached_property
    def _record_features(self) -> Any:
        """Only the features of a `Record`, which are parsed several times faster."""
        return self._select(_RECORD)

    def _select(self, names: Sequence[str]) -> Any:
        import tensorflow_datasets as tfds

        features = self._builder.info.features
        return tfds.features.FeaturesDict({name: features[name] for name in names})


_RECORD = ("image", "label", "name")
_READ_AHEAD = 256
# More examples than any dataset has.
_ALL = 2**62
_MAX_FILES = 3


def to_text(value: bytes) -> str:
    """Decodes a text feature; bytes that are not UTF-8 become surrogate escapes."""
    return value.decode("utf-8", "surrogateescape")


def is_complete(builder_dir: str | Path) -> bool:
    """Whether a folder contains a dataset that TFDS has finished."""
    # TFDS writes to a folder with another name and renames it at the end.
    return (Path(builder_dir) / "dataset_info.json").is_file()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TFDS from writing to standard output and from showing progress bars.

    Standard output is reserved for results, and the bars show no totals.
    """
    from tensorflow_datasets.core.utils import tqdm_utils

    # TFDS has a public function to set this, and none to read it.
    shown = getattr(tqdm_utils, "_active", True)
    tqdm_utils.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        if shown:
            tqdm_utils.enable_progress_bar()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder of face crops; it does not need TensorFlow.

`mode=prepare` finds and crops the faces, and gives them to the builder. Examples keep
their order: by file path, then by frame, then by face.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from fakedet_jax.data.layouts import Layout
from fakedet_jax.data.prepared.contents import Contents, Shard
from fakedet_jax.data.prepared.loading import VERSION


class FacesBuilder(
    tfds.core.ShardBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Face crops of photographs or videos of one dataset, stored without loss.

    Args:
        layout: The layout of the dataset.
        contents: The content to write; None only reads.
        **kwargs: See `tfds.core.ShardBasedBuilder`.
    """

    VERSION = tfds.core.Version(VERSION)
    RELEASE_NOTES = {  # noqa: RUF012
        "1.0.0": "First release.",
        "1.1.0": "Settings of the camera.",
    }

    def __init__(
        self, *, layout: Layout, contents: Contents | None = None, **kwargs: Any
    ) -> None:
        self.name = layout.name
        self._contents = contents
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text
        scalar = tfds.features.Scalar
        contents = self._contents
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Faces cut out of photographs or of the frames of videos. Boxes are "
                "left, top, right, bottom in pixels of the upright source picture; "
                "landmarks are (x, y) in pixels of the crop: right eye, left eye, nose "
                "tip, right and left corner of the mouth, NaN where unknown. Exif are "
                "ISO, f-number, exposure time in seconds and focal length in "
                "millimetres, NaN where missing."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(
                        names=list(contents.classes) if contents else None
                    ),
                    "name": text(),
                    "path": text(),
                    "video": text(),
                    "frame": scalar(np.int64),
                    "time": scalar(np.float32),
                    "face": scalar(np.int64),
                    "identity": text(),
                    "manipulation": text(),
                    "quality": text(),
                    "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    "crop_box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    "landmarks": tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
                    "exif": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    "detector_score": scalar(np.float32),
                    "source_width": scalar(np.int64),
                    "source_height": scalar(np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(contents.metadata) if contents else None,
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        del dl_manager  # Nothing is downloaded.
        if self._contents is None:
            raise ValueError(f"{self.name}: there is nothing to write")
        return self._contents.shards

    def _example_writer(self) -> ExampleWriter:
        return _OrderedWriter(self.info.file_format)


class _OrderedWriter(ExampleWriter):
    """Writes equal examples as equal bytes.

    Features are a map, which protocol buffers write in any order by default.
    """

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        return super().write(
            path,
            (
                (
                    key,
                    tf_example_pb2.Example.FromString(serialized).SerializeToString(
                        deterministic=True
                    ),
                )
                for key, serialized in examples
            ),
        )

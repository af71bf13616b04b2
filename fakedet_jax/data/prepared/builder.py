# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The TFDS builders of face crops, one per named dataset; they need no TensorFlow.

What they write is given to them by `fakedet_jax.jobs.prepare`, which finds and cuts
out the faces. Examples keep the order in which they are given: of the files' paths,
then of frames, then of faces.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from fakedet_jax.data import layouts
from fakedet_jax.data.prepared.contents import Contents, Shard
from fakedet_jax.data.prepared.loading import VERSION
from fakedet_jax.errors import RequestError


class FacesBuilder(
    tfds.core.ShardBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """Face crops of photographs or videos, stored without loss.

    Args:
        contents: What to write; not needed to read.
        kwargs: See `tfds.core.ShardBasedBuilder`.
    """

    VERSION = tfds.core.Version(VERSION)
    RELEASE_NOTES = {  # noqa: RUF012
        "1.0.0": "First release.",
        "1.1.0": "Settings of the camera.",
    }

    def __init__(self, *, contents: Contents | None = None, **kwargs: Any):
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
            raise RequestError(
                f"{self.name}: expected a dataset that is prepared, found none; run "
                f"fakedet `mode=prepare` `dataset={self.name}` first: "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        return self._contents.shards

    def _example_writer(self) -> ExampleWriter:
        return _OrderedWriter(self.info.file_format)


class _OrderedWriter(ExampleWriter):
    """Writes the same bytes for the same examples.

    Features are a map, which protocol buffers write in any order unless told not to.
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


class CelebA(FacesBuilder):
    """Face crops of CelebA."""

    name = "celeba"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("celeba").instructions


class CelebDfV2(FacesBuilder):
    """Face crops of Celeb-DF v2."""

    name = "celeb_df_v2"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("celeb_df_v2").instructions


class Dfdc(FacesBuilder):
    """Face crops of the DeepFake Detection Challenge."""

    name = "dfdc"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("dfdc").instructions


class ExifFaces(FacesBuilder):
    """Face crops of photographs with EXIF tags."""

    name = "exif_faces"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("exif_faces").instructions


class FaceForensics(FacesBuilder):
    """Face crops of FaceForensics++."""

    name = "faceforensics"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("faceforensics").instructions


class Fdf(FacesBuilder):
    """Face crops of FDF."""

    name = "fdf"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("fdf").instructions


class Ffhq(FacesBuilder):
    """Face crops of FFHQ."""

    name = "ffhq"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("ffhq").instructions


class Folder(FacesBuilder):
    """Face crops of one's own photographs and videos."""

    name = "folder"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("folder").instructions


class Hff(FacesBuilder):
    """Face crops of HFF."""

    name = "hff"
    MANUAL_DOWNLOAD_INSTRUCTIONS = layouts.create("hff").instructions


BUILDERS: dict[str, type[FacesBuilder]] = {
    builder.name: builder
    for builder in (
        CelebA,
        CelebDfV2,
        Dfdc,
        ExifFaces,
        FaceForensics,
        Fdf,
        Ffhq,
        Folder,
        Hff,
    )
}

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that a request names: from paths to batches of faces."""

import dataclasses
from collections.abc import Generator, Mapping
from typing import Any

from jax.sharding import Mesh

from fakedet_jax.config import FilesConfig
from fakedet_jax.faces import cropping, stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.stream import FaceBatch, FaceFile
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a request.

    Attributes:
        found: The files, in the order of their batches.
        cropping: How their faces are found and cut out.
        batch_size: Crops per batch; the devices can share it evenly.
    """

    found: list[FaceFile]
    cropping: Cropping
    batch_size: int

    def batches(
        self, framing: Framing, num_threads: int
    ) -> Generator[FaceBatch, None, None]:
        """Starts to read the files; see `faces.stream.stream_faces`.

        Args:
            framing: Region and size of the network's input.
            num_threads: Threads that decode photographs and search for faces.

        Returns:
            Items in the order of the files, with the batches of their crops. Close it
            to end its threads.
        """
        return stream.stream_faces(
            self.found,
            self.cropping,
            framing=framing,
            batch_size=self.batch_size,
            num_threads=num_threads,
        )


def open_files(
    config: FilesConfig, training_faces: Mapping[str, Any] | None, mesh: Mesh
) -> Files:
    """Lists the files of a request, and loads the face detector; no file is read yet.

    Args:
        config: The request.
        training_faces: How the faces of the training were found, None if that is not
            known; the request comes first.
        mesh: The devices.

    Raises:
        RequestError: There is no file, or the settings are not as expected.
    """
    found = stream.find_files(config.paths)
    how = cropping.choose(
        training_faces,
        faces=config.faces,
        model=config.face_detector_model,
        all_faces=config.all_faces,
        frames=config.frames,
        media=config.media,
        search_size=config.face_search_size,
    )
    stream.check_videos(found, how)
    batch_size = stream.limit_batch_size(config.batch_size, found, how)
    return Files(found, how, parallel.round_up_batch_size(batch_size, mesh))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that a request names: from paths to batches of faces."""

import dataclasses
from collections.abc import Callable, Generator, Mapping
from typing import Any

from jax.sharding import Mesh

from fakedet_jax.config import FilesConfig
from fakedet_jax.faces import cropping, stream
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.stream import FaceBatch, FaceFile, Reading
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a request.

    Attributes:
        found: The files, in the order of their batches.
        cropping: How their faces are found and cut out.
        batch_size: Crops per batch; the devices can share it evenly.
        reading: Who reads them.
    """

    found: list[FaceFile]
    cropping: Cropping
    batch_size: int
    reading: Reading

    def batches(self, framing: Framing) -> Generator[FaceBatch, None, None]:
        """Starts to read the files; see `faces.stream.stream_faces`.

        Args:
            framing: Region and size of the network's input.

        Returns:
            Items in the order of the files, with the batches of their crops. Close it
            to end its threads and processes.
        """
        return stream.stream_faces(
            self.found,
            self.cropping,
            framing=framing,
            batch_size=self.batch_size,
            reading=self.reading,
        )


def open_files(
    config: FilesConfig,
    training_faces: Mapping[str, Any] | None,
    mesh: Mesh,
    *,
    num_workers: int | None,
    num_threads: int,
    batch_size: Callable[[int], int],
) -> Files:
    """Lists the files of a request, and loads the face detector; no file is read yet.

    Args:
        config: The request.
        training_faces: How the faces of the training were found, None if that is not
            known; the request comes first.
        mesh: The devices.
        num_workers: Reading processes; None chooses their number.
        num_threads: Threads that decode photographs and search for faces, without
            processes.
        batch_size: From the number of files to the crops per batch, of which a batch
            has fewer where there cannot be as many.

    Raises:
        RequestError: There is no file, or the settings are not as expected.
    """
    found = stream.find_files(config.paths)
    reading = stream.choose_reading(
        len(found),
        num_workers=num_workers,
        num_threads=num_threads,
        seconds_per_file=config.seconds_per_file,
    )
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
    limited = stream.limit_batch_size(batch_size(len(found)), found, how)
    return Files(found, how, parallel.round_up_batch_size(limited, mesh), reading)

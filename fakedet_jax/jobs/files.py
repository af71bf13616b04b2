# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that a request names: from paths to batches of faces."""

import dataclasses
import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence

from jax.sharding import Mesh

from fakedet_jax.config import FilesConfig
from fakedet_jax.data import scan
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping, expected, stream
from fakedet_jax.faces.cropping import TAKEN_WHOLE, Cropping
from fakedet_jax.faces.stream import FaceBatch, FaceFile, Reading
from fakedet_jax.media.files import ADDRESS, MISSING, is_address
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel, text
from fakedet_jax.workdir import Workdir

_LOGGER = logging.getLogger(__name__)


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

    def batches(
        self, framing: Framing, *, has_provenance: bool = False
    ) -> Generator[FaceBatch, None, None]:
        """Starts to read the files; see `faces.stream.stream_faces`.

        Args:
            framing: Region and size of the network's input.
            has_provenance: Whether rows tell what a file says of its origin.

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
            has_provenance=has_provenance,
        )


def check_paths(paths: Sequence[str]) -> None:
    """Refuses paths of which none exists; where some do, the others become rows.

    Args:
        paths: Files and folders, as they were named.

    Raises:
        RequestError: None of them exists.
    """
    if not paths or not all(map(_is_missing, paths)):
        return
    first = paths[0]
    reason = ADDRESS if is_address(first) else MISSING
    if len(paths) == 1 or reason == ADDRESS:
        raise RequestError(f"{first!r} {reason}")
    raise RequestError(
        f"none of the {len(paths):,} files and folders exists: {scan.some(paths)}; "
        "check the paths"
    )


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # Why it cannot be read becomes its row.
        return False
    return False


def tell_notes(notes: Mapping[str, int], noun: str = "file") -> None:
    """Warns once of files that are not framed like the training pictures.

    Args:
        notes: Numbers of files, by what there is to say of them.
        noun: What they are called.
    """
    if not notes:
        return
    told = (
        f"{text.counted(count, noun)} {'is' if count == 1 else 'are'} "
        f"{note.removeprefix('is ')}"
        for note, count in sorted(notes.items(), key=lambda item: (-item[1], item[0]))
    )
    advice = "`face_detector=none` takes pictures as they are"
    if any(note.endswith(TAKEN_WHOLE) for note in notes):
        advice = "`face_detector=haar` or yunet would search for it"
    _LOGGER.warning("%s; %s", "; ".join(told), advice)


def choose_cropping(config: FilesConfig, workdir: Workdir | None) -> Cropping:
    """Chooses how faces are found: as the request says, else as for the training.

    Args:
        config: The request.
        workdir: Of the detector; None for a network without a training.

    Raises:
        RequestError: The settings are not as expected.
    """
    return cropping.choose(
        None if workdir is None else workdir.faces,
        faces=config.faces,
        model=config.face_detector_model,
        all_faces=config.all_faces,
        frames=config.frames,
        media=config.media,
        search_size=config.face_search_size,
        expected=None if workdir is None else expected.from_record(workdir.pictures),
    )


def open_files(
    config: FilesConfig,
    workdir: Workdir | None,
    mesh: Mesh,
    *,
    num_workers: int | None,
    num_threads: int,
    batch_size: Callable[[int], int],
) -> Files:
    """Lists the files of a request, and loads the face detector; no file is read yet.

    Args:
        config: The request.
        workdir: Of the detector; tells how the faces of the training were found, but
            the request comes first. None for a network without a training.
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
    how = choose_cropping(config, workdir)
    stream.check_videos(found, how)
    limited = stream.limit_batch_size(batch_size(len(found)), found, how)
    return Files(found, how, parallel.round_up_batch_size(limited, mesh), reading)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Face detectors that do what a test needs, also in another process."""

import dataclasses
import errno
import os
import signal
import time
from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.detector import FaceDetector
from fakedet_jax.faces.face import Face


@dataclasses.dataclass(frozen=True)
class Scripted(FaceDetector):
    """Finds what it is told to: boxes by frame, `None` for photographs."""

    boxes: dict

    name = "scripted"

    @property
    def settings(self):
        return {"name": self.name}

    def _find(self, picture, name, frame):
        found = self.boxes.get(frame, [])
        return [box if isinstance(box, Face) else Face.at(box) for box in found]


@dataclasses.dataclass(frozen=True)
class Whole(FaceDetector):
    """Takes every picture whole, and notes in a file which ones it has seen."""

    log: str = os.devnull
    seconds: float = 0.0

    name = "none"

    @property
    def settings(self):
        return {"name": self.name}

    def _find(self, picture, name, frame):
        time.sleep(self.seconds)
        with Path(self.log).open("ab") as log:
            log.write(os.fsencode(f"{name}\n"))
        height, width = picture.shape[:2]
        return [Face.at((0, 0, width, height))]


@dataclasses.dataclass(frozen=True)
class Deadly(Whole):
    """Its process is killed by one of the pictures."""

    victim: str = ""

    def _find(self, picture, name, frame):
        if name == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._find(picture, name, frame)


@dataclasses.dataclass(frozen=True)
class DeadlyOnce(Deadly):
    """Only the first process that sees the picture is killed by it."""

    mark: str = ""

    def _find(self, picture, name, frame):
        if not Path(self.mark).exists() and name == self.victim:
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Whole._find(self, picture, name, frame)


@dataclasses.dataclass(frozen=True)
class Slow(Whole):
    """Takes long for one of the pictures."""

    victim: str = ""

    def _find(self, picture, name, frame):
        if name == self.victim:
            time.sleep(60)
        return super()._find(picture, name, frame)


@dataclasses.dataclass(frozen=True)
class Faulty(Whole):
    """Has a fault that one of the pictures brings out."""

    victim: str = ""

    def _find(self, picture, name, frame):
        if name == self.victim:
            raise ZeroDivisionError("division\nby zero")
        return super()._find(picture, name, frame)


@dataclasses.dataclass(frozen=True)
class Refusing(Whole):
    """Needs what is not installed."""

    def _find(self, picture, name, frame):
        raise RequestError("`face_detector`: something is not installed")


@dataclasses.dataclass(frozen=True)
class DiskFiller(Whole):
    """The disk is full from one of the pictures on."""

    victim: str = ""

    def _find(self, picture, name, frame):
        if name == self.victim:
            os.fsync = _no_room
        return super()._find(picture, name, frame)


class Unloadable(Whole):
    """Cannot be sent to another process."""

    def __reduce__(self):
        return os._exit, (3,)


def _no_room(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

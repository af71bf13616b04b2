# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the duration that the header of a WMV or ASF file announces.

FFmpeg keeps it to itself where the file is not as long as its header says, which is
when it tells how much is missing.

Reference: Advanced Systems Format (ASF) Specification, sections 3.1 and 3.2.
"""

import struct
from typing import BinaryIO

_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MAX_HEADER = 2**16  # Bytes that are looked at; the object comes early.
# Size and number of objects of the header, then the objects: each a GUID and a size.
_FIRST = 30
_OBJECT = struct.Struct("<16sQ")
# Identifier, size, date, packets, duration in 100 ns, time to send, lead in ms, flags.
_CONTENT = struct.Struct("<16sQQQQQQI")
_IS_BROADCAST = 1


def read_duration(file: BinaryIO) -> float | None:
    """Reads the announced duration.

    Args:
        file: The file, at its beginning; where it is afterwards is open.

    Returns:
        Seconds; None if the file is no ASF file or does not say.
    """
    head = file.read(_MAX_HEADER)
    if not head.startswith(_HEADER):
        return None
    at = _FIRST
    while at + _OBJECT.size <= len(head):
        name, size = _OBJECT.unpack_from(head, at)
        content = at + _OBJECT.size
        if name == _PROPERTIES:
            if content + _CONTENT.size > len(head):
                return None
            *_, duration, _, lead, flags = _CONTENT.unpack_from(head, content)
            if flags & _IS_BROADCAST:
                return None
            return max(0.0, duration / 1e7 - lead / 1e3) or None
        at += max(size, _OBJECT.size)
    return None

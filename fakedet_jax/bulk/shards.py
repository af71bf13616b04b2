# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which part of the work is that of this process."""

import re

from fakedet_jax.errors import RequestError


def read_shard(value: str) -> tuple[int, int]:
    """Reads which of several processes this one is.

    Args:
        value: Such as `0/4`, the first of four; empty for the only one.

    Returns:
        Its number from 0, and the number of processes.

    Raises:
        RequestError: It is none of that form, or the number is too large.

    >>> read_shard("3/4"), read_shard("")
    ((3, 4), (0, 1))
    """
    if not value:
        return 0, 1
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value)
    index, count = map(int, found.groups()) if found else (0, 0)
    if not index < count:
        raise RequestError(
            "`shard`: expected NUMBER/PROCESSES with numbers from 0, such as 0/4 to "
            f"3/4, found {value!r}"
        )
    return index, count

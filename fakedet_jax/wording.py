# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Numbers in sentences."""


def counted(number: int, noun: str) -> str:
    """Says how many there are of something whose plural takes an s.

    Args:
        number: How many, 0 or more.
        noun: What, in the singular.

    Returns:
        The number and the noun, in the plural unless there is one.

    >>> counted(1, "picture"), counted(0, "picture"), counted(12, "file")
    ('1 picture', '0 pictures', '12 files')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The two kinds of failure that a user can cause and mend."""


class RequestError(ValueError):
    """A request that cannot be carried out as it was made.

    The message is one line that names the field or file, says what was expected and
    what was found, and what to do. Fields stand between backquotes, as in "`seed`:
    expected a number from 0, found -1"; the command line prints them as flags and exits
    with 2.
    """


class ImageError(ValueError):
    """A picture that cannot be used; the message is the reason, without the path.

    The file is skipped with this reason and the other files go on.
    """

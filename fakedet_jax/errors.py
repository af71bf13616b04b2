# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The two kinds of failure that a user can cause and mend."""


class RequestError(ValueError):
    """A request that cannot be carried out as it was made.

    The message is one line that names the flag, file or field, says what was expected
    and what was found, and what to do. The command line prints it and exits with 2.
    """


class ImageError(ValueError):
    """A picture that cannot be used; the message is the reason, without the path.

    The file is skipped with this reason and the other files go on.
    """

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m fakedet_jax` is the command line, wherever the package lies."""

from fakedet_jax import cli

if __name__ == "__main__":
    cli.run()

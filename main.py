# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs fakedet_jax from a checkout; the installed command `fakedet` does the same."""

from fakedet_jax import cli

if __name__ == "__main__":
    cli.run()

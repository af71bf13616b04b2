# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepared datasets: face crops that `mode=prepare` has made of original files."""

from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.data.prepared.loading import (
    PreparedInfo,
    PreparedSource,
    find,
    is_prepared,
    load,
    load_facts,
    read_info,
)
from fakedet_jax.data.prepared.remote import localise

__all__ = [
    "Facts",
    "PreparedInfo",
    "PreparedSource",
    "find",
    "is_prepared",
    "load",
    "load_facts",
    "localise",
    "read_info",
]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.wording."""

import pytest

from fakedet_jax.report import wording


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fine 本物.png", "fine 本物.png"),
        ("a\udcff", r"a\udcff"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\x1b[31m\n", r"a\x1b[31m\n"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text, shown):
    assert wording.printable(text) == shown

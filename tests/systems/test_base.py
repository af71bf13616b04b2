# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.base."""

import dataclasses
from pathlib import Path

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.base import refuse


@dataclasses.dataclass(frozen=True)
class _Options(Settings):
    covariance: str = option("full", "A text.")
    num_components: tuple[int, ...] = option((12,), "Numbers.")
    pretrained: Path | None = option(None, "A path.")
    paired: bool = option(False, "A switch.")


_FIELDS = ("covariance", "num_components", "pretrained", "paired")


def test_settings_with_their_defaults_are_not_refused():
    refuse(_Options(), _FIELDS, "not used")


@pytest.mark.parametrize(
    "change",
    [
        {"covariance": "tied"},
        {"num_components": (3, 4)},
        {"pretrained": Path("elsewhere")},
        {"paired": True},
    ],
    ids=str,
)
def test_a_setting_that_would_be_ignored_is_refused_by_its_name(change):
    (name,) = change
    with pytest.raises(RequestError, match=f"^`{name}`: not used; leave it out$"):
        refuse(_Options(**change), _FIELDS, "not used")

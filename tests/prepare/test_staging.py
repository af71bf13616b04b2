# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the files that hold what is finished."""

import dataclasses
import os

import numpy as np
import pytest

from fakedet_jax.faces.extraction import LEFT_OUT, WRITTEN, Row
from fakedet_jax.media.decode import decode
from fakedet_jax.prepare import staging
from fakedet_jax.prepare.staging import Staged
from tests.data.pictures import colourful

WRITTEN_ROW = Row(
    WRITTEN,
    frame=3,
    time=0.1,
    face=0,
    score=0.25,
    box=(1.5, 2.0, 3.0, 4.0),
    crop_box=(0.0, 1.0, 2.0, 3.0),
    landmarks=((1.0, 2.0),) * 5,
    width=10,
    height=20,
    tags=(100.0, 2.5, 0.125, 50.0),
)


@pytest.fixture
def staged(tmp_path):
    """A row without and two with a crop, not in their order."""
    path = tmp_path / "ab" / "c.zip"
    later = dataclasses.replace(WRITTEN_ROW, frame=7)
    outcomes = [
        (later, colourful(20, 30, 1)),
        (Row(LEFT_OUT, "shows no \udcff"), None),
        (WRITTEN_ROW, colourful(20, 30, 2)),
    ]
    staging.write(path, "digest", outcomes)
    return path


def test_rows_come_back_in_order(staged):
    with Staged(staged) as opened:
        assert [row.frame for row in opened.rows] == [-1, 3, 7]
        assert opened.rows[1] == WRITTEN_ROW
        assert opened.rows[0].reason == "shows no \udcff"
        assert opened.content == "digest"


def test_crops_come_back_pixel_for_pixel(staged):
    with Staged(staged) as opened:
        for place, seed in ((1, 2), (2, 1)):
            png = opened.png(place)
            np.testing.assert_array_equal(decode(png), colourful(20, 30, seed))
            assert opened.png_info(place).file_size == len(png)


def test_the_same_outcomes_give_the_same_bytes(tmp_path):
    for name in ("a.zip", "b.zip"):
        staging.write(tmp_path / name, "", [(WRITTEN_ROW, colourful())])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_failure_leaves_no_file(tmp_path):
    def outcomes():
        yield WRITTEN_ROW, colourful()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staging.write(tmp_path / "a" / "b.zip", "", outcomes())
    assert not list((tmp_path / "a").iterdir())


def test_a_damaged_file_is_taken_away_and_named(staged):
    staged.write_bytes(staged.read_bytes()[:-30])
    with pytest.raises(RuntimeError, match=r"c\.zip.*run the same command again"):
        Staged(staged)
    assert not staged.exists()


def test_the_name_depends_on_file_and_settings(tmp_path):
    def name(settings="s"):
        version = staging.version_of(tmp_path, "a.png")
        return staging.path_for(tmp_path, "a.png", version, settings)

    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    os.utime(path, ns=(1, 1))
    first = name()
    assert name() == first
    assert name("t") != first
    os.utime(path, ns=(1, 2))
    assert name() != first
    os.utime(path, ns=(1, 1))
    path.write_bytes(b"22")
    os.utime(path, ns=(1, 1))
    assert name() != first


def test_a_file_that_is_not_there_has_a_name(tmp_path):
    version = staging.version_of(tmp_path, "none.png")
    assert staging.path_for(tmp_path, "none.png", version, "").suffix == ".zip"


def test_sweep_takes_only_what_is_half_written(staged):
    half = staged.with_name(f".{staged.name}.77.tmp")
    half.touch()
    staging.sweep(staged.parent.parent)
    assert list(staged.parent.iterdir()) == [staged]

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the CSV file of camera settings."""

import numpy as np
import pytest

from fakedet_jax.data import tags_file
from fakedet_jax.errors import RequestError

HEADER = "path,iso,aperture,exposure_time,focal_length"


def read(tmp_path, *lines):
    path = tmp_path / "tags.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tags_file.read(path, {"a.jpg", "b/c.jpg"}, tmp_path)


def test_settings_are_read_by_path(tmp_path):
    tags = read(tmp_path, HEADER, "a.jpg,100,2.8,0.004,50", "./b/c.jpg,1e3,16,2,4.5")
    assert set(tags) == {"a.jpg", "b/c.jpg"}
    np.testing.assert_allclose(tags["a.jpg"], [100, 2.8, 0.004, 50], rtol=1e-6)
    np.testing.assert_allclose(tags["b/c.jpg"], [1000, 16, 2, 4.5], rtol=1e-6)


def test_empty_cells_are_missing_settings(tmp_path):
    tags = read(tmp_path, HEADER, "a.jpg,100,, ,", "b/c.jpg,,,,")
    np.testing.assert_array_equal(tags["a.jpg"], [100, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(tags["b/c.jpg"], [np.nan] * 4)


def test_columns_in_another_order_beside_others(tmp_path):
    lines = "focal_length,note,exposure_time,aperture,iso,path", "4,n,3,2,1,a.jpg"
    assert read(tmp_path, *lines) == {"a.jpg": (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "expected lines of camera settings, found none"),
        (["path,iso,aperture", "a.jpg,1,2"], "found no exposure_time and no focal_len"),
        ([f"{HEADER},iso", "a.jpg,1,2,3,4,5"], "each column once, found iso again"),
        ([HEADER, "a.jpg,1,2,3"], "line 2: expected 5 cells, found 4"),
        ([HEADER, "a.jpg,1,2,3,4", "d.jpg,,,,"], "line 3: .*`data_dir=.*'d.jpg', whic"),
        ([HEADER, "a.jpg,,,,", "a.jpg,,,,"], "line 3: expected each photograph once"),
        ([HEADER, "../a.jpg,,,,"], "line 2: expected a path inside the data folder"),
        ([HEADER, "/a.jpg,,,,"], "line 2: expected a path inside the data folder"),
        ([HEADER, ",1,2,3,4"], "line 2: expected a path inside the data folder"),
        (
            [HEADER, "a.jpg,1,2,1/250,4"],
            "line 2: expected a number of seconds from 1e-06 to 3600 in the column "
            "exposure_time, or nothing, found '1/250'",
        ),
        (
            [HEADER, "a.jpg,0,2,3,4"],
            r"from 1 to 1e\+07 in the column iso, .* found '0'",
        ),
        ([HEADER, "a.jpg,1,nan,3,4"], "column aperture, or nothing, found 'nan'"),
        ([HEADER, "a.jpg,1,2,3,inf"], "column focal_length, or nothing, found 'inf'"),
    ],
)
def test_faults_are_named_by_line(tmp_path, lines, message):
    with pytest.raises(RequestError, match=message) as caught:
        read(tmp_path, *lines)
    assert "\n" not in str(caught.value) and "tags.csv" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(RequestError, match=r"is missing; give .* `tags`"):
        tags_file.read(tmp_path / "tags.csv", set(), tmp_path)

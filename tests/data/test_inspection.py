# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.inspection import estimate_jpeg_quality, inspect, is_grey
from tests.data.pictures import colourful, encode, write_folder


def inspect_one(tmp_path, encoded):
    write_folder(tmp_path, {"real": 0})
    (tmp_path / "real/a.jpg").write_bytes(encoded)
    (facts,) = inspect(load_folder(tmp_path, "all"))
    return facts


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 90, 95, 99, 100])
def test_jpeg_quality_is_found(tmp_path, quality):
    facts = inspect_one(tmp_path, encode(colourful(), "JPEG", quality=quality))
    assert facts.jpeg_quality == quality


def test_jpeg_quality_of_foreign_tables_is_the_nearest(tmp_path):
    table = [16] * 64
    encoded = encode(colourful(), "JPEG", qtables=[table, table])
    assert 60 < inspect_one(tmp_path, encoded).jpeg_quality < 95


def test_order_of_the_table_does_not_matter():
    tables = Image.open(
        io.BytesIO(encode(colourful(), "JPEG", quality=80))
    ).quantization
    assert estimate_jpeg_quality(tuple(reversed(tables[0]))) == 80


def test_other_formats_have_no_quality(tmp_path):
    facts = inspect_one(tmp_path, encode(colourful(), "PNG"))
    assert (facts.format, facts.jpeg_quality) == ("PNG", None)


def test_size_is_that_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = inspect_one(tmp_path, encode(colourful(24, 32), "JPEG", exif=exif))
    assert (facts.width, facts.height, facts.has_exif) == (24, 32, True)


def test_digest_is_that_of_the_bytes(tmp_path):
    encoded = encode(colourful())
    expected = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    assert inspect_one(tmp_path, encoded).digest == expected


def test_undecodable_picture_has_a_reason_and_a_digest(tmp_path):
    facts = inspect_one(tmp_path, b"not a picture")
    assert "known format" in facts.error
    assert facts.digest


def test_unreadable_file_has_a_reason(tmp_path):
    write_folder(tmp_path, {"real": 1})
    (tmp_path / "real/link.png").symlink_to("nowhere")
    sound, broken = inspect(load_folder(tmp_path, "all"))
    assert sound.error is None
    assert "does not exist" in broken.error


def test_facts_are_in_the_order_of_the_examples(tmp_path):
    dataset = load_folder(write_folder(tmp_path, {"real": 5, "fake": 5}), "all")
    assert [facts.name for facts in inspect(dataset)] == list(dataset.names)


@pytest.mark.parametrize("distance, expected", [(0, True), (2, True), (3, False)])
def test_grey_within_a_tolerance(distance, expected):
    picture = np.full((40, 40, 3), 250, np.uint8)
    picture[..., 2] -= distance
    assert is_grey(picture) == expected


def test_one_coloured_pixel_is_colour():
    picture = np.full((40, 40, 3), 100, np.uint8)
    picture[0, 39, 0] = 0
    assert not is_grey(picture)

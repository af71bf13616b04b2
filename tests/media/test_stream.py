# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import os
import threading

import numpy as np

from fakedet_jax.media.decode import read_picture
from fakedet_jax.media.files import FoundFile, find_pictures
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.stream import stream_batches
from tests.data.pictures import colourful, encode, write_folder

SIZE = 16


def stream(found, **changed):
    options = {
        "framing": Framing.square(SIZE),
        "batch_size": 4,
        "num_threads": 3,
        **changed,
    }
    return list(stream_batches(found, **options))


def test_stream_gives_every_file_in_order(tmp_path):
    write_folder(tmp_path, {"a": 5, "b": 6})
    found = list(find_pictures([tmp_path]))
    batches = stream(found)
    items = [item for part, _ in batches for item in part]
    assert [item.path for item in items] == [file.path for file in found]
    assert [len(part) for part, _ in batches] == [4, 4, 3]
    indices = np.concatenate([batch["index"] for _, batch in batches])
    np.testing.assert_array_equal(indices, [*range(11), -1])


def test_stream_gives_the_pictures(tmp_path):
    write_folder(tmp_path, {"a": 3})
    ((items, batch),) = stream(find_pictures([tmp_path]))
    for row, item in enumerate(items):
        np.testing.assert_array_equal(
            batch["image"][row], read_picture(item.path, Framing.square(SIZE))
        )


def test_stream_keeps_bad_files_with_their_reasons(tmp_path):
    write_folder(tmp_path, {"a": 1})
    (tmp_path / "a/text.jpg").write_text("no picture")
    os.mkfifo(tmp_path / "a/pipe.png")
    found = [*find_pictures([tmp_path]), FoundFile(tmp_path, "is locked")]
    ((items, batch),) = stream(found)
    assert [item.error and item.error[:12] for item in items] == [
        None,
        "is not a reg",
        "is not a pic",
        "is locked",
    ]
    assert batch["mask"].tolist() == [True, False, False, False]


def test_stream_of_nothing_gives_nothing():
    assert stream([]) == []


def test_stream_takes_files_only_as_fast_as_batches(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(colourful()))
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield FoundFile(path)

    batches = stream_batches(
        endless(), framing=Framing.square(SIZE), batch_size=4, num_threads=2
    )
    next(batches)
    assert taken <= 12
    batches.close()


def test_closing_a_stream_ends_its_threads(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(colourful()))
    batches = stream_batches(
        [FoundFile(path)] * 50, framing=Framing.square(SIZE), batch_size=4
    )
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if "fakedet" in thread.name]

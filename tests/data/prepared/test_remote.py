# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of prepared datasets that lie in a bucket, which is kept in memory here."""

import importlib.util
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fakedet_jax.data import prepared
from fakedet_jax.data.prepared import remote
from fakedet_jax.data.prepared.loading import folder_of
from fakedet_jax.errors import RequestError

ADDRESS = "s3://bucket/faces"


class Bucket(MemoryFileSystem):
    """What epath takes for a bucket of S3; it notes what is read."""

    protocol = "s3"
    store = {}  # noqa: RUF012 - the bucket of all instances
    pseudo_dirs = [""]  # noqa: RUF012
    read = []  # noqa: RUF012
    fails = ""

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("s3://"))

    def open(self, path, mode="rb", **kwargs):
        self.read.append(path.rpartition("/")[2])
        if self.fails and path.endswith(self.fails):
            raise OSError("the connection was reset\nby the peer")
        return super().open(path, mode, **kwargs)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and buckets that this process can read."""
    fsspec.register_implementation("s3", Bucket, clobber=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Bucket, "read", [])
    yield tmp_path / "cache"
    Bucket.store.clear()


@pytest.fixture
def bucket(data_dir):
    """A prepared dataset in a bucket: its files, to be changed."""
    for path in data_dir.rglob("*"):
        if path.is_file():
            name = path.relative_to(data_dir).as_posix()
            Bucket().pipe_file(f"{ADDRESS}/{name}", path.read_bytes())
    return Bucket.store


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_folders_of_this_machine_are_left_alone(tmp_path):
    assert prepared.localise(str(tmp_path)) == tmp_path
    assert prepared.localise("a/b") == Path("a/b")


def test_a_copy_reads_as_the_original(bucket, data_dir, cache):
    folder = prepared.localise(ADDRESS)
    assert folder.is_relative_to(cache)
    copy, original = (prepared.load(f, "folder", "train") for f in (folder, data_dir))
    assert copy.names == original.names and copy.digest == original.digest
    np.testing.assert_array_equal(copy.labels, original.labels)
    assert copy.source[0] == original.source[0]
    assert files_of(folder_of(folder, "folder")) == files_of(
        folder_of(data_dir, "folder")
    )


def test_a_copy_is_made_once(bucket):
    first = prepared.localise(ADDRESS)
    Bucket.read.clear()
    assert prepared.localise(ADDRESS + "/") == first
    assert set(Bucket.read) == {"metadata.json"}  # It tells which dataset it is.


def test_an_interrupted_copy_goes_on(bucket, cache, monkeypatch):
    monkeypatch.setattr(Bucket, "fails", "facts.npz")
    with pytest.raises(RequestError, match=r"\(OSError: the connection was reset by"):
        prepared.localise(ADDRESS)
    here = {path.name for path in cache.rglob("*") if path.is_file()}
    assert here and not here & {"facts.npz", "dataset_info.json"}
    monkeypatch.setattr(Bucket, "fails", "")
    Bucket.read.clear()
    folder = prepared.localise(ADDRESS)
    assert not here & (set(Bucket.read) - {"metadata.json"})
    assert prepared.is_prepared(folder, "folder")


def test_a_file_of_another_size_is_copied_again(bucket, data_dir):
    folder = folder_of(prepared.localise(ADDRESS), "folder")
    (folder / "dataset_info.json").unlink()
    shard = next(folder.glob("*.array_record*"))
    shard.write_bytes(b"cut off")
    prepared.localise(ADDRESS)
    assert files_of(folder) == files_of(folder_of(data_dir, "folder"))


def test_a_disk_without_room_is_a_request_error(bucket, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=2**10)
    monkeypatch.setattr(remote.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RequestError, match=r"a copy needs \d+ MiB, and .* has 0; make"):
        prepared.localise(ADDRESS)


def test_a_bucket_without_a_dataset_is_a_request_error():
    Bucket().pipe_file("s3://bucket/other/a.txt", b"")
    for address in ("s3://bucket/other", "s3://bucket/nothing"):
        with pytest.raises(
            RequestError, match=r"expected one prepared dataset in .* none;"
        ):
            prepared.localise(address)


def test_an_unknown_scheme_is_a_request_error():
    with pytest.raises(RequestError, match="expected a folder, or an address with gs:"):
        prepared.localise("ftp://machine/folder")


@pytest.mark.skipif(
    importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed"
)
def test_a_missing_package_is_named():
    with pytest.raises(RequestError, match="run: pip install gcsfs") as error:
        prepared.localise("gs://bucket/faces")
    assert "\n" not in str(error.value)

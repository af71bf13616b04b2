# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.compilation_cache."""

import logging
import os
import shutil
import stat

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import compilation_cache


@pytest.fixture(autouse=True)
def no_cache():
    """Tests share a cache of compiled programs; these go without it."""
    names = (
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    jax_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    jax_cache.reset_cache()


def _compile(number):
    return float(jax.jit(lambda value: value * number + 1)(jnp.float32(2)))


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_programs_are_kept_in_a_folder_of_this_kind_of_machine(tmp_path):
    _compile(3)  # Something was compiled before, without a cache.
    folder = compilation_cache.use(str(tmp_path / "new" / "cache"))
    assert folder == tmp_path / "new" / "cache" / compilation_cache.machine_kind()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    _compile(5)
    assert _files(folder)


def test_another_kind_of_machine_has_another_folder(tmp_path, monkeypatch):
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name : A\nflags : fpu sse\nMHz : 1\n")
    monkeypatch.setattr(compilation_cache, "_CPU_FACTS", facts)
    kind = compilation_cache.machine_kind()
    facts.write_text("model name : A\nflags : fpu sse\nMHz : 2\n")
    assert compilation_cache.machine_kind() == kind
    facts.write_text("model name : A\nflags : fpu sse avx\nMHz : 2\n")
    assert compilation_cache.machine_kind() != kind
    facts.unlink()
    assert compilation_cache.machine_kind() != kind
    assert kind.startswith("cpu-cpu-x8-jax") and "/" not in kind


def test_empty_text_turns_the_cache_off(tmp_path):
    compilation_cache.use(str(tmp_path))
    assert compilation_cache.use("", default=tmp_path / "default") is None
    _compile(7)
    assert not _files(tmp_path)


def test_without_a_wish_there_is_the_default_or_none(tmp_path):
    assert compilation_cache.use(None) is None
    found = compilation_cache.use(None, default=tmp_path)
    assert found == tmp_path / compilation_cache.machine_kind()


def test_a_cache_that_jax_has_already_wins_over_the_default(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    assert compilation_cache.use(None, default=tmp_path / "default") is None
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")


def test_a_cache_that_was_deleted_is_made_again(tmp_path):
    for number in (11, 13):
        folder = compilation_cache.use(str(tmp_path / "cache"))
        _compile(number)
        assert _files(folder)
        shutil.rmtree(tmp_path / "cache")


def test_old_programs_go_where_the_user_limits_the_size(tmp_path):
    pytest.importorskip("filelock")
    limit = 10_000  # Bytes of about four of these programs.
    jax.config.update("jax_compilation_cache_max_size", limit)
    folder = compilation_cache.use(None, default=tmp_path)
    for number in range(17, 25):
        _compile(number)
    sizes = [path.stat().st_size for path in folder.glob("*-cache")]
    assert 0 < sum(sizes) <= limit
    assert len(sizes) < 8


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(
        RequestError, match="`compilation_cache_dir`: expected a folder"
    ):
        compilation_cache.use(str(file))


def test_a_default_that_cannot_be_written_is_left_out_in_one_line(tmp_path, caplog):
    file = tmp_path / "file"
    file.write_text("")
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        assert compilation_cache.use(None, default=file) is None
    assert len(caplog.messages) == 1
    assert "compiled programs are not kept" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RequestError, match="it is read-only"):
        compilation_cache.use(str(tmp_path))

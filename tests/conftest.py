# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests; pytest reads this before any test imports JAX."""

import atexit
import collections
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
_flags = os.environ.get("XLA_FLAGS", "").split()
for _flag in (
    "--xla_force_host_platform_device_count=8",
    # Tests compile more than they compute.
    "--xla_backend_optimization_level=1",
):
    if _flag not in _flags:
        _flags.append(_flag)
os.environ["XLA_FLAGS"] = " ".join(_flags)
# Many tests compile the same steps again, in this process and in others.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="fakedet-tests-")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


@pytest.hookimpl(tryfirst=True)  # Before any are deselected.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what the mark `few` leaves out."""
    seen: collections.Counter[str] = collections.Counter()
    for item in items:
        if few := item.get_closest_marker("few"):
            function = item.nodeid.partition("[")[0]
            if seen[function] >= few.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[function] += 1


@pytest.fixture(autouse=True)
def precision_restored() -> Iterator[None]:
    """Jobs set the precision of products for their process."""
    import jax

    before = jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_default_matmul_precision", before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The optional collection of real faces, which lies beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("FAKEDET_SHARED") or beside)
    if not path.is_dir():
        pytest.skip(f"the collection of real faces is absent ({path} is no folder)")
    return path


@pytest.fixture(scope="session")
def prepared_dir(tmp_path_factory) -> Path:
    """A small dataset of face crops that was prepared. Not to be changed."""
    from fakedet_jax.config import FaceConfig
    from fakedet_jax.jobs.prepare import prepare
    from tests.prepare.inputs import config, write_inputs

    folder = tmp_path_factory.mktemp("prepared")
    root = write_inputs(folder / "in")
    prepare(config(root, folder / "out", faces=FaceConfig("none", size=32)))
    return folder / "out"

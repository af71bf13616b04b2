# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast files become scores: reading, the network, and both at a time.

The three take turns, so that other work on the machine slows all of them alike. Files
are read as `predict` reads face crops; starting its processes is left out.
"""

import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import FaceConfig, FrameConfig, InputConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.evaluation.scoring import LogProbabilityFn, Scorer
from fakedet_jax.faces import cropping, stream
from fakedet_jax.faces.stream import FaceBatch, FaceFile, Reading
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import measurement
from fakedet_jax.runtime.processes import available_cores

ROWS: tuple[measurement.Row, ...] = (
    ("files_read_per_second", "Reading files, as predict does", "files/s", 1),
    ("files_network_per_second", "Network, in turns with reading", "images/s", 1),
    ("files_scored_per_second", "Reading and scoring at a time", "files/s", 1),
    ("files_scored_share", "of what these cores allow", "%", 0.01),
    ("files_scored_share_lowest", "lowest of a turn", "%", 0.01),
    ("files_scored_share_highest", "highest of a turn", "%", 0.01),
)

# Batches before those that count: they fill buffers and compile.
_NUM_WARMUP = 3
_NUM_BATCHES = 24
# Beyond these, files are read again.
_MAX_FILES = 1024


def measure_files(
    log_probability_fn: LogProbabilityFn,
    variables: Any,
    mesh: Mesh,
    framing: Framing,
    dataset: Dataset,
    *,
    batch_size: int,
    num_repeats: int,
    settings: InputConfig,
) -> dict[str, float]:
    """Measures a detector on files.

    Args:
        log_probability_fn: What the detector computes.
        variables: Its variables, on the mesh.
        mesh: The devices.
        framing: Region and size of its input.
        dataset: Face crops, which become files and are read over and over.
        batch_size: Pictures per step, over all devices.
        num_repeats: Turns, of which the median counts.
        settings: How pictures are read; without `num_workers`, by as many processes as
            there are cores.

    Returns:
        Numbers by name. `files_scored_share` is the median over the turns of the speed
        of both at a time, as a part of what is possible: on CPUs, which do both with
        the same cores, 1 / (1 / reading + 1 / network), else the slower one's.
    """
    workers = settings.num_workers or available_cores()
    reading = Reading(workers, settings.num_threads)
    how = cropping.create(FaceConfig("none"), FrameConfig())
    scorer = Scorer(log_probability_fn, mesh, batch_size)
    num_batches = _NUM_WARMUP + _NUM_BATCHES
    with tempfile.TemporaryDirectory(prefix="fakedet_benchmark_") as folder:
        files = _write(dataset, Path(folder))

        def read() -> Generator[FaceBatch, None, None]:
            found = itertools.islice(itertools.cycle(files), num_batches * batch_size)
            return stream.stream_faces(
                found, how, framing=framing, batch_size=batch_size, reading=reading
            )

        def score(batches: Iterable[FaceBatch]) -> Iterator[Any]:
            return scorer.stream(variables, batches)

        with contextlib.closing(read()) as batches:
            ready = next(batches)
        calls: dict[str, Callable[[], Iterator[Any]]] = {
            "read": read,
            "network": lambda: score([ready] * num_batches),
            "scored": lambda: score(read()),
        }
        turns = [
            {name: batch_size / _seconds(call()) for name, call in calls.items()}
            for _ in range(num_repeats)
        ]
    is_shared = mesh.devices.flat[0].platform == "cpu"
    shares = [turn["scored"] / _possible(turn, is_shared) for turn in turns]
    return {
        **{
            f"files_{name}_per_second": statistics.median(turn[name] for turn in turns)
            for name in calls
        },
        "files_scored_share": statistics.median(shares),
        "files_scored_share_lowest": min(shares),
        "files_scored_share_highest": max(shares),
    }


def _write(dataset: Dataset, folder: Path) -> list[FaceFile]:
    files = []
    for number in range(min(dataset.num_examples, _MAX_FILES)):
        path = folder / f"{number:04d}.jpg"  # What it is, its first bytes tell.
        path.write_bytes(dataset.source[number].encoded)
        files.append(FaceFile(path, path.name))
    return files


def _seconds(results: Iterator[Any]) -> float:
    """Seconds between two results of a stream, once it runs evenly."""
    for _ in itertools.islice(results, _NUM_WARMUP):
        pass
    start = time.perf_counter()
    number = sum(1 for _ in results)
    return (time.perf_counter() - start) / number


def _possible(turn: Mapping[str, float], is_shared: bool) -> float:
    rates = np.array([turn["read"], turn["network"]])
    return float(1 / (1 / rates).sum() if is_shared else rates.min())

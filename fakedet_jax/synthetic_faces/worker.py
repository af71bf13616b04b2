# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of identities in several processes, which run this module."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

from fakedet_jax.runtime import processes
from fakedet_jax.synthetic_faces.examples import Example, identities_of, make_examples

_PIPE_BYTES = 1 << 20  # About ten identities; the system may allow less.


def examples_in_order(
    seed: int, split: str, num_identities: int, num_processes: int
) -> Iterator[list[Example]]:
    """Yields the examples of each identity of a split, in order.

    Args:
        seed: Seed of the dataset.
        split: Split of the identities.
        num_identities: Number of identities in the dataset.
        num_processes: Number of processes; 1 starts none. The examples do not depend
            on it.

    Raises:
        RuntimeError: A worker process ended early.
    """
    identities = identities_of(split, num_identities)
    num_processes = min(num_processes, len(identities))
    if num_processes <= 1:
        for identity in identities:
            yield make_examples(seed, identity, num_identities)
        return
    with ExitStack() as stack:
        pipes = []
        for first in range(num_processes):
            numbers = (seed, num_identities, first, num_processes)
            worker = processes.start_module(
                __name__,
                [split, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
            )
            stack.callback(_stop, worker)
            pipes.append(worker.stdout)
        # A full pipe makes its worker wait, so none runs too far ahead.
        for number in range(len(identities)):
            pipe = pipes[number % num_processes]
            assert pipe is not None  # For the type checker: stdout is a pipe.
            try:
                yield pickle.load(pipe)
            except (EOFError, pickle.UnpicklingError) as error:
                raise RuntimeError(
                    "a process that makes synthetic faces ended early; its own message "
                    "is above"
                ) from error


def _stop(worker: "subprocess.Popen[bytes]") -> None:
    if worker.stdout is not None:
        worker.stdout.close()
    worker.terminate()
    worker.wait()


def _work(arguments: list[str], output: BinaryIO) -> None:
    split, *numbers = arguments
    seed, num_identities, first, step = map(int, numbers)
    try:
        for identity in identities_of(split, num_identities)[first::step]:
            pickle.dump(make_examples(seed, identity, num_identities), output)
            output.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        # The parent has ended or stops this process; it tells why.
        sys.stderr.close()
        os._exit(1)


if __name__ == "__main__":
    _work(sys.argv[1:], sys.stdout.buffer)

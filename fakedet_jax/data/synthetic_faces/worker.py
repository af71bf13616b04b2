# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes identities in several processes of this module, in order."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

from fakedet_jax.data import worker_process
from fakedet_jax.data.synthetic_faces.examples import Example, make_examples

_PIPE_BYTES = 1 << 20  # some ten identities; where the system allows it


def examples_in_order(
    seed: int, identities: range, num_identities: int, num_processes: int
) -> Iterator[list[Example]]:
    """Yields the examples of each identity; the same for any number of processes.

    Args:
        seed: of the data set.
        identities: which to make.
        num_identities: of the whole data set.
        num_processes: 1 works in this process.

    Raises:
        RuntimeError: a worker ended early.
    """
    num_processes = min(num_processes, len(identities))
    if num_processes <= 1:
        for identity in identities:
            yield make_examples(seed, identity, num_identities)
        return
    with ExitStack() as stack:
        pipes = []
        for first in range(num_processes):
            worker = _start(seed, identities[first::num_processes], num_identities)
            stack.callback(_stop, worker)
            pipes.append(worker.stdout)
        # A full pipe makes a worker wait, so nobody runs too far ahead.
        for number in range(len(identities)):
            pipe = pipes[number % num_processes]
            assert pipe is not None  # for the type checker: stdout is a pipe
            try:
                yield pickle.load(pipe)
            except (EOFError, pickle.UnpicklingError) as error:
                raise RuntimeError(
                    "a process that makes synthetic faces ended early; its own message "
                    "is above"
                ) from error


def _start(
    seed: int, identities: range, num_identities: int
) -> "subprocess.Popen[bytes]":
    bounds = (identities.start, identities.stop, identities.step)
    numbers = [str(number) for number in (seed, *bounds, num_identities)]
    return worker_process.start(
        __name__,
        numbers,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pipesize=_PIPE_BYTES,
    )


def _stop(worker: "subprocess.Popen[bytes]") -> None:
    if worker.stdout is not None:
        worker.stdout.close()
    worker.terminate()
    worker.wait()


def _work(arguments: list[str], output: BinaryIO) -> None:
    seed, start, stop, step, num_identities = (int(number) for number in arguments)
    try:
        for identity in range(start, stop, step):
            pickle.dump(make_examples(seed, identity, num_identities), output)
            output.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        # The parent is gone or stops us; it says why.
        sys.stderr.close()
        os._exit(1)


if __name__ == "__main__":
    _work(sys.argv[1:], sys.stdout.buffer)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What systems run on devices, described for a compiler: functions and shapes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.compiler import Program
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import PictureFn
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import checkpoint, parallel, platforms
from fakedet_jax.systems.options import Options
from fakedet_jax.training import loop

if TYPE_CHECKING:
    from fakedet_jax.systems.training_run import Training

# Pictures of a call, over all devices, where nobody says how many.
DEFAULT_BATCH_SIZE = 64

# Programs of a system by name; nothing is traced before one is asked for.
Programs = Mapping[str, Callable[[], Program]]


@dataclasses.dataclass(frozen=True)
class ProgramRequest:
    """For what a program is made.

    Attributes:
        mesh: The devices, which may be absent ones.
        options: Training options of the system; of these, architecture and dtype
            count.
        batch_size: Pictures, or rows of a table, of a call, over all devices; by
            default what suits the program.
    """

    mesh: Mesh
    options: Options
    batch_size: int | None = None

    @property
    def num_pictures(self) -> int:
        """Pictures of a call.

        Raises:
            RequestError: The devices cannot share them evenly.
        """
        if self.batch_size is None:
            return parallel.round_up_batch_size(DEFAULT_BATCH_SIZE, self.mesh)
        parallel.local_batch_size(self.batch_size, self.mesh)
        return self.batch_size


def choose(programs: Programs, name: str | None, owner: str) -> str:
    """The name of a program, the first one by default.

    Args:
        programs: Those that there are.
        name: The one that is asked for, if any.
        owner: Whose they are, for the message.

    Raises:
        RequestError: There is none of that name.
    """
    chosen = name or next(iter(programs))
    if chosen not in programs:
        raise RequestError(
            f"`what`: {owner} has {', '.join(programs)}, found {chosen!r}"
        )
    return chosen


def training(
    request: ProgramRequest,
    framing: Framing,
    made: "Training",
    label: jax.ShapeDtypeStruct,
) -> Program:
    """The step of a network's training.

    Args:
        request: For what it is made.
        framing: Of the pictures.
        made: The state and the step.
        label: Shape and dtype of the target of one picture.
    """
    mesh = request.mesh
    state = checkpoint.abstract_like(
        platforms.eval_shape(made.init_state), parallel.replicated(mesh)
    )
    labels = jax.ShapeDtypeStruct(
        (request.num_pictures, *label.shape),
        label.dtype,
        sharding=parallel.batch_sharding(mesh),
    )
    return Program(
        loop.compile_step(made.step, mesh),
        (state, _pictures(request, framing), labels),
        mesh,
        request.num_pictures,
    )


def of_pictures(
    request: ProgramRequest, framing: Framing, picture_fn: PictureFn, variables: Any
) -> Program:
    """A function of pictures, such as the class probabilities of a detector.

    Args:
        request: For what it is made.
        framing: Of the pictures.
        picture_fn: From variables and pictures to rows.
        variables: Shapes of the variables, a tree.
    """
    mesh = request.mesh
    return Program(
        platforms.jit_rows(picture_fn, mesh),
        (
            checkpoint.abstract_like(variables, parallel.replicated(mesh)),
            _pictures(request, framing),
        ),
        mesh,
        request.num_pictures,
    )


def _pictures(request: ProgramRequest, framing: Framing) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
        (request.num_pictures, *framing.shape),
        jnp.uint8,
        sharding=parallel.batch_sharding(request.mesh),
    )

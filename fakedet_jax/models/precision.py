# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How exactly networks multiply float32 numbers, in one place.

Every product of a network takes `of_products()` as its precision. Without anybody's
choice that is float32. `choose` sets JAX's own setting `jax_default_matmul_precision`
for the process, `using` for some lines of a thread. JAX reads it when a function is
traced and makes it a part of the key of everything compiled, so that a jitted function
is traced again after a change. Functions stay pure: two calls under one setting agree.

| Setting | CPUs | NVIDIA GPUs | TPUs |
|---|---|---|---|
| float32 | float32 | float32 | six bfloat16 products, as exact as float32 |
| tf32 | float32 | TF32 | three bfloat16 products, more exact than TF32 |
| bfloat16 | float32 | TF32 | one bfloat16 product |

Sums are float32 in all of them. Neither has an effect on networks that compute in
bfloat16, nor on mixtures and spectra, whose numbers need float32. The algorithms that
JAX offers for matrix products (`lax.DotAlgorithmPreset`), such as bfloat16 products on
GPUs, do not exist for convolutions; networks that compute in bfloat16 have them.
"""

import contextlib

import jax
from jax import lax

# JAX's names.
_NAMES = {"float32": "float32", "tf32": "tensorfloat32", "bfloat16": "bfloat16"}


def choose(name: str) -> None:
    """Sets the precision of products for this process.

    Args:
        name: float32, tf32 or bfloat16.

    Raises:
        KeyError: There is none of that name.
    """
    jax.config.update("jax_default_matmul_precision", _NAMES[name])


def using(name: str) -> contextlib.AbstractContextManager[object]:
    """Sets the precision of products for what this thread traces within it.

    Args:
        name: float32, tf32 or bfloat16.

    Raises:
        KeyError: There is none of that name.
    """
    context: contextlib.AbstractContextManager[object]
    context = jax.default_matmul_precision(_NAMES[name])
    return context


def chosen() -> str:
    """The name of the precision; float32 where nobody chose."""
    names = {theirs: ours for ours, theirs in _NAMES.items()}
    setting = _setting()
    return "float32" if setting is None else names.get(setting, setting)


def of_products() -> lax.Precision | None:
    """The `precision` of products and convolutions, when they are traced.

    None stands for JAX's setting. Without one, JAX would let accelerators round
    operands to TF32 or bfloat16.
    """
    return lax.Precision.HIGHEST if _setting() is None else None


def scope() -> contextlib.AbstractContextManager[object]:
    """`of_products()` for functions of JAX that take none, while they are traced."""
    return using("float32") if _setting() is None else contextlib.nullcontext()


def _setting() -> str | None:
    found: str | None = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return found

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detects AI-synthesised and manipulated faces with JAX and Flax.

Submodules are imported on first use, so that `import fakedet_jax` costs no more than
Python itself:

>>> import fakedet_jax
>>> fakedet_jax.systems.networks.traces.extract  # doctest: +ELLIPSIS
<function extract at ...>
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where the parts that research code imports from the package live.
_SUBMODULES = {
    "checkpoint": "runtime.checkpoint",
    "coverage": "systems.fakespotter.coverage",
    "data": "data",
    "detectors": "systems",
    "errors": "errors",
    "media": "media",
    "metrics": "evaluation.metrics",
    "mixture": "mixture",
    "models": "models",
    "optim": "training.optim",
    "parallel": "runtime.parallel",
    "perturb": "perturb",
    "report": "report",
    "systems": "systems",
    "traces": "systems.networks.traces",
    "weights": "weights",
}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{_SUBMODULES[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_SUBMODULES, "__version__"]

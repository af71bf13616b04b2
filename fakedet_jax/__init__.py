# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detects AI-synthesised and manipulated faces with JAX and Flax.

`load` gives a trained detector, a `Detector`, for pictures in memory and in files.

Submodules are imported on first use, so that `import fakedet_jax` costs no more than
Python itself:

>>> import fakedet_jax
>>> fakedet_jax.systems.networks.traces.extract  # doctest: +ELLIPSIS
<function extract at ...>
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakedet_jax.library.detector import Detector as Detector
    from fakedet_jax.library.detector import load as load

__version__ = "0.1.0"

# What the package offers itself.
_NAMES = {
    "Detector": "library.detector:Detector",
    "load": "library.detector:load",
}

# Where the parts that research code imports from the package live.
_SUBMODULES = {
    "attribution": "evaluation.attribution",
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
    if name in _NAMES:
        return pkgutil.resolve_name(f"{__name__}.{_NAMES[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_NAMES, *_SUBMODULES, "__version__"]

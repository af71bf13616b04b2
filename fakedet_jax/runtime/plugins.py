# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Plugins: installed packages that add detectors, backbones, layouts and the like.

A package announces a module under the entry-point group `fakedet_jax.plugins`, and the
module calls `register` functions of this package when it is imported:

    [project.entry-points."fakedet_jax.plugins"]
    theirs = "their_package.plugin"
"""

import functools
import importlib.metadata
import logging

GROUP = "fakedet_jax.plugins"

_LOGGER = logging.getLogger(__name__)


@functools.cache
def load() -> tuple[str, ...]:
    """Imports all plugins, in the order of their names; only the first call does so.

    A plugin that fails is reported by a warning of one line, and the others still load.
    What it registered before it failed stays registered.

    Returns:
        The names of the plugins that were imported without an error.
    """
    loaded = []
    entries = importlib.metadata.entry_points(group=GROUP)
    for entry in sorted(entries, key=lambda entry: (entry.name, entry.value)):
        try:
            entry.load()
        except (Exception, SystemExit) as error:  # Anything may happen in there.
            reason = " ".join(str(error).split()) or "no reason given"
            _LOGGER.warning(
                "the plugin %s (%s) failed: %s: %s",
                entry.name,
                entry.value,
                type(error).__name__,
                reason,
            )
        else:
            loaded.append(entry.name)
    return tuple(loaded)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""JAX's persistent compilation cache: compiled programs kept between processes.

A compiled program runs only on the kind of machine that it was compiled for. Each kind
has a folder of its own in the cache, named after the platform, the devices, the
processor's instructions and the version of JAX, so that a cache on a shared disk serves
several. JAX trusts what it reads there: who can write to the folder can run code. It is
made for its owner alone.

Nothing is removed from the cache. JAX's own limit, `jax_compilation_cache_max_size`,
needs the package filelock, which nothing else here needs, and fails in a folder that
was filled without a limit. It is left to users.
"""

import hashlib
import logging
import os
import platform
import re
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from fakedet_jax.errors import RequestError

_LOGGER = logging.getLogger(__name__)

_CPU_FACTS = Path("/proc/cpuinfo")


def use(folder: str | None, *, default: Path | None = None) -> Path | None:
    """Turns the cache on for this process, or off; the devices must be known.

    Args:
        folder: Where the user wants it; empty text for no cache, None for no wish.
        default: Where it lies without a wish; None leaves JAX's own settings, such as
            `JAX_COMPILATION_CACHE_DIR`. They also win over a default.

    Returns:
        The folder of this kind of machine, or None where this function turned no cache
        on.

    Raises:
        RequestError: The wanted folder cannot be written. A default that cannot be
            written is left out with a warning.
    """
    if folder is None:
        if default is None or _is_set():
            return None
        base, reason = default, _try_to_make(default / machine_kind())
        if reason is not None:
            _LOGGER.warning(
                "compiled programs are not kept, because %s cannot be written (%s); "
                "name another folder with `compilation_cache_dir`, or none",
                base,
                reason,
            )
            return None
    elif not folder:
        _set(None)
        return None
    else:
        base = Path(folder)
        reason = _try_to_make(base / machine_kind())
        if reason is not None:
            raise RequestError(
                "`compilation_cache_dir`: expected a folder that can be written, found "
                f"{folder!r} ({reason}); name another, or leave it out"
            )
    _set(base / machine_kind())
    return base / machine_kind()


def machine_kind() -> str:
    """Names what a compiled program depends on besides the program.

    Returns:
        Such as `cpu-cpu-x1-jax0.10.2-3f9a0c21`, safe as the name of a folder.
    """
    device = jax.devices()[0]
    words = (
        device.platform,
        device.device_kind,
        f"x{jax.local_device_count()}",
        f"jax{jax.__version__}",
        hashlib.sha256(_processor().encode()).hexdigest()[:8],
    )
    return "-".join(re.sub(r"[^a-z0-9.]+", "_", word.lower()) for word in words)


def _processor() -> str:
    """The instructions of the processor that compiles, as far as they are known."""
    facts = [platform.machine(), os.environ.get("XLA_FLAGS", "")]
    try:
        lines = _CPU_FACTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        facts.append(platform.processor())
    else:
        wanted = ("model name", "flags", "Features", "CPU part")
        facts += sorted({line for line in lines if line.startswith(wanted)})
    return "\n".join(facts)


def _try_to_make(folder: Path) -> str | None:
    """Makes a folder; gives the reason why nothing can be written there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"


def _is_set() -> bool:
    return bool(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]


def _set(folder: Path | None) -> None:
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    if folder is not None:
        # Small programs too: there are many, and each takes a tenth of a second.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # Without this, what was decided at an earlier compilation would stay.
    compilation_cache.reset_cache()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=merge`: joins the parts of a large run into one table."""

from pathlib import Path

from fakedet_jax.bulk import ledger, parts
from fakedet_jax.bulk import merge as bulk_merge
from fakedet_jax.config import MergeConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import storage, text


def merge(config: MergeConfig) -> bulk_merge.Merged:
    """Checks that a run is complete and joins its parts.

    Args:
        config: The settings.

    Returns:
        What was joined.

    Raises:
        RequestError: The folder is none of a large run, or not complete, or the table
            cannot be written.
    """
    if len(config.paths) != 1:
        raise RequestError(
            "`mode=merge` takes the folder of one run, such as scores/, found "
            f"{len(config.paths)}"
        )
    if config.output.suffix.lower().removeprefix(".") not in parts.FORMATS:
        raise RequestError(
            "`output`: expected a name that ends in .parquet or .csv, found "
            f"{str(config.output)!r}"
        )
    opened = ledger.open_ledger(Path(config.paths[0]), "paths")
    if config.output.resolve().parent == opened.folder.resolve():
        raise RequestError(
            f"`output`: expected a place outside {str(opened.folder)!r}, whose files "
            f"are those of the run, found {str(config.output)!r}"
        )
    has_vectors = any("[" in kind for kind in opened.request.columns.values())
    if has_vectors and config.output.suffix.lower() != ".parquet":
        raise RequestError(
            "`output`: expected a name that ends in .parquet, because features are "
            f"vectors, found {str(config.output)!r}"
        )
    storage.make_folder(config.output.parent, "output")
    with storage.writing_to(config.output, "output", "file"):
        return bulk_merge.merge(opened, config.output)


def to_text(merged: bulk_merge.Merged) -> str:
    """Writes a line for the terminal.

    Args:
        merged: What was joined.
    """
    num_results = merged.num_rows - merged.num_failed
    return (
        f"{text.counted(merged.num_inputs, 'input')} in "
        f"{text.counted(merged.num_parts, 'part')}: "
        f"{text.counted(merged.num_rows, 'row')}, {num_results:,} with a result, "
        f"{merged.num_failed:,} with an error"
    )

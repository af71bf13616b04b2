# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes `mobilefacenet_faces.json` with PyTorch: neuron coverage of real files.

The published weights of MobileFaceNet look at 222 faces, real and generated. Run from
the root of the repository; the pixels of the faces need this package, the network
needs PyTorch 2.13:

    python -m tests.golden.make_mobilefacenet_faces_golden --export faces.npy FOLDER
    python -m tests.golden.make_mobilefacenet_faces_golden faces.npy CHECKPOINT

FOLDER holds a folder of JPEG files for each class; CHECKPOINT is
`mobilefacenet_casia.ckpt`. All is computed in float64: the thresholds (Eq. 1 of Wang
et al., FakeSpotter, IJCAI 2020) are the means of what the convolutions give, the counts
(Eq. 2) are what lies strictly above them.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden import make_backbone_golden
from tests.golden.backbone_weights import SIZES

GOLDEN = Path(__file__).with_name("mobilefacenet_faces.json")
# Faces whose embeddings are stored, evenly spaced over all.
NUM_EMBEDDED = 8
_BATCH_SIZE = 6


def golden() -> dict[str, Any]:
    """The content of the golden file."""
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def read_faces(folder: Path) -> np.ndarray:
    """All faces as uint8 `[faces, 112, 96, 3]`, as large as they fit.

    Not by the preprocessing of the backbone: which part of a face to look at may
    change, the numbers of the network may not.
    """
    from fakedet_jax.media import decode
    from fakedet_jax.media.framing import Framing

    framing = Framing(*SIZES["mobilefacenet"])
    paths = sorted(folder.glob("*/*.jpg"))
    return np.stack([decode.read_picture(path, framing) for path in paths])


def fingerprint(faces: np.ndarray) -> str:
    """Tells whether the pixels are the ones that the golden numbers belong to."""
    return hashlib.sha256(faces.tobytes()).hexdigest()


def pick(rows: np.ndarray) -> np.ndarray:
    """The rows of the faces whose embeddings are stored."""
    return rows[np.linspace(0, len(rows) - 1, NUM_EMBEDDED).astype(int)]


def _run(tensors: dict[str, Any], faces: np.ndarray) -> Any:
    """Batches of the embeddings and the layers' outputs, each `[batch, neurons]`."""
    import torch

    for batch in np.array_split(faces, -(-len(faces) // _BATCH_SIZE)):
        pictures = torch.tensor(batch, dtype=torch.float64)
        embedding, layers = make_backbone_golden.mobilefacenet(tensors, pictures)
        # What the convolution gives, before its normalisation.
        yield embedding, [convolved.flatten(1) for convolved, _ in layers.values()]


def _golden(faces: np.ndarray, checkpoint: Path) -> dict[str, Any]:
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = {key: value.double() for key, value in state["net_state_dict"].items()}
    means = torch.cat(
        [
            torch.stack([outputs.mean(1) for outputs in layers], 1)
            for _, layers in _run(tensors, faces)
        ]
    )
    thresholds = means.mean(0)
    embeddings, batches = [], []
    for embedding, layers in _run(tensors, faces):
        embeddings.append(embedding)
        above = [
            (outputs > threshold).sum(1)
            for outputs, threshold in zip(layers, thresholds, strict=True)
        ]
        batches.append(torch.stack(above, 1))
    rows = pick(torch.cat(embeddings).numpy()).tolist()
    return {
        "pixels": fingerprint(faces),
        "thresholds": thresholds.tolist(),
        "counts": torch.cat(batches).tolist(),
        "embeddings": [[float(f"{value:.7g}") for value in row] for row in rows],
    }


def main(arguments: list[str]) -> None:
    """Writes the pixels of the faces, or the golden file."""
    if arguments[0] == "`export`":
        np.save(arguments[1], read_faces(Path(arguments[2])))
        return
    import torch

    with torch.no_grad():
        content = _golden(np.load(arguments[0]), Path(arguments[1]))
    GOLDEN.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

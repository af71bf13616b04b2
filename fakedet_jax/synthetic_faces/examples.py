# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of one identity: encoded photographs and fakes with ground truth.

Everything about a picture follows from (seed, identity, number), so the dataset does
not depend on the number of processes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fakedet_jax.synthetic_faces import camera, exif, fakes, person, scene
from fakedet_jax.synthetic_faces.texture import Array

CLASSES = ("real", *fakes.FAKES)
"""Class names: real first, then the kinds of fakes, sorted."""

KINDS_PER_IDENTITY = ("real",) * 4 + fakes.FAKES
"""Classes of an identity's pictures: four photographs and one fake of each kind."""

SPLITS = ("train", "validation", "test")

NUM_IDENTITIES = 400
"""Number of identities in the default dataset, with eight pictures each."""

SETTINGS = ("iso", "f_number", "exposure_time", "focal_length")
"""Camera settings that the dataset stores, in the order of `media.exif.TAGS`."""

_IDENTITY, _PICTURE, _FAKE = 0, 1, 2  # Streams of random numbers.
_DONOR = 100  # First number of pictures that only donate their faces.


@dataclasses.dataclass(frozen=True)
class Example:
    """An encoded picture with its ground truth.

    Attributes:
        name: Name of the file, `SPLIT/CLASS/NAME.jpg`.
        encoded: Bytes of the JPEG file.
        label: Name of the class.
        identity: Number of the identity, from 0.
        landmarks: (x, y) of the landmarks in pixels, float32 `[5, 2]`.
        box: Left, top, right, bottom of the face in pixels, float32 `[4]`.
        settings: Camera settings.
    """

    name: str
    encoded: bytes
    label: str
    identity: int
    landmarks: Array
    box: Array
    settings: camera.Settings


@dataclasses.dataclass(frozen=True)
class _Shot:
    """A photograph with all choices that were made for it."""

    identity: person.Identity
    sitting: person.Sitting
    settings: camera.Settings
    body: camera.Body
    optics_seed: list[int]
    picture: npt.NDArray[np.uint8]
    exposure: camera.Exposure


def split_of(identity: int, num_identities: int) -> str:
    """The split of an identity: 75 % train, 5 % validation, 20 % test.

    Validation and test have at least two identities, so that faces can be swapped.
    Identities after the first `NUM_IDENTITIES` only train, so that validation and test
    do not change with the number of identities.
    """
    return next(
        split for split in SPLITS if identity in identities_of(split, num_identities)
    )


def identities_of(split: str, num_identities: int) -> Sequence[int]:
    """The increasing numbers of a split's identities, of `num_identities` in all."""
    num_split = min(num_identities, NUM_IDENTITIES)
    test = max(2, round(0.20 * num_split))
    validation = max(2, round(0.05 * num_split))
    bounds = (0, num_split - test - validation, num_split - test, num_split)
    at = SPLITS.index(split)
    identities = range(bounds[at], bounds[at + 1])
    if split == "train" and num_identities > NUM_IDENTITIES:
        return [*identities, *range(NUM_IDENTITIES, num_identities)]
    return identities


def make_examples(seed: int, identity: int, num_identities: int) -> list[Example]:
    """Makes the pictures of one identity, in the order of `KINDS_PER_IDENTITY`.

    Args:
        seed: Seed of the dataset.
        identity: Number of the identity, in `[0, num_identities)`.
        num_identities: Number of identities in the dataset; faces are swapped only
            within a split.
    """
    split = split_of(identity, num_identities)
    peers = identities_of(split, num_identities)
    return [
        _make_example(seed, identity, number, kind, split, peers)
        for number, kind in enumerate(KINDS_PER_IDENTITY)
    ]


def _make_example(
    seed: int,
    identity: int,
    number: int,
    kind: str,
    split: str,
    peers: Sequence[int],
) -> Example:
    shot = _take(seed, identity, number)
    rng = np.random.default_rng([seed, identity, _FAKE, number])
    if kind == "real":
        picture = shot.picture
    elif kind == "entire_synthesis":
        picture = fakes.synthesise(_clean(shot), _grain(shot), rng)
    elif kind == "attribute_edit":
        picture = _edit(shot, rng)
    elif kind == "expression_manipulation":
        picture = fakes.manipulate_expression(
            shot.picture, shot.exposure.landmarks, rng
        )
    else:
        others = [peer for peer in peers if peer != identity]
        donor = _take(
            seed, int(rng.choice(others)), _DONOR + number, pose_of=shot.sitting
        )
        picture = fakes.swap_face(
            shot.picture,
            shot.exposure.landmarks,
            donor.picture,
            donor.exposure.landmarks,
            rng,
        )
    quality = int(rng.choice(exif.QUALITIES))
    return Example(
        name=f"{split}/{kind}/id{identity:05d}_{number:02d}.jpg",
        encoded=exif.encode(picture, quality, shot.body, shot.settings),
        label=kind,
        identity=identity,
        landmarks=shot.exposure.landmarks,
        box=shot.exposure.box,
        settings=shot.settings,
    )


def _take(
    seed: int, identity: int, number: int, pose_of: person.Sitting | None = None
) -> _Shot:
    """Photographs an identity, optionally in the pose and light of another sitting."""
    who = person.sample_identity(np.random.default_rng([seed, identity, _IDENTITY]))
    rng = np.random.default_rng([seed, identity, _PICTURE, number])
    sitting = person.sample_sitting(rng)
    if pose_of is not None:
        sitting = person.match_pose(sitting, pose_of)
    settings = camera.sample_settings(rng)
    body = camera.BODIES[rng.integers(len(camera.BODIES))]
    optics_seed = [seed, identity, _PICTURE, number, 1]
    picture, exposure = camera.photograph(
        scene.render(who, sitting, settings.focal_length),
        settings,
        body,
        np.random.default_rng(optics_seed),
    )
    return _Shot(who, sitting, settings, body, optics_seed, picture, exposure)


def _clean(shot: _Shot) -> npt.NDArray[np.uint8]:
    """The portrait without the effects of mosaic and noise."""
    return camera.finish(shot.exposure.light / shot.exposure.illuminant, shot.body)


def _grain(shot: _Shot) -> float:
    """Standard deviation of the photograph's noise in 8-bit steps."""
    noise = shot.picture.astype(np.float32) - _clean(shot)
    # Differences of neighbours cancel shifts of brightness and colour.
    return float(np.clip(np.diff(noise, axis=1).std() / 2**0.5, 0.5, 12))


def _edit(shot: _Shot, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    changed = person.edit_attribute(shot.identity, rng)
    after = camera.expose(
        scene.render(changed, shot.sitting, shot.settings.focal_length),
        shot.settings,
        np.random.default_rng(shot.optics_seed),
    )
    # Keep the brightness of the rest: the light meter must not react to the edit.
    before = _clean(shot)
    edited = camera.finish(after.light / after.illuminant, shot.body)
    return fakes.edit_attribute(shot.picture, before, edited, _grain(shot), rng)

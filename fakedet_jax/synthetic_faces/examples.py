# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The pictures of one identity: photographs and fakes, as files with their truths.

Everything about a picture follows from (seed, identity, number), so the data set does
not depend on how many processes make it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fakedet_jax.synthetic_faces import camera, exif, fakes, person, scene
from fakedet_jax.synthetic_faces.texture import Array

CLASSES = ("real", *fakes.FAKES)
"""Real first, then the kinds of fakes, sorted."""

KINDS_PER_IDENTITY = ("real",) * 4 + fakes.FAKES
"""Half of the pictures of every identity are photographs; each fake appears once."""

SPLITS = ("train", "validation", "test")

NUM_IDENTITIES = 400
"""People in the usual data set, with eight pictures each."""

_IDENTITY, _PICTURE, _FAKE = 0, 1, 2  # streams of random numbers
_DONOR = 100  # numbers of pictures that only lend their faces


@dataclasses.dataclass(frozen=True)
class Example:
    """One file and the truths about it; units as in the features of the data set."""

    name: str
    encoded: bytes
    label: str
    identity: int
    landmarks: Array
    box: Array
    settings: camera.Settings


@dataclasses.dataclass(frozen=True)
class _Shot:
    """A portrait with all that was chosen for it."""

    identity: person.Identity
    sitting: person.Sitting
    settings: camera.Settings
    body: camera.Body
    optics_seed: list[int]
    picture: npt.NDArray[np.uint8]
    exposure: camera.Exposure


def split_of(identity: int, num_identities: int) -> str:
    """Returns the split of an identity: 75 % train, 5 % validation, 20 % test.

    Validation and test have two identities at least, so that faces can be swapped. Who
    comes after the first `NUM_IDENTITIES` is for training only, so that validation and
    test are the same pictures however many people are asked for.
    """
    train, validation = _split_sizes(num_identities)
    if identity < train or identity >= NUM_IDENTITIES:
        return "train"
    return "validation" if identity < train + validation else "test"


def identities_of(split: str, num_identities: int) -> Sequence[int]:
    """Returns the identities of a split."""
    train, validation = _split_sizes(num_identities)
    bounds = (0, train, train + validation, min(num_identities, NUM_IDENTITIES))
    at = SPLITS.index(split)
    identities = range(bounds[at], bounds[at + 1])
    if split == "train" and num_identities > NUM_IDENTITIES:
        return [*identities, *range(NUM_IDENTITIES, num_identities)]
    return identities


def make_examples(seed: int, identity: int, num_identities: int) -> list[Example]:
    """Returns the pictures of one identity, `KINDS_PER_IDENTITY` in this order.

    Args:
        seed: of the whole data set.
        identity: in `[0, num_identities)`.
        num_identities: of the whole data set; faces are swapped within a split only.
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
    """Photographs an identity, perhaps in the pose and light of another sitting."""
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
    """Returns the portrait as it would be without mosaic and noise."""
    return camera.finish(shot.exposure.light / shot.exposure.illuminant, shot.body)


def _grain(shot: _Shot) -> float:
    """Returns the noise of the photograph in 8-bit steps, for generators to imitate."""
    noise = shot.picture.astype(np.float32) - _clean(shot)
    # Differences of neighbours leave shifts of brightness and colour out.
    return float(np.clip(np.diff(noise, axis=1).std() / 2**0.5, 0.5, 12))


def _edit(shot: _Shot, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    changed = person.edit_attribute(shot.identity, rng)
    after = camera.expose(
        scene.render(changed, shot.sitting, shot.settings.focal_length),
        shot.settings,
        np.random.default_rng(shot.optics_seed),
    )
    # The light meter must not answer to the edit: keep the brightness of the rest.
    before = _clean(shot)
    edited = camera.finish(after.light / after.illuminant, shot.body)
    return fakes.edit_attribute(shot.picture, before, edited, _grain(shot), rng)


def _split_sizes(num_identities: int) -> tuple[int, int]:
    """How many of the first `NUM_IDENTITIES` are for training, and for validation."""
    num_split = min(num_identities, NUM_IDENTITIES)
    validation = max(2, round(0.05 * num_split))
    test = max(2, round(0.20 * num_split))
    return num_split - validation - test, validation

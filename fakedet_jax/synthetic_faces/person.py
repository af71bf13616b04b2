# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Identities, and sittings: pose, expression, light and backdrop of one picture.

Lengths on the face are in half heights of the head: the chin is at y = 1, the crown at
y = -1, x points to the right of the picture and z towards the camera. Colours are
linear reflectances.
"""

import dataclasses

import numpy as np

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Identity:
    """Everything that is the same in all pictures of one person."""

    seed: int
    skin: Colour
    blush: float
    freckles: float
    roughness: float
    age: float
    half_width: float
    jaw: float
    eye_spacing: float
    eye_height: float
    eye_width: float
    eye_openness: float
    eye_tilt: float
    iris: Colour
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip_fullness: float
    lip_colour: Colour
    hair: Colour
    hair_volume: float
    hair_length: float
    hair_curl: float
    hairline: float
    hair_parting: float
    fringe: float
    beard: float
    glasses: bool
    frame_colour: Colour


@dataclasses.dataclass(frozen=True)
class Sitting:
    """Everything that differs between the pictures of one person.

    Angles are in radians; `centre` and `scale` in half widths of the frame; `gaze` in
    iris radii. `backdrop` is an index in `BACKDROPS` and `seed` determines its details.
    """

    seed: int
    yaw: float
    pitch: float
    roll: float
    centre: tuple[float, float]
    scale: float
    gaze: tuple[float, float]
    smile: float
    mouth_open: float
    eye_open: float
    brow_raise: float
    light_azimuth: float
    light_elevation: float
    light_contrast: float
    backdrop: int
    backdrop_colour: Colour
    cloth: Colour


_SKINS = np.array(
    [
        [0.66, 0.43, 0.33],
        [0.57, 0.35, 0.25],
        [0.47, 0.28, 0.19],
        [0.35, 0.19, 0.12],
        [0.22, 0.115, 0.07],
        [0.12, 0.06, 0.038],
    ]
)
_HAIRS = np.array(
    [
        [0.012, 0.010, 0.009],
        [0.035, 0.020, 0.012],
        [0.085, 0.045, 0.022],
        [0.17, 0.095, 0.045],
        [0.40, 0.27, 0.13],
        [0.24, 0.075, 0.025],
        [0.36, 0.35, 0.34],
    ]
)
_IRISES = np.array(
    [
        [0.055, 0.025, 0.012],
        [0.12, 0.055, 0.02],
        [0.10, 0.12, 0.05],
        [0.10, 0.19, 0.30],
        [0.17, 0.20, 0.21],
    ]
)
BACKDROPS = ("studio", "wall", "bricks", "shelves", "foliage", "lights")


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draws a random identity."""
    tone = rng.uniform(0, len(_SKINS) - 1)
    skin = _between(_SKINS, tone) * rng.uniform(0.94, 1.06, 3)
    dark = tone / (len(_SKINS) - 1)
    hair_weights = np.array([0.2, 0.24, 0.2, 0.14, 0.1, 0.05, 0.07])
    hair_weights[:2] += dark
    hair = _HAIRS[rng.choice(len(_HAIRS), p=hair_weights / hair_weights.sum())]
    iris_weights = np.array([0.3, 0.3, 0.12, 0.16, 0.12]) * (
        1 - dark * np.array([0, 0, 0.7, 0.95, 0.9])
    )
    iris = _IRISES[rng.choice(len(_IRISES), p=iris_weights / iris_weights.sum())]
    long_hair = rng.random() < 0.5
    bearded = not long_hair and rng.random() < 0.45
    lip = skin * np.array([0.86, 0.52, 0.56]) * rng.uniform(0.85, 1.1)
    if long_hair and rng.random() < 0.4:  # Lipstick.
        lip = lip * np.array([1.0, 0.45, 0.55])
    return Identity(
        seed=int(rng.integers(1 << 20)),
        skin=_colour(skin),
        blush=rng.uniform(0.2, 1) * (1 - 0.6 * dark),
        freckles=max(0.0, rng.uniform(-1.5, 1)) * (1 - dark),
        roughness=rng.uniform(0.5, 1.3),
        age=rng.beta(1.5, 2.5),
        half_width=rng.uniform(0.69, 0.78),
        jaw=rng.uniform(0.16, 0.34) - 0.08 * bearded,
        eye_spacing=rng.uniform(0.275, 0.325),
        eye_height=rng.uniform(-0.06, 0.02),
        eye_width=rng.uniform(0.125, 0.152),
        eye_openness=rng.uniform(0.36, 0.52),
        eye_tilt=rng.uniform(-0.06, 0.14),
        iris=_colour(iris * rng.uniform(0.8, 1.25)),
        brow_height=rng.uniform(0.15, 0.20),
        brow_thickness=rng.uniform(0.022, 0.036) + 0.012 * (not long_hair),
        brow_arch=rng.uniform(0.01, 0.05),
        nose_length=rng.uniform(0.29, 0.36),
        nose_width=rng.uniform(0.085, 0.115) + 0.02 * dark,
        mouth_height=rng.uniform(0.53, 0.59),
        mouth_width=rng.uniform(0.20, 0.26),
        lip_fullness=rng.uniform(0.75, 1.1) + 0.35 * dark,
        lip_colour=_colour(lip),
        hair=_colour(hair * rng.uniform(0.8, 1.2, 1)),
        hair_volume=rng.uniform(0.05, 0.16) + 0.05 * long_hair,
        hair_length=rng.uniform(0.7, 1.6) if long_hair else rng.uniform(0.0, 0.3),
        hair_curl=rng.uniform(0, 1) ** 2,
        hairline=rng.uniform(-0.62, -0.48),
        hair_parting=rng.uniform(-0.45, 0.45),
        fringe=rng.uniform(0.05, 0.2) * (rng.random() < 0.35),
        beard=rng.uniform(0.15, 1) if bearded else 0.0,
        glasses=bool(rng.random() < 0.18),
        frame_colour=_colour(rng.uniform(0.01, 0.12, 3) * rng.uniform(0.3, 1.5)),
    )


def sample_sitting(rng: np.random.Generator) -> Sitting:
    """Draws pose, expression, light and backdrop of one picture at random."""
    smile = rng.uniform(-0.25, 1)
    backdrop_colour = rng.uniform(0.12, 0.55) * rng.uniform(0.55, 1.3, 3)
    return Sitting(
        seed=int(rng.integers(1 << 20)),
        yaw=float(np.clip(rng.normal(0, 0.24), -0.55, 0.55)),
        pitch=float(np.clip(rng.normal(0, 0.09), -0.22, 0.22)),
        roll=float(np.clip(rng.normal(0, 0.07), -0.2, 0.2)),
        centre=(rng.uniform(-0.07, 0.07), rng.uniform(-0.04, 0.08)),
        scale=rng.uniform(0.66, 0.76),
        gaze=(rng.normal(0, 0.16), rng.normal(0, 0.07)),
        smile=smile,
        mouth_open=max(0.0, rng.normal(0.1 + 0.35 * max(smile, 0), 0.3)),
        eye_open=float(np.clip(rng.normal(1 - 0.12 * max(smile, 0), 0.1), 0.6, 1.2)),
        brow_raise=rng.normal(0, 0.015),
        light_azimuth=rng.uniform(-1.1, 1.1),
        light_elevation=rng.uniform(0.2, 0.95),
        light_contrast=rng.uniform(0.35, 0.85),
        backdrop=int(rng.integers(len(BACKDROPS))),
        backdrop_colour=_colour(backdrop_colour),
        cloth=_colour(rng.uniform(0.02, 0.5) * rng.uniform(0.3, 1.4, 3)),
    )


ATTRIBUTES = ("hair", "glasses", "lips", "beard")


def edit_attribute(identity: Identity, rng: np.random.Generator) -> Identity:
    """Changes one random attribute of an identity, such as attribute editors can edit.

    The hair gets another colour, eyeglasses are added or removed, the lips are painted,
    or a beard is added or removed.
    """
    attribute = ATTRIBUTES[rng.integers(len(ATTRIBUTES))]
    if attribute == "hair":
        here = np.array(identity.hair)
        distance = np.abs(np.log(_HAIRS / here)).sum(axis=1)
        far = np.argsort(distance)[3:]
        return dataclasses.replace(identity, hair=_colour(_HAIRS[rng.choice(far)]))
    if attribute == "glasses":
        return dataclasses.replace(identity, glasses=not identity.glasses)
    if attribute == "lips":
        shade = np.array([[0.45, 0.03, 0.05], [0.3, 0.03, 0.09], [0.5, 0.14, 0.15]])
        painted = shade[rng.integers(3)] * rng.uniform(0.7, 1.2)
        return dataclasses.replace(
            identity,
            lip_colour=_colour(painted),
            lip_fullness=identity.lip_fullness * 1.25,
        )
    beard = 0.0 if identity.beard else rng.uniform(0.5, 1)
    return dataclasses.replace(identity, beard=beard)


def match_pose(sitting: Sitting, other: Sitting) -> Sitting:
    """Gives `sitting` the pose, expression and light of `other`."""
    kept = ("seed", "centre", "scale", "backdrop", "backdrop_colour", "cloth")
    return dataclasses.replace(other, **{name: getattr(sitting, name) for name in kept})


def _between(palette: np.ndarray, position: float) -> np.ndarray:
    """Interpolates the colour at a fractional index of a palette."""
    low = int(position)
    high = min(low + 1, len(palette) - 1)
    return palette[low] + (position - low) * (palette[high] - palette[low])


def _colour(values: np.ndarray) -> Colour:
    """Clips a colour and turns it into floats, which a frozen dataclass can hold."""
    red, green, blue = (float(v) for v in np.clip(values, 0.003, 0.95))
    return red, green, blue

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Renders the light of a stylised portrait with NumPy.

The result is linear radiance in two layers, because a lens blurs the person and the
background by different amounts.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from fakedet_jax.synthetic_faces.backdrop import paint_backdrop
from fakedet_jax.synthetic_faces.features import (
    blank_canvas,
    landmark_points,
    paint_face,
)
from fakedet_jax.synthetic_faces.head import Head, Surface
from fakedet_jax.synthetic_faces.person import Identity, Sitting
from fakedet_jax.synthetic_faces.texture import (
    Array,
    bounding_slices,
    noise,
    shade,
    smooth,
    step,
)

SCENE_SIZE = 180
"""Side of a rendered scene in pixels."""

SCENE_EXTENT = 1.12
"""Half width of a scene in half widths of the frame; distortion needs the margin."""

_NORMAL_FOCAL_LENGTH = 50.0


@dataclasses.dataclass(frozen=True)
class Scene:
    """Radiance of a portrait and position of the face.

    Attributes:
        subject: Linear radiance of the person times `alpha`, float32
            `[SCENE_SIZE, SCENE_SIZE, 3]`.
        alpha: Fraction of each pixel that the person covers, float32
            `[SCENE_SIZE, SCENE_SIZE]`.
        background: Linear radiance of the background, float32
            `[SCENE_SIZE, SCENE_SIZE, 3]`.
        landmarks: Frame coordinates (x, y) of the eyes (left in the picture first), the
            tip of the nose and the corners of the mouth, float64 `[5, 2]`.
        face: Frame coordinates (x, y) of points all over the face, float64 `[n, 2]`.
    """

    subject: Array
    alpha: Array
    background: Array
    landmarks: npt.NDArray[np.float64]
    face: npt.NDArray[np.float64]


def render(identity: Identity, sitting: Sitting, focal_length: float) -> Scene:
    """Renders a portrait.

    The head fills the frame at any focal length, so a short one means a close camera,
    strong perspective and much background.

    Args:
        identity: The person.
        sitting: Pose, expression, light and backdrop.
        focal_length: Focal length in millimetres on 24 × 36 mm film.

    Returns:
        The scene.
    """
    axis = (np.arange(SCENE_SIZE, dtype=np.float32) + 0.5) * (2 / SCENE_SIZE) - 1
    axis *= np.float32(SCENE_EXTENT)
    frame_x, frame_y = (np.ascontiguousarray(a) for a in np.meshgrid(axis, axis))
    pixel = 2 * SCENE_EXTENT / SCENE_SIZE
    zoom = (_NORMAL_FOCAL_LENGTH / focal_length) ** 0.6
    background = paint_backdrop(frame_x * zoom, frame_y * zoom, pixel * zoom, sitting)

    head = Head(identity, sitting, distance=6.5 * focal_length / _NORMAL_FOCAL_LENGTH)
    x, y = head.to_plane(frame_x, frame_y)
    subject = np.zeros_like(background)
    alpha = np.zeros_like(x)
    easel = _Easel(subject, alpha, x, y, pixel / sitting.scale)
    light = _Light(sitting)
    # From back to front.
    _paint_back_hair(easel, identity, sitting, light)
    _paint_body(easel, identity, sitting, light)
    if identity.hair_length < 0.5:
        _paint_ears(easel, identity, sitting, light)
    _paint_head(easel, head, identity, sitting, light)
    return Scene(
        subject=subject,
        alpha=alpha,
        background=background,
        landmarks=head.project(landmark_points(identity, sitting)),
        face=head.project(_face_points(identity)),
    )


@dataclasses.dataclass(frozen=True)
class _Easel:
    """The subject layer and the plane coordinates in which it is painted.

    `unit` is the size of a pixel in half heights of the head.
    """

    subject: Array
    alpha: Array
    x: Array
    y: Array
    unit: float

    def window(self, left: float, right: float, top: float, bottom: float) -> "_Easel":
        """Views of the part that contains a rectangle of the plane."""
        hit = (self.x > left) & (self.x < right) & (self.y > top) & (self.y < bottom)
        part = bounding_slices(hit)
        return _Easel(
            self.subject[part], self.alpha[part], self.x[part], self.y[part], self.unit
        )

    def cover(self, radiance: Array, opacity: Array) -> None:
        """Paints `radiance` `[h, w, 3]` over the layer with `opacity` `[h, w]`."""
        rest = 1 - opacity
        for channel in range(3):
            plane = self.subject[..., channel]
            plane *= rest
            plane += opacity * radiance[..., channel]
        self.alpha[:] = 1 - (1 - self.alpha) * rest


class _Light:
    """A key light and ambient light."""

    def __init__(self, sitting: Sitting):
        elevation, azimuth = sitting.light_elevation, sitting.light_azimuth
        self.direction = np.array(
            [
                math.cos(elevation) * math.sin(azimuth),
                -math.sin(elevation),
                math.cos(elevation) * math.cos(azimuth),
            ],
            np.float32,
        )
        self.key = np.float32(0.6 + 1.1 * sitting.light_contrast)
        self.fill = np.float32(0.75 - 0.55 * sitting.light_contrast)

    def diffuse(self, normal: Array, wrap: float) -> Array:
        """Incident light `[h, w]`; `wrap` lets the key light reach round edges."""
        facing = normal @ self.direction
        lit = np.maximum((facing + np.float32(wrap)) / np.float32(1 + wrap), 0)
        sky = 0.8 - 0.2 * normal[..., 1]
        return self.key * lit + self.fill * sky

    def glint(self, normal: Array, exponent: float) -> Array:
        """Specular reflection `[h, w]` of the key light (Blinn-Phong)."""
        half = self.direction + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        result: Array = np.exp(
            np.float32(exponent) * (np.minimum(normal @ half, 1) - 1)
        )
        return result * self.key


def _face_points(identity: Identity) -> npt.NDArray[np.float64]:
    """Canonical points `[n, 2]` all over the face, from hairline to chin.

    The outline of a turned face differs from that of a frontal one, so points
    everywhere on the face are needed.
    """
    y = np.linspace(identity.hairline, 0.999, 9)
    half = identity.half_width * np.sqrt(1 - y**2)
    across = np.linspace(-1, 1, 13)
    x = np.multiply.outer(half, across)
    return np.column_stack([x.ravel(), np.repeat(y, len(across))])


def _strands(across: Array, along: Array, identity: Identity) -> Array:
    """Brightness of hair from strand to strand, about 1."""
    wave = identity.hair_curl * 0.09 * np.sin(along * 11 + 3 * np.sin(across * 3))
    fine = noise((across + wave) * 90, along * 7, identity.seed + 8, exponent=0)
    locks = noise((across + wave) * 28, along * 5, identity.seed + 9)
    return np.maximum(1 + 0.3 * fine + 0.3 * locks, 0.15)


def _hair_radiance(
    strands: Array, lit: Array, sheen: Array, identity: Identity
) -> Array:
    hair = np.array(identity.hair, np.float32)
    body = (strands * lit)[..., None] * hair
    shine = (sheen * strands**2)[..., None] * (0.035 + 0.35 * hair)
    return body + shine


def _paint_back_hair(
    easel: _Easel, identity: Identity, sitting: Sitting, light: _Light
) -> None:
    """Paints the hair that is visible behind the head."""
    low = max(identity.hair_length, 0.35) + 0.1
    easel = easel.window(-1.3, 1.3, -1.45, low)
    x, y, unit = easel.x, easel.y, easel.unit
    lean = 0.12 * math.sin(sitting.yaw)
    wide = identity.half_width + identity.hair_volume
    top = 0.95 + 0.9 * identity.hair_volume
    u = (x + lean) / wide
    v = (y + 0.1) / top
    rough = 0.02 + 0.05 * identity.hair_curl
    frizz = rough * noise(x * 45, y * 45, identity.seed + 10)
    cap = (1 - np.sqrt(u * u + v * v)) * wide
    if identity.hair_length > 0.5:
        flare = wide * (1.02 + 0.12 * np.clip(y, 0, 1))
        curtain = np.minimum(flare - np.abs(x + lean), identity.hair_length - y)
        cap = np.maximum(cap, np.minimum(curtain, y + 0.1))
    else:
        cap = np.minimum(cap, 0.35 - y)
    cover = step(cap + frizz, unit * 1.5 + 0.008)
    across = np.where(y > 0, u, np.arctan2(u, 1.2 - v))
    strands = _strands(across, np.hypot(u, v), identity)
    lit = light.fill * 0.7 + 0.25 * light.key * np.clip(
        1 + u * light.direction[0] - 0.6 * v, 0, 2
    )
    lit *= 0.35 + 0.65 * smooth(np.abs(u) + np.maximum(-v, 0), 0.5, 1.0)
    radiance = _hair_radiance(strands, lit, 0.15 * lit, identity)
    easel.cover(radiance, cover)


def _paint_body(
    easel: _Easel, identity: Identity, sitting: Sitting, light: _Light
) -> None:
    """Paints neck, shoulders and clothes."""
    easel = easel.window(-9, 9, 0.4, 9)
    x, y, unit = easel.x, easel.y, easel.unit
    shift = 0.1 * math.sin(sitting.yaw)
    u = x + shift * 0.5
    narrow = 0.40 + 0.2 * smooth(y, 1.05, 1.6) + 0.05 * (identity.hair_length < 0.5)
    neck = step(narrow - np.abs(u), unit)
    skin = shade(identity.skin, (0.97, 0.9, 0.88))
    turn = np.clip(u / 0.5, -1, 1)
    normal = np.stack(
        [turn, np.full_like(turn, 0.15), np.sqrt(np.maximum(1 - turn**2, 0.05))],
        axis=-1,
    )
    lit = light.diffuse(normal, 0.3) * (0.30 + 0.5 * smooth(y, 0.95, 1.55))
    lit *= 1 + 0.05 * noise(x * 50, y * 50, identity.seed)
    easel.cover(lit[..., None] * skin, neck)

    rng = np.random.default_rng([sitting.seed, 3])
    slope = rng.uniform(0.16, 0.3)
    collar = rng.uniform(1.16, 1.3)
    dip = 0.18 * np.exp(-((u / 0.3) ** 2))
    top = collar + slope * np.abs(u) ** 1.6 - 0.06 + dip
    cloth = step(y - top, unit)
    knit = noise(x * 110, y * 110, sitting.seed, exponent=0)
    folds = noise(x * 22, y * 10, sitting.seed + 1)
    pattern = 1 + 0.10 * knit + 0.12 * folds
    if rng.random() < 0.4:
        pattern = pattern * (1 + 0.5 * (np.sin((y - 0.3 * u * u) * 48) > 0.2))
    seam = np.exp(-(((y - top - 0.05) / 0.012) ** 2))
    pattern = pattern * (1 - 0.35 * seam)
    normal = np.stack([0.55 * np.tanh(u), -0.35 + 0 * u, 0.75 + 0 * u], axis=-1)
    lit = light.diffuse(normal, 0.2) * pattern
    lit *= 0.6 + 0.4 * smooth(y - top, 0.0, 0.15)
    easel.cover(lit[..., None] * np.array(sitting.cloth, np.float32), cloth)
    if identity.hair_length > 0.9:  # Long hair falls over the shoulders.
        inner = 0.55 - 0.06 * np.cos(y * 4 + identity.seed)
        lean = 0.12 * math.sin(sitting.yaw)
        outer = (identity.half_width + identity.hair_volume) * 1.12
        side = np.abs(x + lean)
        frizz = 0.05 * noise(x * 45, y * 30, identity.seed + 11)
        fall = np.minimum(np.minimum(side - inner, outer - side), 0.3)
        fall = np.minimum(fall, np.minimum(identity.hair_length - y, 0.6 * (y - 0.5)))
        strands = _strands(x * 1.2, y, identity)
        sheen = np.exp(-(((side - 0.5 * (inner + outer)) / 0.09) ** 2))
        lit = light.fill + light.key * (0.2 + 0.45 * sheen)
        easel.cover(
            _hair_radiance(strands, lit, 0.5 * sheen, identity),
            step(fall + frizz, unit + 0.01),
        )


def _paint_ears(
    easel: _Easel, identity: Identity, sitting: Sitting, light: _Light
) -> None:
    skin = shade(identity.skin, (1.0, 0.82, 0.78))
    height = 0.06 + 0.4 * math.sin(sitting.pitch)
    for side in (-1, 1):
        centre = side * identity.half_width * (
            1.02 * math.cos(sitting.yaw)
        ) - 0.12 * math.sin(sitting.yaw)
        part = easel.window(centre - 0.2, centre + 0.2, height - 0.3, height + 0.3)
        u = (part.x - centre) * side / 0.12
        v = (part.y - height) / 0.21
        radius = np.hypot(u - 0.15 * v, v)
        rim = np.exp(-(((radius - 0.72) / 0.16) ** 2))
        bowl = np.exp(-((radius / 0.45) ** 2))
        facing = 0.3 + 0.3 * side * light.direction[0] + 0.2 * light.direction[2]
        lit = (light.fill + light.key * facing) * (0.75 + 0.25 * rim - 0.4 * bowl)
        part.cover(lit[..., None] * skin, step((1 - radius) * 0.12, easel.unit))


def _paint_head(
    easel: _Easel, head: Head, identity: Identity, sitting: Sitting, light: _Light
) -> None:
    """Paints the face and the hair that grows on the head."""
    easel = easel.window(-1.0, 1.0, -1.25, 1.25)
    unit = easel.unit
    seen = head.surface(easel.x, easel.y)
    canvas = blank_canvas(seen.x, seen.y, unit)
    paint_face(canvas, identity, sitting)
    normal = _embossed(seen, canvas.height, unit)

    # Blood under the skin scatters red light beyond the edge of the shadow.
    lit = np.stack([light.diffuse(normal, w) for w in (0.36, 0.22, 0.16)], axis=-1)
    lit *= canvas.shadow[..., None]
    hair_edge = _hair_cover(seen, identity)
    near_hair = smooth(hair_edge, -0.16, 0.02)
    lit *= (1 - 0.42 * near_hair)[..., None]
    shine = canvas.gloss * (
        0.035 * light.glint(normal, 14) + 0.05 * light.glint(normal, 60)
    )
    rim = 1 - 0.3 * smooth(-normal[..., 2], -0.45, 0.0)
    radiance = (canvas.albedo * lit * rim[..., None]) + (
        shine * canvas.shadow + canvas.glow * light.key
    )[..., None]
    easel.cover(radiance, step(seen.inside, unit))

    cap = step(seen.inside + 0.03 + 0.5 * identity.hair_volume, unit * 2 + 0.01)
    strands, crown = _head_strands(seen, identity)
    lit = light.diffuse(seen.normal, 0.35)
    lit *= 0.75 + 0.25 * smooth(crown, 0.1, 0.6)
    sheen = 0.9 * light.glint(seen.normal, 9)
    cover = step(hair_edge, unit + 0.012) * cap
    easel.cover(_hair_radiance(strands, lit, sheen, identity), cover)


def _embossed(seen: Surface, height: Array, unit: float) -> Array:
    """The normals `[h, w, 3]` of a surface with a relief."""
    normal = seen.normal.copy()
    slope_y, slope_x = np.gradient(height, np.float32(unit))
    normal[..., 0] -= slope_x
    normal[..., 1] -= slope_y
    normal /= np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))[..., None]
    return normal


def _hair_cover(seen: Surface, identity: Identity) -> Array:
    """Distance `[h, w]` inside the outline of the hair on the head."""
    u = seen.x / identity.half_width
    parted = np.abs(u - identity.hair_parting)
    line = identity.hairline + 0.10 * np.minimum(parted, 0.8) ** 2
    long_hair = identity.hair_length > 0.5
    reach = 1.6 if long_hair else 0.62
    line = line + reach * smooth(np.abs(u), 0.70 if long_hair else 0.80, 1.05)
    line = line + 1.6 * identity.fringe * step(0.62 - np.abs(u), 0.15)
    jag = 0.018 + 0.05 * (identity.fringe > 0)
    line = line + jag * noise(seen.x * 70, seen.y * 8, identity.seed + 12, exponent=0)
    return line - seen.y


def _head_strands(seen: Surface, identity: Identity) -> tuple[Array, Array]:
    """Brightness of strands and distance from the crown, both `[h, w]`."""
    from_x = seen.x - identity.hair_parting * identity.half_width
    from_y = seen.y + 1.02
    crown = np.sqrt(from_x**2 + from_y**2)
    across = np.arctan2(from_x, from_y + 0.25)
    return _strands(across, crown, identity), crown

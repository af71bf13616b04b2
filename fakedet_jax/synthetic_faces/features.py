# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Paints facial features on the canonical head."""

import dataclasses
import math

import numpy as np

from fakedet_jax.synthetic_faces.person import Identity, Sitting
from fakedet_jax.synthetic_faces.texture import (
    Array,
    bounding_slices,
    bump,
    mix,
    noise,
    shade,
    smooth,
    step,
)


@dataclasses.dataclass
class Canvas:
    """Layers of a face, painted in place; float32 `[h, w]` unless stated otherwise.

    Attributes:
        x: Canonical horizontal coordinates.
        y: Canonical vertical coordinates.
        albedo: Reflectance, `[h, w, 3]`.
        height: Relief, in half heights of the head.
        gloss: Strength of highlights.
        glow: Light that is added unchanged, such as catch lights.
        shadow: Factor on the incident light.
        pixel: Size of a pixel in canonical units, a float.
    """

    x: Array
    y: Array
    albedo: Array
    height: Array
    gloss: Array
    glow: Array
    shadow: Array
    pixel: float

    def window(self, x: float, y: float, half_x: float, half_y: float) -> "Canvas":
        """Views of the part that contains a rectangle.

        Args:
            x: Canonical horizontal coordinate of its centre.
            y: Canonical vertical coordinate of its centre.
            half_x: Half its width in canonical units.
            half_y: Half its height in canonical units.

        Returns:
            A canvas; what is painted on it is on this canvas too. It is empty where
            the rectangle is outside.
        """
        hit = (np.abs(self.x - x) < half_x) & (np.abs(self.y - y) < half_y)
        part = bounding_slices(hit)
        layers = {name: layer for name, layer in vars(self).items() if name != "pixel"}
        views = {name: layer[part] for name, layer in layers.items()}
        return Canvas(**views, pixel=self.pixel)


def blank_canvas(x: Array, y: Array, pixel: float) -> Canvas:
    """Makes an empty canvas.

    Args:
        x: Canonical horizontal coordinates, float32 `[h, w]`.
        y: Canonical vertical coordinates, float32 `[h, w]`.
        pixel: Size of a pixel in canonical units.

    Returns:
        The canvas: black, flat, without highlights or shadows.
    """
    return Canvas(
        x=x,
        y=y,
        albedo=np.zeros((*x.shape, 3), np.float32),
        height=np.zeros_like(x),
        gloss=np.zeros_like(x),
        glow=np.zeros_like(x),
        shadow=np.ones_like(x),
        pixel=pixel,
    )


def paint_face(canvas: Canvas, identity: Identity, sitting: Sitting) -> None:
    """Paints all features of a face, from skin to eyeglasses.

    Args:
        canvas: Painted in place; what it held is lost.
        identity: The person.
        sitting: Expression and light.
    """
    _paint_skin(canvas, identity)
    _mould_relief(canvas, identity, sitting)
    if identity.beard:
        _paint_beard(canvas, identity, sitting)
    _paint_nose(canvas, identity)
    _paint_mouth(canvas, identity, sitting)
    for side in (-1, 1):
        _paint_eye(canvas, identity, sitting, side)
        _paint_brow(canvas, identity, sitting, side)
    if identity.glasses:
        _paint_glasses(canvas, identity)


def landmark_points(identity: Identity, sitting: Sitting) -> np.ndarray:
    """Canonical landmarks of a face, before it is turned.

    Args:
        identity: The person.
        sitting: Expression.

    Returns:
        (x, y) of the eyes (left in the picture first), the tip of the nose and the
        corners of the mouth, float64 `[5, 2]`.
    """
    corner = _mouth_half_width(identity, sitting)
    mouth_y = identity.mouth_height - 0.033 * sitting.smile
    return np.array(
        [
            [-identity.eye_spacing, identity.eye_height],
            [identity.eye_spacing, identity.eye_height],
            [0, identity.eye_height + identity.nose_length],
            [-corner, mouth_y],
            [corner, mouth_y],
        ]
    )


def _paint_skin(canvas: Canvas, identity: Identity) -> None:
    x, y, seed = canvas.x, canvas.y, identity.seed
    tone = np.array(identity.skin, np.float32)
    blotches = noise(x * 50, y * 50, seed)
    pores = noise(x * 130, y * 130, seed + 1, exponent=0)
    value = 1 + identity.roughness * (0.045 * blotches + 0.035 * pores)
    albedo = value[..., None] * tone
    cheeks = bump(np.abs(x) - 0.36, y - 0.27, 0.15, 0.14)
    nose = bump(x, y - identity.eye_height - identity.nose_length, 0.1, 0.08)
    red = identity.blush * (cheeks + 0.8 * nose) + 0.12 * blotches
    albedo *= 1 - red[..., None] * np.array([0.0, 0.2, 0.17], np.float32)
    if identity.freckles:
        spots = np.maximum(noise(x * 75, y * 75, seed + 2, exponent=0) - 1.1, 0)
        where = identity.freckles * (0.25 + cheeks + nose)
        albedo *= np.exp(
            -(spots * where)[..., None] * np.array([0.4, 0.7, 0.9], np.float32)
        )
    rings = bump(
        np.abs(x) - identity.eye_spacing, y - identity.eye_height - 0.1, 0.11, 0.04
    )
    albedo *= 1 - (0.1 + 0.16 * identity.age) * rings[..., None]
    canvas.albedo[:] = albedo
    canvas.height[:] = identity.roughness * (0.0012 * pores + 0.002 * blotches)
    canvas.gloss[:] = 0.6 + 0.5 * nose + 0.3 * bump(x, y + 0.42, 0.3, 0.12)


def _mould_relief(canvas: Canvas, identity: Identity, sitting: Sitting) -> None:
    x, y = canvas.x, canvas.y
    side = np.abs(x)
    eye_y = identity.eye_height
    tip = eye_y + identity.nose_length
    relief = 0.052 * bump(x, y - eye_y - 0.5 * identity.nose_length, 0.05, 0.15)
    relief += 0.075 * bump(x, y - tip + 0.01, 0.07, 0.06)
    relief += 0.034 * bump(side - identity.nose_width, y - tip - 0.02, 0.035, 0.04)
    relief -= 0.062 * bump(side - identity.eye_spacing, y - eye_y + 0.03, 0.13, 0.085)
    relief += 0.028 * bump(side - 0.25, y - eye_y + identity.brow_height, 0.17, 0.05)
    smile = max(sitting.smile, 0)
    relief += (0.03 + 0.03 * smile) * bump(side - 0.37, y - 0.24, 0.13, 0.11)
    relief += 0.045 * bump(x, y - 0.83, 0.12, 0.09)
    relief -= 0.02 * bump(x, y - 0.71, 0.14, 0.035)
    relief -= 0.010 * bump(x, y - tip - 0.1, 0.022, 0.04)
    # The fold between the nose and the corner of the mouth.
    start, end = identity.nose_width + 0.04, identity.mouth_width + 0.07
    along = np.clip((y - tip) / (identity.mouth_height - tip), -0.3, 1.2)
    across = side - start - (end - start) * along
    fold = np.exp(-0.5 * (across / 0.022) ** 2) * bump(y - 0.45, y * 0, 0.09, 1)
    relief -= (0.004 + 0.014 * smile + 0.012 * identity.age) * fold
    wrinkles = np.sin((y + 0.05 * np.cos(5 * x)) * 70) * bump(x, y + 0.36, 0.28, 0.07)
    relief += 0.0022 * identity.age * wrinkles
    canvas.height += relief
    canvas.shadow *= 1 - 0.28 * fold * (0.3 + 0.5 * smile + 0.4 * identity.age)
    canvas.shadow *= 1 - 0.2 * bump(
        side - identity.eye_spacing + 0.06, y - eye_y + 0.05, 0.1, 0.05
    )


def _paint_beard(canvas: Canvas, identity: Identity, sitting: Sitting) -> None:
    x, y = canvas.x, canvas.y
    side = np.abs(x)
    edge = 0.46 + 0.1 * noise(x * 30, y * 30, identity.seed + 3)
    cheek = smooth(y + 0.75 * np.maximum(side - 0.3, 0) - edge, -0.05, 0.12)
    lip = bump(x, y - identity.mouth_height, 0.2, 0.05)
    where = np.clip(cheek - lip, 0, 1) * identity.beard
    hairs = noise(x * 150, y * 55, identity.seed + 4, exponent=0)
    cover = np.clip(where * (0.75 + 0.3 * hairs), 0, 0.96)
    tone = np.array(identity.hair, np.float32) * (1 + 0.3 * hairs[..., None])
    canvas.albedo[:] = mix(canvas.albedo, np.maximum(tone, 0.004), cover)
    canvas.height += 0.006 * where * hairs
    canvas.gloss *= 1 - 0.7 * cover


def _paint_nose(canvas: Canvas, identity: Identity) -> None:
    tip = identity.eye_height + identity.nose_length
    part = canvas.window(0, tip, 0.24, 0.16)
    x, y, width = part.x, part.y - tip, identity.nose_width
    wall = np.exp(-(((np.abs(x) - width - 0.025) / 0.018) ** 2)) * bump(
        y - 0.01, y * 0, 0.035, 1
    )
    under = bump(x, y - 0.075, width, 0.022)
    part.shadow *= 1 - 0.35 * wall - 0.38 * under
    holes = bump(np.abs(x) - 0.52 * width, y - 0.052, 0.3 * width, 0.014)
    dark = shade(identity.skin, (0.12, 0.07, 0.06))
    part.albedo[:] = mix(part.albedo, dark, np.clip(1.2 * holes, 0, 0.9))
    part.gloss *= 1 - np.clip(holes + under, 0, 1)


def _mouth_half_width(identity: Identity, sitting: Sitting) -> float:
    return identity.mouth_width * (1 + 0.22 * sitting.smile)


def _paint_mouth(canvas: Canvas, identity: Identity, sitting: Sitting) -> None:
    width = _mouth_half_width(identity, sitting)
    part = canvas.window(0, identity.mouth_height + 0.03, width + 0.1, 0.26)
    u = part.x / width
    curve = np.clip(1 - u * u, 0, 1)
    # A smile bends the line between the lips; the jaw lowers the lower lip.
    line = part.y - identity.mouth_height - 0.055 * sitting.smile * (0.4 - u * u)
    gap = 0.14 * sitting.mouth_open * curve**0.7
    upper = gap * 0.3 + 0.068 * identity.lip_fullness * (1 - 0.3 * sitting.smile) * (
        curve**0.8 - 0.28 * np.exp(-((u / 0.13) ** 2))
    )
    lower = gap * 0.7 + 0.092 * identity.lip_fullness * curve**0.65 * (
        1 - 0.25 * max(sitting.smile, 0)
    )
    soft = part.pixel * 1.2
    lip = step(line + upper, soft) * step(lower - line, soft)
    opening = step(line + gap * 0.3, soft) * step(gap * 0.7 - line, soft)
    opening = opening * step(gap - 0.012, 0.01)
    creases = noise(part.x * 120, part.y * 18, identity.seed + 5, exponent=0)
    tone = np.array(identity.lip_colour, np.float32) * (1 + 0.07 * creases[..., None])
    tone = tone * (1 - 0.22 * step(-line, 0.02))[..., None]
    part.albedo[:] = mix(part.albedo, tone, 0.88 * lip)
    inner_y = (line + gap * 0.3) / np.maximum(gap, 1e-3)
    teeth = smooth(inner_y, 0.0, 0.12) * smooth(-inner_y, -0.72, -0.5)
    columns = 0.5 + 0.5 * np.cos(part.x * (2 * np.pi / 0.062))
    ivory = (
        np.array([0.62, 0.57, 0.49], np.float32)
        * ((0.78 + 0.22 * columns**0.3) * (1 - 0.55 * u * u))[..., None]
    )
    inside = mix(
        np.broadcast_to(np.array([0.05, 0.014, 0.012], np.float32), ivory.shape),
        ivory,
        teeth,
    )
    part.albedo[:] = mix(part.albedo, inside, opening)
    seam = np.exp(-((line / (0.011 + 0.3 * part.pixel)) ** 2)) * smooth(
        curve, 0.02, 0.2
    )
    part.shadow *= 1 - 0.72 * seam * (1 - opening)
    corners = bump(np.abs(u) - 1.0, line / width, 0.07, 0.07)
    part.shadow *= 1 - 0.45 * corners
    part.shadow *= 1 - 0.3 * bump(u, (line - lower - 0.03) / 0.03, 0.45, 0.8)
    roll = 0.03 * np.exp(-(((line - 0.5 * lower) / 0.035) ** 2)) * curve
    roll += 0.016 * np.exp(-(((line + 0.5 * upper) / 0.025) ** 2)) * curve
    part.height += roll * (1 - opening)
    part.gloss += lip * (1 - opening) * (0.8 + 0.4 * creases)
    part.gloss *= 1 - 0.7 * opening


def _paint_eye(canvas: Canvas, identity: Identity, sitting: Sitting, side: int) -> None:
    width = identity.eye_width
    centre = side * identity.eye_spacing
    part = canvas.window(centre, identity.eye_height, 1.75 * width, 1.3 * width)
    u = (part.x - centre) * side / width
    v = (part.y - identity.eye_height) / width + identity.eye_tilt * u
    soft = part.pixel / width
    arch = np.clip(1 - u * u, 0, 1)
    opening = identity.eye_openness * sitting.eye_open
    lid = -opening * (arch**0.75 + 0.12 * arch * u)
    low = 0.62 * opening * arch**0.9 - 0.03
    eye = step(v - lid, soft) * step(low - v, soft)
    # Undo the mirroring, because gaze turns both eyes to the same side.
    iris_u = (part.x - centre) / width - 0.42 * sitting.gaze[0]
    iris_v = v + 0.08 - 0.42 * sitting.gaze[1]
    radius = np.sqrt(iris_u**2 + iris_v**2) / 0.43
    spokes = noise(
        np.arctan2(iris_v, iris_u) * 12, radius * 6, identity.seed + 6, exponent=0
    )
    ring = 1 - 0.6 * smooth(radius, 0.72, 1.0) + 0.22 * spokes
    iris = np.array(identity.iris, np.float32) * np.maximum(ring, 0.1)[..., None]
    iris = mix(iris, (0.004, 0.004, 0.004), step(0.42 - radius, soft))
    white = (
        np.array([0.50, 0.46, 0.43], np.float32)
        * (1 - 0.35 * np.minimum(u * u, 1))[..., None]
    )
    ball = mix(white, iris, step(1 - radius, 1.3 * soft))
    ball *= (1 - 0.62 * np.exp(-np.maximum(v - lid, 0) / 0.14))[..., None]
    corner = bump(u + 0.93, v + 0.02, 0.09, 0.12)
    ball = mix(ball, shade(identity.skin, (0.9, 0.5, 0.5)), corner)
    part.albedo[:] = mix(part.albedo, ball, eye)
    part.gloss *= 1 - 0.9 * eye
    lash = np.exp(-(((v - lid + 0.03) / (0.075 + 0.4 * soft)) ** 2)) * smooth(
        arch, 0.05, 0.3
    )
    lash += 0.28 * np.exp(-(((v - low) / 0.07) ** 2)) * smooth(arch, 0.05, 0.3)
    hairs = 0.85 + 0.2 * noise(part.x * 140, part.y * 60, identity.seed, exponent=0)
    ink = np.array(identity.hair, np.float32) * 0.3
    part.albedo[:] = mix(part.albedo, ink, np.clip(0.92 * lash * hairs, 0, 1))
    crease = np.exp(-(((v - 1.25 * lid + 0.16) / 0.05) ** 2)) * smooth(
        1.05 - u * u, 0.0, 0.4
    )
    part.shadow *= 1 - (0.25 + 0.15 * identity.age) * crease
    catch_u = iris_u - 0.14 * math.sin(sitting.light_azimuth)
    light = step(0.1 - np.sqrt(catch_u**2 + (iris_v + 0.15) ** 2), soft)
    part.glow += 0.6 * light * eye
    part.height += 0.02 * eye * np.clip(1 - u * u - v * v, 0, 1)


def _paint_brow(
    canvas: Canvas, identity: Identity, sitting: Sitting, side: int
) -> None:
    centre = side * identity.eye_spacing * 1.04
    base = identity.eye_height - identity.brow_height - sitting.brow_raise
    part = canvas.window(centre, base, 0.26, 0.12)
    u = (part.x - centre) * side / 0.19
    arch = identity.brow_arch * (1 - (u - 0.25) ** 2 / 0.6) - 0.03 * np.maximum(
        u - 0.3, 0
    )
    taper = np.clip(1.05 - 0.45 * (u + 0.6), 0.15, 1)
    hairs = noise(
        (part.x - side * part.y) * 110, part.y * 35, identity.seed + 7, exponent=0
    )
    distance = np.abs(part.y - base + arch) / (identity.brow_thickness * taper)
    cover = np.exp(-(distance**2)) * step(1 - np.abs(u), 0.12)
    cover = np.clip(cover * (0.86 + 0.28 * hairs), 0, 0.95)
    ink = shade(identity.hair, (0.5, 0.5, 0.5))
    ink += shade(identity.skin, (0.06, 0.05, 0.04))
    part.albedo[:] = mix(part.albedo, ink, cover)
    part.height += 0.003 * cover * hairs
    part.gloss *= 1 - 0.8 * cover


def _paint_glasses(canvas: Canvas, identity: Identity) -> None:
    part = canvas.window(0, identity.eye_height + 0.02, 0.72, 0.3)
    side = np.abs(part.x)
    u = (side - identity.eye_spacing - 0.01) / 0.205
    v = (part.y - identity.eye_height - 0.02) / 0.155
    # In the fourth norm, a circle is a rounded rectangle.
    edge = (u**4 + v**4) ** 0.25 - 1
    soft = part.pixel / 0.18
    rim = step(0.1 - np.abs(edge), soft)
    bridge = step(0.022 - np.abs(part.y - identity.eye_height + 0.02), part.pixel)
    rim = np.maximum(rim, bridge * step(0.1 - side, part.pixel))
    temple = step(0.02 - np.abs(part.y - identity.eye_height + 0.02), part.pixel)
    rim = np.maximum(rim, temple * step(side - identity.eye_spacing - 0.21, 0.02))
    part.shadow *= 1 - 0.25 * np.exp(-((edge / 0.16) ** 2)) * step(v, 0.4)
    part.albedo[:] = mix(part.albedo, identity.frame_colour, rim)
    lens = step(-edge, soft)
    glare = np.exp(-(((part.x * 0.8 + part.y + 0.12) / 0.05) ** 2))
    part.glow += 0.035 * lens * (1 - rim) * (0.4 + glare)
    part.gloss += 1.5 * rim
    part.height += 0.015 * rim

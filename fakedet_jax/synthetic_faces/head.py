# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The head as a solid: a tapered ellipsoid seen in perspective.

Three frames of coordinates are used. *Frame*: the picture, [-1, 1] across its shorter
side, y down. *Plane*: the frame moved to the head's centre, turned by its roll and
measured in half heights of the head. *Canonical*: on the head itself, with yaw and
pitch undone, so that features are painted where they belong and foreshorten by
themselves.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from fakedet_jax.synthetic_faces.person import Identity, Sitting
from fakedet_jax.synthetic_faces.texture import Array, smooth

DEPTH = 0.86
"""Half the depth of every head, in half heights."""


@dataclasses.dataclass(frozen=True)
class Surface:
    """What is seen of a head in a window of the picture, all `[h, w]`.

    `x`, `y` are canonical; `normal` is `[h, w, 3]` and faces the camera; `inside` is
    the distance inside the silhouette in half heights of the head.
    """

    x: Array
    y: Array
    normal: Array
    inside: Array


class Head:
    """The geometry of one head before a camera at a given distance.

    Args:
        identity: shape of the head.
        sitting: pose and place in the frame.
        distance: from the camera to the head's centre, in half heights of the head.
    """

    def __init__(self, identity: Identity, sitting: Sitting, distance: float):
        self._radii = np.array([identity.half_width, 1.0, DEPTH])
        self._jaw = identity.jaw
        self._sitting = sitting
        self._distance = distance
        cos, sin = math.cos(sitting.yaw), math.sin(sitting.yaw)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        cos, sin = math.cos(sitting.pitch), math.sin(sitting.pitch)
        nod = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
        self._rotation = turn @ nod

    def to_plane(self, frame_x: Array, frame_y: Array) -> tuple[Array, Array]:
        """Returns plane coordinates of points of the frame."""
        sitting = self._sitting
        cos, sin = math.cos(sitting.roll), math.sin(sitting.roll)
        x = (frame_x - sitting.centre[0]) / sitting.scale
        y = (frame_y - sitting.centre[1]) / sitting.scale
        plane_x: Array = cos * x + sin * y
        plane_y: Array = cos * y - sin * x
        return plane_x, plane_y

    def project(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns frame coordinates `[n, 2]` of canonical points `[n, 2]` on the face.

        Points outside the silhouette of the frontal head lie on its rim.
        """
        xy = np.asarray(points, np.float64)
        depth = 1 - np.sum((xy / self._radii[:2]) ** 2, axis=1)
        z = DEPTH * np.sqrt(np.maximum(depth, 0))
        seen = np.column_stack([xy, z]) @ self._rotation.T
        plane = seen[:, :2] * (self._distance / (self._distance - seen[:, 2:]))
        plane[:, 0] *= self._taper(plane[:, 1])
        sitting = self._sitting
        cos, sin = math.cos(sitting.roll), math.sin(sitting.roll)
        frame = plane @ np.array([[cos, sin], [-sin, cos]])
        result: npt.NDArray[np.float64] = frame * sitting.scale + sitting.centre
        return result

    def surface(self, plane_x: Array, plane_y: Array) -> Surface:
        """Returns what rays through the plane meet, by solving for the near crossing.

        Outside the silhouette the nearest approach is returned, so that soft edges and
        hair have something to continue on.
        """
        plane_x = plane_x / self._taper(plane_y)
        # A ray runs from the plane to the eye; in coordinates where the head is the
        # unit sphere it is start + t * along.
        scaled = (self._rotation / self._radii).astype(np.float32)
        start = plane_x[..., None] * scaled[0] + plane_y[..., None] * scaled[1]
        along = np.float32(self._distance) * scaled[2] - start
        aa = np.einsum("hwc,hwc->hw", along, along)
        sa = np.einsum("hwc,hwc->hw", start, along)
        ss = np.einsum("hwc,hwc->hw", start, start)
        discriminant = sa * sa - aa * (ss - 1)
        t = (np.sqrt(np.maximum(discriminant, 0)) - sa) / aa
        sphere = start + t[..., None] * along
        normal = (sphere / self._radii.astype(np.float32)) @ self._rotation.T.astype(
            np.float32
        )
        normal /= np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))[..., None]
        miss = np.sqrt(np.maximum(1 - discriminant / aa, 0))
        inside = (1 - miss) * np.float32(0.85)
        x = sphere[..., 0] * np.float32(self._radii[0])
        return Surface(x=x, y=sphere[..., 1], normal=normal, inside=inside)

    def _taper(self, plane_y: npt.NDArray) -> npt.NDArray:
        """Returns the narrowing of the head from the cheekbones to the chin."""
        return 1 - self._jaw * smooth(plane_y, 0.05, 1.15)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The head as a solid: a tapered ellipsoid seen in perspective.

There are three systems of coordinates. *Frame*: the picture, [-1, 1] across its shorter
side, y down. *Plane*: the frame centred on the head, turned by its roll and scaled to
half heights of the head. *Canonical*: on the head itself, with yaw and pitch undone, so
that features that are painted there appear in perspective.
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
    """The visible surface of a head in a window of the picture.

    Attributes:
        x: Canonical horizontal coordinates, float32 `[h, w]`.
        y: Canonical vertical coordinates, float32 `[h, w]`.
        normal: Unit normals, z towards the camera, float32 `[h, w, 3]`.
        inside: Distance inside the silhouette in half heights of the head, float32
            `[h, w]`; negative outside.
    """

    x: Array
    y: Array
    normal: Array
    inside: Array


class Head:
    """The geometry of a head in front of a camera.

    Args:
        identity: Shape of the head.
        sitting: Pose and position in the frame.
        distance: Distance from the camera to the head's centre, in half heights of the
            head.
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
        """Maps frame coordinates to plane coordinates.

        Args:
            frame_x: Horizontal frame coordinates, float32 `[h, w]`.
            frame_y: Vertical frame coordinates, float32 `[h, w]`.

        Returns:
            Horizontal and vertical plane coordinates, float32 `[h, w]` each.
        """
        sitting = self._sitting
        cos, sin = math.cos(sitting.roll), math.sin(sitting.roll)
        x = (frame_x - sitting.centre[0]) / sitting.scale
        y = (frame_y - sitting.centre[1]) / sitting.scale
        plane_x: Array = cos * x + sin * y
        plane_y: Array = cos * y - sin * x
        return plane_x, plane_y

    def project(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Maps points on the face to the frame.

        Points outside the silhouette of the frontal head are mapped to its rim.

        Args:
            points: Canonical (x, y), `[n, 2]`.

        Returns:
            Frame coordinates (x, y), float64 `[n, 2]`.
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
        return frame * sitting.scale + sitting.centre

    def surface(self, plane_x: Array, plane_y: Array) -> Surface:
        """Finds the surface that rays through points of the plane hit first.

        Outside the silhouette it continues with the nearest approach of each ray, for
        soft edges and hair.

        Args:
            plane_x: Horizontal plane coordinates, float32 `[h, w]`.
            plane_y: Vertical plane coordinates, float32 `[h, w]`.

        Returns:
            The surface.
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
        """Factor of the head's width, which narrows from the cheekbones to the chin."""
        return 1 - self._jaw * smooth(plane_y, 0.05, 1.15)

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from fakedet_jax.synthetic_faces import head, person, scene


@pytest.fixture(scope="module")
def who():
    return person.sample_identity(np.random.default_rng(3))


@pytest.fixture(scope="module")
def sitting():
    drawn = person.sample_sitting(np.random.default_rng(4))
    return dataclasses.replace(drawn, yaw=0.0, pitch=0.0, roll=0.0, centre=(0.0, 0.0))


@pytest.mark.parametrize("backdrop", range(len(person.BACKDROPS)))
def test_radiance_is_light(who, sitting, backdrop):
    drawn = scene.render(who, dataclasses.replace(sitting, backdrop=backdrop), 50)
    for layer in (drawn.subject, drawn.alpha, drawn.background):
        assert layer.dtype == np.float32
        assert np.isfinite(layer).all() and layer.min() >= 0
    assert drawn.alpha.max() <= 1 + 1e-5


def test_most_people_can_be_drawn():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        person_, met = person.sample_identity(rng), person.sample_sitting(rng)
        drawn = scene.render(person_, met, 35)
        assert 0.3 < drawn.alpha.mean() < 0.95


def test_a_turned_head_moves_the_nose(who, sitting):
    def nose(yaw: float) -> float:
        points = scene.render(who, dataclasses.replace(sitting, yaw=yaw), 50).landmarks
        return float(points[2, 0] - points[:2, 0].mean())

    assert nose(-0.4) < -0.01 < 0.01 < nose(0.4)
    assert nose(0.0) == pytest.approx(0, abs=1e-6)


def test_a_near_camera_enlarges_what_is_near(who, sitting):
    def eyes_to_width(focal_length: float) -> float:
        drawn = scene.render(who, sitting, focal_length)
        width = np.ptp(drawn.face[:, 0])
        return float(np.ptp(drawn.landmarks[:2, 0]) / width)

    assert eyes_to_width(24) > 1.1 * eyes_to_width(135)


def test_rays_meet_the_points_that_are_projected(who, sitting):
    turned = dataclasses.replace(
        sitting, yaw=0.3, pitch=-0.1, roll=0.15, centre=(0.05, -0.03)
    )
    solid = head.Head(who, turned, distance=6.0)
    points = np.array([[-0.3, 0.0], [0.3, 0.0], [0.0, 0.3], [0.2, 0.55]])
    frame = solid.project(points).astype(np.float32)
    x, y = solid.to_plane(frame[None, :, 0], frame[None, :, 1])
    seen = solid.surface(x, y)
    np.testing.assert_allclose(seen.x[0], points[:, 0], atol=1e-4)
    np.testing.assert_allclose(seen.y[0], points[:, 1], atol=1e-4)


def test_normals_have_length_one(who, sitting):
    solid = head.Head(who, sitting, distance=6.0)
    axis = np.linspace(-1, 1, 21, dtype=np.float32)
    seen = solid.surface(*np.meshgrid(axis, axis))
    np.testing.assert_allclose(np.linalg.norm(seen.normal, axis=-1), 1, atol=1e-5)


def test_an_edit_changes_one_attribute(who):
    changes = set()
    for seed in range(20):
        edited = person.edit_attribute(who, np.random.default_rng(seed))
        changed = tuple(
            field.name
            for field in dataclasses.fields(who)
            if getattr(who, field.name) != getattr(edited, field.name)
        )
        changes.add(changed)
    assert changes == {
        ("hair",),
        ("glasses",),
        ("lip_fullness", "lip_colour"),
        ("beard",),
    }

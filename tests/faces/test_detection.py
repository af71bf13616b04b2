# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the face detectors."""

import concurrent.futures
import json
import pickle
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces import detection, opencv
from fakedet_jax.faces.face import intersection_over_union
from fakedet_jax.media.decode import decode
from tests.data.pictures import colourful
from tests.faces.scenes import group as group_of
from tests.faces.scenes import scenes

# How many faces one sees in each portrait.
NUM_FACES = {
    "angelina_jolie.jpg": 1,
    "df00204.jpg": 1,
    "df01254.jpg": 1,
    "kate_siegel.jpg": 1,
    "paul_rudd.jpg": 1,
    "real00240.jpg": 1,
    "real00772.jpg": 1,
    "several_faces.jpg": 6,
    "shea_whigham.jpg": 1,
}


@pytest.fixture(scope="session")
def yunet(shared_data):
    path = shared_data.parent / "models" / "face_detection_yunet.onnx"
    return detection.create("yunet", model=path)


@pytest.fixture
def group(shared_data):
    return decode((shared_data / "portraits" / "several_faces.jpg").read_bytes())


def same(faces, others):
    return len(faces) == len(others) and all(
        np.array_equal(a.box, b.box)
        and np.array_equal(a.landmarks, b.landmarks, equal_nan=True)
        for a, b in zip(faces, others, strict=True)
    )


def onnx(operation):
    """The bytes of a sound ONNX model of one operation."""

    def field(number, value):
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2, len(value)]) + value

    dimensions = b"".join(field(1, field(1, side)) for side in (1, 3, 64, 64))
    kind = field(1, field(1, 1) + field(2, dimensions))
    value = {name: field(1, name) + field(2, kind) for name in (b"x", b"y")}
    node = field(1, b"x") + field(2, b"y") + field(4, operation)
    graph = field(1, node) + field(2, b"g") + field(11, value[b"x"])
    graph += field(12, value[b"y"])
    return field(1, 7) + field(7, graph) + field(8, field(2, 11))


def test_none_takes_the_whole_picture():
    detector = detection.create("none")
    (face,) = detector.detect(colourful(30, 40))
    np.testing.assert_array_equal(face.box, (0, 0, 40, 30))
    assert detector.settings == {"name": "none"}


def test_boxes_from_a_file(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("path,left,top,right,bottom\na.png,1,2,5,6\na.png,0,0,9,9\n")
    detector = pickle.loads(pickle.dumps(detection.create("boxes", boxes=path)))
    faces = detector.detect(colourful(30, 40), name="a.png")
    assert [face.area for face in faces] == [81, 16]
    assert set(detector.settings) == {"name", "boxes_sha256"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("b", "outside of its 40×30"), ("c", "no line"), (None, "name")],
)
def test_a_box_that_does_not_suit_its_picture(tmp_path, name, reason):
    path = tmp_path / "boxes.csv"
    path.write_text("path,left,top,right,bottom\nb,50,2,55,6\n")
    with pytest.raises(ImageError, match=reason):
        detection.create("boxes", boxes=path).detect(colourful(30, 40), name=name)


def test_paths_of_boxes_are_looked_up_in_the_data_folder(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("path,left,top,right,bottom\nb,50,2,55,6\n")
    with pytest.raises(RequestError, match="which does not exist"):
        detection.create("boxes", boxes=path, data_dir=tmp_path)


@pytest.mark.parametrize("name", ["none", "haar"])
@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 32, 4), np.uint8),
        np.zeros((32, 32, 3), np.float32),
        np.zeros((10, 32, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(name, picture):
    with pytest.raises(ImageError):
        detection.create(name).detect(picture)


def test_haar_finds_no_face_where_there_is_none():
    detector = detection.create("haar")
    assert detector.detect(np.full((480, 640, 3), 90, np.uint8)) == []
    # Long and thin, and larger than what is searched at once.
    assert detector.detect(np.full((16, 5000, 3), 90, np.uint8)) == []
    assert json.dumps(detector.settings)


def test_places_are_those_of_the_whole_picture(monkeypatch):
    sizes = []

    class Cascade:
        def detectMultiScale(self, grey, **options):  # noqa: N802
            sizes.append(grey.shape)
            # A face of the whole left half, found only in the larger picture.
            height, width = grey.shape
            return [(0, 0, width // 2, height)] if width > 640 else []

    monkeypatch.setattr(opencv, "load_cascade", Cascade)
    (face,) = detection.create("haar").detect(np.zeros((1500, 3000, 3), np.uint8))
    assert sizes == [(320, 640), (640, 1280)]
    np.testing.assert_allclose(face.box, (0, 0, 1500, 1500))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("retina", {}, "`face_detector`: expected none, haar, yunet, boxes"),
        ("yunet", {}, "needs `face_detector_model=FILE`"),
        ("boxes", {}, "needs `face_boxes=FILE`"),
        ("haar", {"model": "x"}, "`face_detector_model` is for `face_detector=yunet`"),
        ("none", {"boxes": "x"}, "`face_boxes` is for `face_detector=boxes`"),
        ("haar", {"min_score": 0.5}, "`face_min_score` is for `face_detector=yunet`"),
        ("yunet", {"model": "x", "min_score": 1.5}, "between 0 and 1, found 1.5"),
        ("haar", {"longest_side": 8}, "at least 32 pixels, found 8"),
        ("yunet", {"model": "no/such"}, "`face_detector_model='no/such'`: .* no such"),
    ],
)
def test_settings_that_cannot_be(name, options, message):
    with pytest.raises(RequestError, match=message):
        detection.create(name, **options)


@pytest.mark.parametrize(
    "content", [b"", b"garbage" * 99, b"\x08\x07", onnx(b"Relu"), onnx(b"Nonsense")]
)
def test_a_file_that_is_no_model(tmp_path, content, capfd):
    path = tmp_path / "face.onnx"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="`face_detector_model=") as caught:
        detection.create("yunet", model=path)
    assert "\n" not in str(caught.value) and "something else" in str(caught.value)


def test_a_model_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "face.onnx"
    with path.open("wb") as file:
        file.truncate(opencv.MAX_MODEL_BYTES + 1)
    with pytest.raises(RequestError, match="more than 64 MiB"):
        detection.create("yunet", model=path)


@pytest.mark.parametrize("options", [{"name": "haar"}, {"name": "yunet", "model": "x"}])
def test_without_opencv(monkeypatch, tmp_path, options):
    monkeypatch.setitem(sys.modules, "cv2", None)
    if "model" in options:
        options = {**options, "model": tmp_path / "face.onnx"}
        options["model"].write_bytes(b"x")
    with pytest.raises(RequestError, match=r"pip install 'fakedet-jax\[video\]'"):
        detection.create(**options)


@pytest.mark.parametrize(
    "lacking",
    [
        types.SimpleNamespace(__version__="5.0.0"),
        types.SimpleNamespace(
            __version__="5.0.0",
            CascadeClassifier=cv2.CascadeClassifier,
            data=types.SimpleNamespace(haarcascades="/no/such/folder/"),
        ),
    ],
)
def test_opencv_without_cascades(monkeypatch, lacking):
    monkeypatch.setitem(sys.modules, "cv2", lacking)
    with pytest.raises(RequestError, match="comes with OpenCV 4 and not with the"):
        detection.create("haar")


def test_the_number_of_threads_is_the_callers():
    before = cv2.getNumThreads()
    try:
        opencv.set_num_threads(1)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", NUM_FACES)
def test_yunet_finds_the_faces_of_portraits(shared_data, yunet, name):
    picture = decode((shared_data / "portraits" / name).read_bytes())
    faces = yunet.detect(picture)
    assert len(faces) == NUM_FACES[name]
    for face in faces:
        left, top, right, bottom = face.box
        x, y = face.landmarks.T
        assert ((left < x) & (x < right) & (top < y) & (y < bottom)).all()
        # The right eye is on the left of the picture, and eyes are above the mouth.
        assert x[0] < x[1] and x[3] < x[4] and y[:2].max() < y[3:].min()
        assert 0.7 <= face.score <= 1
    areas = [face.area for face in faces]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["kate_siegel.jpg", "shea_whigham.jpg"])
def test_haar_agrees_with_yunet(shared_data, yunet, name):
    picture = decode((shared_data / "portraits" / name).read_bytes())
    haar = detection.create("haar").detect(picture)[0]
    overlap = intersection_over_union(haar.box, yunet.detect(picture)[0].box)
    assert overlap > 0.5


@pytest.mark.shared_data
def test_small_faces_in_a_large_photograph(yunet, group):
    # Faces of 6 pixels where a picture of 640 is searched.
    large = np.zeros((4000, 4000, 3), np.uint8)
    small = Image.fromarray(group).resize((600, 315), Image.Resampling.LANCZOS)
    large[3000:3315, 2000:2600] = np.asarray(small)
    found = np.array([face.box for face in yunet.detect(large)])
    expected = np.array([face.box for face in yunet.detect(group)]) / 2
    expected += np.array([2000, 3000, 2000, 3000])
    overlaps = intersection_over_union(expected, found)
    assert (overlaps.max(1) > 0.4).sum() >= 5


@pytest.mark.shared_data
def test_repeatable_after_other_pictures_with_other_threads(yunet, group):
    expected = yunet.detect(group)
    yunet.detect(colourful(50, 70))
    assert same(yunet.detect(group), expected)
    before = cv2.getNumThreads()
    try:
        opencv.set_num_threads(1)
        assert same(yunet.detect(group), expected)
    finally:
        cv2.setNumThreads(before)


@pytest.mark.shared_data
def test_views_are_searched_like_copies(yunet, group):
    mirrored = group[:, ::-1]
    assert same(yunet.detect(mirrored), yunet.detect(mirrored.copy()))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["yunet", "haar"])
def test_threads_and_pickles_find_the_same(yunet, group, name):
    detector = yunet if name == "yunet" else detection.create("haar")
    pictures = [group, group[:, ::-1], group[:300, :500]] * 2
    expected = [detector.detect(picture) for picture in pictures]
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.settings == detector.settings
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(copy.detect, pictures))
    assert all(map(same, found, expected))


@pytest.mark.shared_data
def test_settings_of_yunet_name_the_model(yunet, shared_data):
    settings = json.loads(json.dumps(yunet.settings))
    assert settings["name"] == "yunet" and settings["min_score"] == 0.7
    assert len(settings["model_sha256"]) == 64


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "recall"), [("yunet", 0.97), ("haar", 0.7)])
def test_recall(shared_data: Path, yunet, name, recall):
    detector = yunet if name == "yunet" else detection.create("haar")
    hits, false = [], 0
    for picture, box in scenes(shared_data / "faces256"):
        found = np.array([face.box for face in detector.detect(picture)])
        overlaps = intersection_over_union(box, found)[0]
        hits.append(overlaps.max(initial=0) >= 0.4)
        false += int((overlaps < 0.4).sum())
    print(f"{name}: {sum(hits)} of {len(hits)} faces, {false} others")
    assert np.mean(hits) > recall and false < 0.2 * len(hits)


def _num_found(detector, picture, boxes):
    faces = detector.detect(picture)
    assert len(faces) <= len(boxes) + 2  # Hardly any false ones.
    found = np.array([face.box for face in faces]).reshape(-1, 4)
    return int((intersection_over_union(boxes, found).max(1) > 0.25).sum())


@pytest.mark.shared_data
@pytest.mark.parametrize(("size", "expected"), [(92, 24), (62, 22), (46, 18)])
@pytest.mark.slow
def test_small_faces_of_a_large_photograph_are_found(shared_data, size, expected):
    model = shared_data.parent / "models" / "face_detection_yunet.onnx"
    picture, boxes = group_of(shared_data / "faces256", round(1.3 * size))
    narrow = detection.create("yunet", model=model)
    wide = detection.create("yunet", model=model, wide_side=detection.WIDE_SIDE)
    assert _num_found(narrow, picture, boxes) <= 12
    assert _num_found(wide, picture, boxes) >= expected
    # Large faces are the same as without the second search.
    large, boxes = group_of(shared_data / "faces256", 400)
    first = {tuple(face.box) for face in narrow.detect(large)}
    assert first <= {tuple(face.box) for face in wide.detect(large)}
    assert _num_found(wide, large, boxes) >= 22


@pytest.mark.shared_data
def test_the_second_search_survives_a_copy_and_is_stated(shared_data):
    model = shared_data.parent / "models" / "face_detection_yunet.onnx"
    wide = detection.create("yunet", model=model, wide_side=1600)
    copy = pickle.loads(pickle.dumps(wide))
    picture, _ = group_of(shared_data / "faces256", 120, 1, 1200, 1600)
    assert same(wide.detect(picture), copy.detect(picture))
    assert copy.settings["wide_side"] == 1600
    # A picture that is small enough for the first search has no second one.
    small = picture[:400, :500]
    narrow = detection.create("yunet", model=model)
    assert same(wide.detect(small), narrow.detect(small))

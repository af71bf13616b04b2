# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.features: counts and embeddings, through the job."""

import dataclasses
import io
import json

import jax
import numpy as np
import pytest

from fakedet_jax import settings, systems
from fakedet_jax.config import DataConfig, ExtractConfig, FaceConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import extract, train
from fakedet_jax.media.decode import decode
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.fakespotter import features
from tests import tiny
from tests.data.pictures import colourful, encode

_HEIGHT, _WIDTH = 18, 16
_NUMBER = 10
_LAYERS = list(tiny.LAYER_SIZES)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Weights, and files of the network's input size among two broken ones."""
    root = tmp_path_factory.mktemp("features")
    tiny.write_weights(root / "weights")
    (root / "files").mkdir()
    for number in range(_NUMBER):
        picture = encode(colourful(_HEIGHT, _WIDTH, number))
        (root / "files" / f"{number}.png").write_bytes(picture)
    (root / "files" / "00_empty.png").touch()
    (root / "files" / "4_broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return root


@pytest.fixture(scope="module")
def images(root):
    """The pixels of the readable files, which no resampling may touch."""
    paths = [root / "files" / f"{number}.png" for number in range(_NUMBER)]
    return np.stack([decode(path.read_bytes()) for path in paths])


@pytest.fixture(scope="module")
def workdir(root):
    """Of a FakeSpotter that was trained on other pictures."""
    data_dir = tiny.write_pictures(root / "pictures")
    places = (data_dir, root / "workdir", root / "weights", root / "cache")
    with tiny.registered():
        train.train(tiny.spotter_config(*places, recipe={"num_epochs": 1}))
    return root / "workdir"


# Settings of a backbone, which are a part of their own.
_BACKBONE = ("backbone", "weights", "neuron", "site", "dtype")


@pytest.fixture(scope="module")
def request_for(root):
    """From an output folder and changes to a request."""

    def make(output, name="coverage", **changes):
        backbone = {
            "backbone": "tiny_faces",
            "weights": root / "weights",
            **{name: changes.pop(name) for name in _BACKBONE if name in changes},
        }
        values = {
            "features": name,
            "output": output,
            "num_threads": 2,
            "paths": (str(root / "files"),),
            "batch_size": 8,
            **{name: value for name, value in backbone.items() if value is not None},
        }
        request = settings.build(ExtractConfig, values)
        return dataclasses.replace(request, **changes)

    return make


def _extract(request):
    with tiny.registered():
        path = extract.extract(request)
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def counted(root, request_for):
    return _extract(request_for(root / "counted"))


@pytest.fixture(scope="module")
def outputs(images):
    """The embedding and each layer's outputs `[pictures, neurons]`."""
    values = (images[..., ::-1].astype(np.float32) - np.float32([90, 100, 110])) / 64
    embedding, out = tiny.Recognizer().apply(tiny.recognizer_variables(), values)
    layers = [np.asarray(layer).reshape(len(images), -1) for layer in out.values()]
    return np.asarray(embedding), layers


def _counts(layers, thresholds):
    pairs = zip(layers, thresholds, strict=True)
    return np.stack([(layer > threshold).sum(1) for layer, threshold in pairs], 1)


def test_counts_are_those_of_the_very_pictures(counted, outputs):
    assert counted["features"].dtype == np.int32
    assert counted["thresholds"].dtype == np.float32
    expected = [layer.mean(dtype=np.float64) for layer in outputs[1]]
    np.testing.assert_allclose(counted["thresholds"], expected, rtol=1e-6, atol=1e-7)
    found = _counts(outputs[1], counted["thresholds"])
    np.testing.assert_allclose(counted["features"], found, atol=1)


def test_layers_are_in_network_order_with_their_sizes(counted):
    assert counted["layers"].tolist() == _LAYERS == ["stem", "body", "head"]
    assert counted["layer_sizes"].tolist() == list(tiny.LAYER_SIZES.values())
    assert counted["layer_sizes"].dtype == np.int64


def test_unreadable_pictures_have_a_reason_and_no_row(counted, root):
    paths = [str(root / "files" / f"{number}.png") for number in range(_NUMBER)]
    assert counted["paths"].tolist() == paths
    assert counted["labels"].tolist() == [-1] * _NUMBER
    lines = (root / "counted" / "skipped.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [
        str(root / "files" / "00_empty.png"),
        str(root / "files" / "4_broken.jpg"),
    ]
    assert all(line.split(",", 1)[1] for line in lines[1:])
    # Nothing is drawn of counts.
    assert sorted(path.name for path in (root / "counted").iterdir()) == [
        "features.npz",
        "skipped.csv",
    ]


@pytest.mark.parametrize("batch_size", [1, 16])
def test_the_batch_size_changes_nothing(tmp_path, request_for, counted, batch_size):
    found = _extract(request_for(tmp_path, batch_size=batch_size))
    np.testing.assert_allclose(found["thresholds"], counted["thresholds"], rtol=1e-6)
    np.testing.assert_allclose(found["features"], counted["features"], atol=1)


def test_one_device_counts_as_eight(tmp_path, request_for, counted, monkeypatch):
    one = parallel.data_mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "data_mesh", lambda: one)
    found = _extract(request_for(tmp_path))
    np.testing.assert_allclose(found["thresholds"], counted["thresholds"], atol=1e-6)
    np.testing.assert_allclose(found["features"], counted["features"], atol=2)


def test_thresholds_of_a_file_give_its_very_counts(
    tmp_path, request_for, counted, root
):
    thresholds = root / "counted" / "features.npz"
    found = _extract(request_for(tmp_path / "all", thresholds=thresholds))
    np.testing.assert_array_equal(found["features"], counted["features"])
    np.testing.assert_array_equal(found["thresholds"], counted["thresholds"])
    # One picture alone has the same row, as nothing is fitted on it.
    paths = (str(root / "files" / "7.png"),)
    request = request_for(tmp_path / "one", thresholds=thresholds, paths=paths)
    np.testing.assert_array_equal(
        _extract(request)["features"][0], found["features"][7]
    )


def test_a_workdir_counts_with_its_own_thresholds(
    tmp_path, request_for, workdir, outputs
):
    with tiny.registered():
        fitted = systems.load(workdir, parallel.data_mesh())
    request = request_for(tmp_path, workdir=workdir, backbone=None, weights=None)
    found = _extract(request)
    np.testing.assert_array_equal(found["thresholds"], fitted.variables["thresholds"])
    expected = _counts(outputs[1], found["thresholds"])
    np.testing.assert_allclose(found["features"], expected, atol=1)


def test_a_file_of_thresholds_goes_before_those_of_a_workdir(
    tmp_path, request_for, workdir, counted, root
):
    found = _extract(
        request_for(
            tmp_path,
            workdir=workdir,
            backbone=None,
            weights=None,
            thresholds=root / "counted" / "features.npz",
        )
    )
    np.testing.assert_array_equal(found["features"], counted["features"])


def test_a_workdir_knows_its_pictures(tmp_path, request_for, workdir):
    found = _extract(
        request_for(tmp_path, workdir=workdir, backbone=None, weights=None, paths=())
    )
    assert found["features"].shape == (11, 3)
    assert found["classes"].tolist() == ["real", "fake"]
    assert sorted(found["labels"].tolist()) == [0] * 5 + [1] * 6


def test_embeddings_are_those_of_the_network(
    tmp_path, request_for, workdir, outputs, images
):
    found = _extract(request_for(tmp_path / "backbone", "embedding"))
    assert found["features"].dtype == np.float32
    np.testing.assert_allclose(found["features"], outputs[0], rtol=1e-4, atol=1e-5)
    assert found["thresholds"].size == found["layer_sizes"].size == 0
    own = {"workdir": workdir, "backbone": None, "weights": None}
    again = _extract(request_for(tmp_path / "workdir", "embedding", **own))
    np.testing.assert_array_equal(again["features"], found["features"])


def test_channels_are_counted_when_asked_for(tmp_path, request_for):
    found = _extract(request_for(tmp_path, neuron="channel", site="activation"))
    assert found["layer_sizes"].tolist() == [6, 8, 5]
    assert (found["features"] <= [6, 8, 5]).all()


def test_the_command_writes_the_same(tmp_path, root, counted):
    flags = ("--mode=extract", "--features=coverage", "--backbone=tiny_faces")
    places = (f"--weights={root / 'weights'}", f"--output={tmp_path}")
    assert tiny.run_cli(*flags, *places, "--batch_size=8", str(root / "files")) == 0
    with np.load(tmp_path / "features.npz") as archive:
        np.testing.assert_array_equal(archive["features"], counted["features"])


def _settings(arrays):
    return json.loads(str(arrays["settings"]))


@pytest.fixture(scope="module")
def own_settings(root):
    card = json.loads((root / "weights" / "card.json").read_text())
    return {
        "backbone": "tiny_faces",
        "weights": card["digest"],
        "neuron": "unit",
        "site": "layer",
        "dtype": "float32",
        "matmul_precision": "float32",
    }


def test_settings_are_kept_with_the_features(counted, own_settings):
    assert counted["settings"].shape == ()
    assert _settings(counted) == own_settings


def test_a_workdir_has_the_settings_that_it_was_trained_with(
    tmp_path, request_for, workdir, own_settings
):
    request = request_for(
        tmp_path, "embedding", workdir=workdir, backbone=None, weights=None
    )
    assert _settings(_extract(request)) == own_settings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("backbone", "with backbone='other.*', expected tiny_faces"),
        ("weights", "with weights='other.*', expected "),
        ("neuron", "with neuron='other.*', expected unit"),
        ("site", "with site='other.*', expected layer"),
        ("dtype", "with dtype='other.*', expected float32"),
    ],
)
def test_thresholds_of_other_settings_are_refused(
    tmp_path, request_for, own_settings, name, message
):
    # No escape sequence of a file reaches the terminal.
    settings = json.dumps({**own_settings, name: "other\n\x1b[2J"})
    path = tmp_path / "file.npz"
    path.write_bytes(_npz(thresholds=_GOOD, settings=np.array(settings)))
    request = request_for(tmp_path / "out", thresholds=path)
    with pytest.raises(RequestError, match=message) as caught:
        _extract(request)
    assert str(caught.value).startswith(f"`thresholds`: {str(path)!r} was fitted with")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_thresholds_of_another_extraction_are_refused(tmp_path, request_for, counted):
    del counted
    other = request_for(tmp_path / "other", site="activation", neuron="channel")
    _extract(other)
    request = request_for(
        tmp_path / "out", thresholds=tmp_path / "other" / "features.npz"
    )
    message = "neuron=channel, expected unit; with site=activation, expected layer"
    with pytest.raises(RequestError, match=message):
        _extract(request)


@pytest.mark.parametrize("text", ["{", "[]", '"site"', "9" * 5000])
def test_settings_that_cannot_be_read_are_refused(tmp_path, request_for, text):
    path = tmp_path / "file.npz"
    path.write_bytes(_npz(thresholds=_GOOD, settings=np.array(text)))
    request = request_for(tmp_path / "out", thresholds=path)
    with pytest.raises(RequestError, match=r"file\.npz': settings: expected"):
        _extract(request)


def test_plain_thresholds_are_taken(tmp_path, request_for, counted):
    path = tmp_path / "file.npz"
    path.write_bytes(_npz(thresholds=counted["thresholds"]))
    found = _extract(request_for(tmp_path / "out", thresholds=path))
    np.testing.assert_array_equal(found["features"], counted["features"])


def _warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno > 20]


def test_thresholds_fitted_on_files_are_warned_of(tmp_path, request_for, root, caplog):
    request = request_for(tmp_path, paths=(str(root / "files" / "7.png"),))
    _extract(request)
    (warning,) = _warnings(caplog)
    assert warning.startswith("the thresholds are fitted on these very files")


@pytest.mark.parametrize("split", ["train", "validation", "test", "all"])
def test_thresholds_fitted_on_pictures_to_be_judged_are_warned_of(
    tmp_path, request_for, workdir, root, caplog, split
):
    del workdir  # Its pictures are needed.
    data = DataConfig("folder", root / "pictures")
    _extract(request_for(tmp_path, paths=(), data=data, split=split))
    expected = f"the thresholds are fitted on this very split ({split})"
    found = [warning.startswith(expected) for warning in _warnings(caplog)]
    assert found == ([] if split == "train" else [True])


def test_thresholds_from_elsewhere_are_not_warned_of(
    tmp_path, request_for, root, counted, caplog
):
    del counted
    thresholds = root / "counted" / "features.npz"
    paths = (str(root / "files" / "7.png"),)
    _extract(request_for(tmp_path, thresholds=thresholds, paths=paths))
    assert not _warnings(caplog)


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


_GOOD = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no array `thresholds` of numbers"),
        (b"garbage" * 9, "holds no array `thresholds` of numbers"),
        (_npz(thresholds=_GOOD)[:-30], "holds no array `thresholds` of numbers"),
        (_npz(others=_GOOD), "holds no array `thresholds` of numbers"),
        (_npy(_GOOD), "holds no array `thresholds` of numbers"),
        (_npz(thresholds=np.array([{}] * 3)), "holds no array `thresholds` of numb"),
        (_npz(thresholds=np.zeros(2**18)), "holds no array `thresholds` of numbers"),
        (_npz(thresholds=_GOOD[:2]), r"expected 3 numbers.* found shape \[2\]"),
        (_npz(thresholds=np.float32([0, np.nan, 0])), "found others for .* body"),
        (_npz(thresholds=np.array(["a", "b", "c"])), "expected an array of numbers"),
    ],
    ids=[
        *("empty", "garbage", "cut", "absent", "npy", "pickle", "large"),
        *("another backbone", "nan", "text"),
    ],
)
def test_unusable_thresholds_are_refused(tmp_path, request_for, content, message):
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    request = request_for(tmp_path / "out", thresholds=path)
    with pytest.raises(RequestError, match=message) as caught:
        _extract(request)
    assert str(caught.value).startswith(f"`thresholds`: {str(path)!r}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_thresholds_that_are_not_there_are_refused(tmp_path, request_for):
    request = request_for(tmp_path / "out", thresholds=tmp_path / "none.npz")
    with pytest.raises(RequestError, match=r"`thresholds`: .*No such file"):
        _extract(request)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workdir": "workdir"}, "`workdir`, `backbone`: the network comes from one"),
        ({"backbone": "gone"}, "`backbone`: expected vggface2_resnet50"),
        ({"backbone": "mobilefacenet"}, "`weights`: .* holds 'tiny_faces'"),
        ({"backbone": None, "weights": None}, "`workdir`: `features=coverage` needs"),
        ({"backbone": None}, "`weights`: give `backbone` too"),
        ({"weights": None}, "`weights`: `backbone=tiny_faces` needs its weights"),
        ({"neuron": "x"}, "`neuron`: expected unit, channel"),
        ({"site": "x"}, "`site`: expected layer, activation"),
        ({"dtype": "x"}, "`dtype`: expected float32, bfloat16"),
        ({"paths": ()}, "name files, or the pictures by `dataset`"),
        (
            {"features": "embedding", "thresholds": "x"},
            "`thresholds`: `features=embedding` counts nothing",
        ),
        ({"features": "traces"}, "`features`: the backbone tiny_faces has no traces"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(tmp_path, request_for, changes, message):
    with pytest.raises(RequestError, match=message) as caught:
        _extract(request_for(tmp_path / "out", **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The workdir of a detector that is one network."""
    root = tmp_path_factory.mktemp("classifier")
    data_dir = tiny.write_pictures(root / "pictures")
    return tiny.fit(data_dir, root / "workdir", recipe={"num_epochs": 1})


@pytest.mark.parametrize("name", ["coverage", "embedding"])
def test_a_classifier_counts_nothing(tmp_path, request_for, name, classifier):
    request = request_for(
        tmp_path / "out", name, workdir=classifier, backbone=None, weights=None
    )
    message = f"the detector 'tiny' of `workdir` has no {name}, only scores"
    with pytest.raises(RequestError, match=message):
        _extract(request)


def test_a_fakespotter_has_no_traces(tmp_path, request_for, workdir):
    request = request_for(
        tmp_path / "out", "traces", workdir=workdir, backbone=None, weights=None
    )
    with pytest.raises(
        RequestError, match=r"'fakespotter, tiny_faces' .* has no traces"
    ):
        _extract(request)


def test_a_backbone_sees_the_faces_that_are_asked_for(tmp_path, request_for):
    photo = colourful(60, 60, 3)
    (tmp_path / "photo.png").write_bytes(encode(photo))
    crop = photo[10 : 10 + _HEIGHT, 20 : 20 + _WIDTH]
    (tmp_path / "crop.png").write_bytes(encode(crop))
    boxes = tmp_path / "boxes.csv"
    right, bottom = 20 + _WIDTH, 10 + _HEIGHT
    boxes.write_text(f"path,left,top,right,bottom\nphoto.png,20,10,{right},{bottom}\n")
    # A square of the longer side is cut out; the network takes its middle.
    faces = FaceConfig("boxes", boxes=boxes, scale=1.0)
    found = [
        _extract(
            request_for(
                tmp_path / name,
                "embedding",
                paths=(str(tmp_path / f"{name}.png"),),
                faces=how,
            )
        )["features"]
        for name, how in (("photo", faces), ("crop", None))
    ]
    np.testing.assert_array_equal(*found)


def test_a_backbone_has_no_training_faces_to_follow(tmp_path, request_for):
    with pytest.raises(RequestError, match="`all_faces`: pictures are taken whole"):
        _extract(request_for(tmp_path, all_faces=True))


def test_no_readable_picture_is_refused(tmp_path, request_for, root):
    request = request_for(tmp_path, paths=(str(root / "files" / "00_empty.png"),))
    with pytest.raises(RequestError, match=r"the only file, .* is empty"):
        _extract(request)
    assert not (tmp_path / "features.npz").exists()


def test_an_output_that_is_a_file_is_refused_before_the_work(
    tmp_path, request_for, monkeypatch
):
    def fit(*unused):
        raise AssertionError("too early")

    monkeypatch.setattr(features.NeuronCounter, "thresholds_of", fit)
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"`output`: .*cannot be written"):
        _extract(request_for(tmp_path / "file"))

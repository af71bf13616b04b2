# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""An AMTENnet as its authors publish it becomes a workdir that scores like PyTorch."""

import csv
import json

import jax
import numpy as np
import pytest
from PIL import Image

from fakedet_jax import systems
from fakedet_jax.config import ConvertConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import convert
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.networks import amtennet
from fakedet_jax.weights import folder, formats, mapping, store
from fakedet_jax.workdir import open_workdir
from tests import tiny
from tests.golden import make_amtennet_golden
from tests.models import QUICK
from tests.weights import writers

GOLDEN = json.loads(make_amtennet_golden.GOLDEN.read_text())
LOGITS = np.asarray(GOLDEN["eval_logits"])
# The first of the golden classes is real, the second fake; so much is added to its
# bias that one of the pictures is decided fake.
SHIFT = 1.85
SCORES = 1 / (1 + np.exp(LOGITS[:, 0] - LOGITS[:, 1] - SHIFT))

# The authors' layers: name, type, inputs, outputs and what we call it.
DEFINITION = [
    ("data", "Input", (), ("data",), None),
    ("conv1", "Convolution", ("data",), ("conv1",), "amten/conv1"),
    ("eltwise_layer", "Eltwise", ("conv1", "data"), ("diff",), None),
    ("conv2_1", "Convolution", ("diff",), ("conv2_1",), "amten/conv2"),
    ("conv2_2", "Convolution", ("conv2_1",), ("conv2_2",), "amten/conv3"),
    ("concat_1", "Concat", ("conv2_2", "diff"), ("both",), None),
    ("conv3_1", "Convolution", ("both",), ("conv3_1",), "amten/conv4"),
    ("conv3_2", "Convolution", ("conv3_1",), ("conv3_2",), "amten/conv5"),
    ("concat_2", "Concat", ("conv3_2", "both"), ("scale3",), None),
    *(
        layer
        for number in (4, 5, 6)
        for layer in (
            (
                f"conv{number}",
                "Convolution",
                (f"scale{number - 1}",),
                (f"conv{number}",),
                f"base/conv{number + 2}",
            ),
            (f"pool{number}", "Pooling", (f"conv{number}",), (f"pool{number}",), None),
            (f"relu{number}", "ReLU", (f"pool{number}",), (f"pool{number}",), None),
            (
                f"conv{number}/bn",
                "BatchNorm",
                (f"pool{number}",),
                (f"conv{number}/bn",),
                f"base/bn{number + 2}",
            ),
            (
                f"scale{number}",
                "Scale",
                (f"conv{number}/bn",),
                (f"scale{number}",),
                f"base/bn{number + 2}",
            ),
        )
    ),
    ("conv7", "Convolution", ("scale6",), ("conv7",), "base/conv9"),
    ("fc_net_0", "InnerProduct", ("conv7",), ("fc_net_0",), "base/fc1"),
    ("fc_net_1", "InnerProduct", ("fc_net_0",), ("fc_net_1",), "base/fc2"),
    ("fc_net_2", "InnerProduct", ("fc_net_1",), ("fc_net_2",), "base/fc3"),
]
BLOBS = {
    "Convolution": ("kernel", "bias"),
    "InnerProduct": ("kernel", "bias"),
    "BatchNorm": ("mean_sum", "var_sum", "weight"),
    "Scale": ("scale", "bias"),
}


def caffemodel(weights):
    """The file that Caffe would write; the golden weights are in its layout."""
    return writers.caffe(
        [
            (name, kind, bottoms, tops, _blobs(weights, kind, ours))
            for name, kind, bottoms, tops, ours in DEFINITION
        ],
        name="AMTENnet",
    )


def _blobs(weights, kind, ours):
    if ours is None:
        return ()
    return [np.atleast_1d(weights[f"{ours}/{leaf}"]) for leaf in BLOBS[kind]]


def binary_weights():
    weights = make_amtennet_golden.make_weights()
    for leaf in ("kernel", "bias"):
        weights[f"base/fc3/{leaf}"] = weights[f"base/fc3/{leaf}"][:2].copy()
    weights["base/fc3/bias"][1] += SHIFT
    return weights


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "c23.caffemodel"
    path.write_bytes(caffemodel(binary_weights()))
    return path


@pytest.fixture(scope="module")
def workdir(published):
    output = published.parent / "workdir"
    code = tiny.run_cli(
        "--mode=convert",
        "--model=amtennet",
        f"--weights={published}",
        f"--output={output}",
    )
    assert code == 0
    return output


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The golden pictures as files: two real ones and two fakes."""
    root = tmp_path_factory.mktemp("pictures")
    for number, picture in enumerate(make_amtennet_golden.make_images()):
        path = root / "test" / ("real", "fake")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return root


def test_eight_classes_give_the_logits_of_pytorch(tmp_path):
    path = tmp_path / "eight.caffemodel"
    path.write_bytes(caffemodel(make_amtennet_golden.make_weights()))
    model = amtennet.AmtenNet(make_amtennet_golden.NUM_CLASSES)
    images = amtennet.PREPROCESSING(make_amtennet_golden.make_images())
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables, comparison = mapping.to_variables(
        amtennet.published_layers(), formats.read(path), shapes
    )
    logits, _ = jax.jit(model.apply, compiler_options=QUICK)(variables, images)
    np.testing.assert_allclose(logits, LOGITS, atol=1e-4 * np.abs(LOGITS).max())
    assert len(comparison.matched) == 2 * 12 + 3 * 4
    assert comparison.derived == tuple(
        f"batch_stats/base/bn{i}/weight" for i in (6, 7, 8)
    )


def test_predicted_scores_are_those_of_pytorch(workdir, pictures, tmp_path):
    output = tmp_path / "scores.csv"
    code = tiny.run_cli(
        "--mode=predict", f"--workdir={workdir}", f"--output={output}", str(pictures)
    )
    assert code == 0
    rows = {
        row["path"][-5:]: row for row in csv.DictReader(output.read_text().splitlines())
    }
    scores = [float(rows[f"{number}.png"]["score"]) for number in range(len(SCORES))]
    np.testing.assert_allclose(scores, SCORES, atol=1e-5)
    decisions = [rows[f"{number}.png"]["decision"] for number in range(len(SCORES))]
    assert decisions == ["real", "fake", "real", "real"]


@pytest.mark.slow
def test_evaluation_of_the_workdir(workdir, pictures):
    code = tiny.run_cli(
        "--mode=evaluate",
        f"--workdir={workdir}",
        "--dataset=folder",
        f"--data_dir={pictures}",
        "--name=golden",
    )
    assert code == 0
    metrics = json.loads((workdir / "evaluations/golden/metrics.json").read_text())
    assert metrics["threshold"] == 0.5
    assert metrics["confusion_matrix"] == [[2, 0], [1, 1]]
    report = (workdir / "evaluations/golden/report.html").read_text()
    assert "not chosen on any data" in report


def test_evaluation_asks_for_pictures(workdir, capsys):
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") != 0
    assert "--data_dir" in capsys.readouterr().err
    with pytest.raises(RequestError, match="name pictures with `data_dir`"):
        _ = open_workdir(workdir).data


def test_what_the_workdir_says_of_itself(workdir, published):
    info = systems.load(workdir, parallel.data_mesh()).info
    assert (info.classes, info.is_fake) == (("real", "fake"), (False, True))
    assert (info.task, info.threshold, info.step) == ("binary", 0.5, 0)
    assert info.framing == amtennet.PREPROCESSING.framing
    assert "converted from c23.caffemodel" in info.threshold_origin
    config = open_workdir(workdir).record
    card = folder.read_card(workdir)
    assert config["detector"] == card["model"] == "amtennet"
    assert config["weights"] == card["digest"]
    assert config["converted_from"]["source"] == published.name
    assert sorted(path.name for path in workdir.iterdir() if path.is_file()) == [
        "card.json",
        "config.json",
    ]


def test_the_same_weights_again_change_nothing(workdir, published):
    before = (workdir / "card.json").stat().st_mtime_ns
    config = ConvertConfig(model="amtennet", weights=published, output=workdir)
    text = convert.to_text(convert.convert(config))
    assert "36 of 36 arrays matched" in text
    assert (workdir / "card.json").stat().st_mtime_ns == before


def test_other_weights_are_refused(workdir, tmp_path):
    path = tmp_path / "other.caffemodel"
    weights = binary_weights()
    weights["base/fc3/bias"] = weights["base/fc3/bias"] + 1
    path.write_bytes(caffemodel(weights))
    config = ConvertConfig(model="amtennet", weights=path, output=workdir)
    with pytest.raises(RequestError, match=r"`output`: .* holds other weights"):
        convert.convert(config)


def _change(name, **shapes):
    return pytest.param(shapes, id=name)


@pytest.mark.parametrize(
    "shapes",
    [
        _change("amten_2", conv4=(6, 3, 3, 3)),
        _change("amten_4", conv4=(12, 6, 3, 3)),
        _change("amten_5", conv1=(3, 3, 5, 5)),
        _change("amten_6", conv3=None),
    ],
)
def test_weights_of_another_variant_are_refused(tmp_path, shapes):
    weights = binary_weights()
    definition = {ours: name for name, _, _, _, ours in DEFINITION if ours}
    content = []
    for name, kind, bottoms, tops, ours in DEFINITION:
        layer = (ours or "").removeprefix("amten/")
        blobs = _blobs(weights, kind, ours)
        if layer in shapes and shapes[layer] is None:
            continue
        if layer in shapes:
            blobs[0] = np.ones(shapes[layer], np.float32)
        content.append((name, kind, bottoms, tops, blobs))
    path = tmp_path / "variant.caffemodel"
    path.write_bytes(writers.caffe(content))
    output = tmp_path / "workdir"
    config = ConvertConfig(model="amtennet", weights=path, output=output)
    (layer,) = shapes
    with pytest.raises(RequestError, match=definition[f"amten/{layer}"]) as caught:
        convert.convert(config)
    assert "does not fit amtennet" in str(caught.value)
    assert not output.exists()


def test_missing_numbers_are_not_made_up(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "initial", lambda network: {})
    weights = binary_weights()
    path = tmp_path / "bodiless.caffemodel"
    content = [
        (name, kind, bottoms, tops, _blobs(weights, kind, ours))
        for name, kind, bottoms, tops, ours in DEFINITION
        if name != "fc_net_2"
    ]
    path.write_bytes(writers.caffe(content))
    output = tmp_path / "workdir"
    config = ConvertConfig(
        model="amtennet", weights=path, output=output, ignore=("fc_net_2/*",)
    )
    with pytest.raises(RequestError, match=r"`ignore`: .*fc3/kernel.* would"):
        convert.convert(config)
    assert not output.exists()


def test_a_detector_without_published_weights():
    assert tiny.DETECTOR.published is None

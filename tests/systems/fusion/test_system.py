# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.fusion: of a network and neuron counts, both tiny."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedet_jax import fusion, systems
from fakedet_jax.config import EvaluateConfig
from fakedet_jax.data import catalog
from fakedet_jax.deployment import program
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, stability
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.jobs import evaluate, train
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.runtime import parallel
from fakedet_jax.systems import perturbed
from fakedet_jax.systems.fusion import system
from tests import tiny
from tests.data import pictures

# Two generators, of which each is left out in turn.
COUNTS = {
    "train/real": 6,
    "train/glow": 6,
    "validation/real": 12,
    "validation/glow": 8,
    "validation/stylegan": 8,
    "train/stylegan": 4,
    "test/real": 4,
    "test/glow": 4,
}


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with tiny.registered():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    data_dir = pictures.write_folder(folder / "pictures", COUNTS, tiny.SIZE + 4)
    tiny.fit(data_dir, folder / "network", recipe={"num_epochs": 1})
    weights = tiny.write_weights(folder / "weights")
    train.train(
        tiny.spotter_config(data_dir, folder / "counts", weights, folder / "cache")
    )
    return folder


@pytest.fixture(scope="module")
def members(root):
    return str(root / "network"), str(root / "counts")


@pytest.fixture(scope="module")
def workdir(root, members):
    train.train(_config(root, members, root / "fused"))
    return root / "fused"


def _config(root, members, workdir, **changes):
    return tiny.train_config(
        root / "pictures", workdir, detector="fusion", members=members, **changes
    )


def _test_pictures(root):
    paths = sorted((root / "pictures" / "test").rglob("*.png"))
    return [decode(path.read_bytes()) for path in paths]


def _member_odds(path, shown):
    """Log-odds of pictures, from the member alone."""
    mesh = parallel.data_mesh()
    fitted = systems.load(path, mesh)
    framing = fitted.info.framing
    images = [to_input(picture, framing) for picture in shown]
    scorer = Scorer(fitted.log_probability_fn, mesh, 8)
    batches = batching.from_pictures(images, framing, scorer.local_batch_size)
    found = scorer.stream(fitted.variables, ((None, batch) for batch in batches))
    values = np.concatenate([result.values for result in found])
    return log_odds.of_classes(values, fitted.info.is_fake)


def test_it_is_the_fusion_of_what_members_say_alone(root, members, workdir):
    shown = _test_pictures(root)
    odds = np.stack([_member_odds(root / name, shown) for name in members], axis=1)
    fitted = systems.load(workdir, parallel.data_mesh())
    made = jax.tree.map(np.asarray, fitted.variables["fusion"])
    expected = fusion.log_odds(
        {name: np.float64(array) for name, array in made.items()}, odds
    )
    found = _member_odds(workdir, shown)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(found) > 0


def test_the_fusion_is_that_of_validation(root, members, workdir):
    data = tiny.train_config(root / "pictures", workdir).data
    validation = catalog.load(data, "validation")
    shown = [decode(validation.source[row].encoded) for row in range(28)]
    odds = np.stack([_member_odds(root / name, shown) for name in members], axis=1)
    classes = [validation.classes[label] for label in validation.labels]
    expected = fusion.fit(["a", "b"], odds, validation.fake_labels == 1, classes)
    info = systems.load(workdir, parallel.data_mesh()).info
    assert info.details["left_out_auc"] == pytest.approx(expected.auc, abs=0.01)
    assert info.details["member_aucs"] == pytest.approx(expected.member_aucs, abs=0.01)
    assert info.details["members"] == ["tiny", "fakespotter, tiny_faces"]
    assert "generators are kept together" in info.details["left_out"]
    assert (info.num_real, info.num_fake) == (12, 16)


def test_it_is_fitted_to_perturbed_validation_pictures(root, members, tmp_path):
    config = _config(
        root, members, tmp_path / "fused", perturb=("none", "median_filter:3")
    )
    train.train(config)
    fitted = systems.load(tmp_path / "fused", parallel.data_mesh())
    # Each picture counts once, perturbed or not.
    assert (fitted.info.num_real, fitted.info.num_fake) == (12, 16)
    plain = catalog.load(config.data, "validation")
    validation = perturbed.pictures(config.options, plain, config.seed, 1)
    shown = [decode(validation.source[row].encoded) for row in range(28)]
    odds = np.stack([_member_odds(root / name, shown) for name in members], axis=1)
    classes = [validation.classes[label] for label in validation.labels]
    expected = fusion.fit(["a", "b"], odds, validation.fake_labels == 1, classes)
    found = jax.tree.map(np.asarray, fitted.variables["fusion"])
    expected_knots = np.array(expected.fusion.knots)
    np.testing.assert_allclose(found["knots"], expected_knots, rtol=1e-3, atol=1e-3)
    unchanged = [decode(plain.source[row].encoded) for row in range(28)]
    others = np.stack([_member_odds(root / name, unchanged) for name in members], 1)
    other = fusion.fit(["a", "b"], others, plain.fake_labels == 1, classes)
    assert not np.allclose(other.fusion.knots, expected_knots, rtol=1e-3, atol=1e-3)


def test_members_see_their_own_framing_in_one_pass(root, members, workdir):
    info = systems.load(workdir, parallel.data_mesh()).info
    parts = [
        systems.load(root / name, parallel.data_mesh()).info.framing for name in members
    ]
    assert list(info.framing.parts) == parts
    picture = _test_pictures(root)[0]
    sheet = to_input(picture, info.framing)
    for start, part in zip(info.framing.columns, parts, strict=False):
        own = sheet[: part.height, start : start + part.width]
        np.testing.assert_array_equal(own, to_input(picture, part))


@pytest.mark.slow
def test_mild_changes_are_made_to_each_members_input(root, workdir):
    framing = systems.load(workdir, parallel.data_mesh()).info.framing
    sheet = to_input(_test_pictures(root)[0], framing)
    batch = next(batching.from_pictures([sheet], framing, 1))
    for name in stability.CHANGES:
        found = stability.change(batch, name, framing)["image"]
        for start, part in zip(framing.columns, framing.parts, strict=False):
            place = np.s_[:, : part.height, start : start + part.width]
            expected = stability.CHANGES[name](batch["image"][place])
            np.testing.assert_array_equal(found[place], expected)


def test_it_needs_the_members_workdirs_no_more(root, workdir, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(workdir, moved)
    config = json.loads((moved / "config.json").read_text())
    assert str(root) not in json.dumps(config["members"])
    before = _member_odds(workdir, _test_pictures(root))
    (root / "network").rename(root / "gone")
    try:
        np.testing.assert_array_equal(_member_odds(moved, _test_pictures(root)), before)
    finally:
        (root / "gone").rename(root / "network")


def test_it_is_evaluated_and_predicts(root, workdir, capfd):
    summary = evaluate.evaluate(EvaluateConfig(workdir=workdir, report=False))
    assert summary["num_examples"] == 8
    flags = (f"--workdir={workdir}", "--stability", str(root / "pictures" / "test"))
    assert tiny.run_cli("--mode=predict", *flags) == 0
    rows = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert len(rows) == 8
    expected = _member_odds(workdir, _test_pictures(root))
    info = systems.load(workdir, parallel.data_mesh()).info
    shown = info.calibration(expected)
    np.testing.assert_allclose(
        sorted(float(row["log_odds"]) for row in rows), np.sort(shown), atol=1e-3
    )


def test_a_finished_one_is_left_as_it_is(root, members, workdir, caplog):
    caplog.set_level("INFO")
    train.train(_config(root, members, workdir))
    assert "is trained already" in caplog.text
    with pytest.raises(RequestError, match=r"a run with .*members"):
        train.train(_config(root, members[::-1], workdir))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": ()}, "`members`: expected the workdirs of two or more .* 0"),
        ({"members": ("network",)}, "`members`: .* found 1"),
        ({"members": ("network", "network")}, "'.*network' twice"),
        ({"members": ("network", "none")}, "`members`: .*none"),
        ({"recipe": {"num_epochs": 2}}, "`num_epochs`: .*leave it out"),
        ({"perturb": ("nonsense",)}, "`perturb`: .*'nonsense'"),
    ],
    ids=str,
)
def test_what_cannot_be_fused_is_refused(root, members, tmp_path, change, message):
    if "members" in change:
        change = {"members": tuple(str(root / name) for name in change["members"])}
    config = _config(root, **{"members": members, "workdir": tmp_path / "x", **change})
    with pytest.raises(RequestError, match=message):
        train.train(config)
    assert not (tmp_path / "x").exists()


def test_members_that_disagree_on_classes_are_refused(root, members, tmp_path):
    other = tiny.fit(
        root / "pictures",
        tmp_path / "other",
        recipe={"num_epochs": 1},
        data=tiny.config.DataConfig(
            "folder", root / "pictures", real_classes=("glow",)
        ),
    )
    request = _config(root, (members[0], str(other)), tmp_path / "fused")
    with pytest.raises(RequestError, match=r"'glow' fake for .* and real for"):
        train.train(request)


@pytest.mark.slow
def test_a_member_that_knows_validation_pictures_is_refused(
    members, tmp_path, monkeypatch
):
    data_dir = pictures.write_folder(
        tmp_path / "pictures", {"real": 30, "fake": 30}, tiny.SIZE
    )
    kept = tiny.config.DataConfig("folder", data_dir, validation_fraction=0.2)
    member = tiny.fit(
        data_dir, tmp_path / "member", data=kept, recipe={"num_epochs": 1}
    )
    # Workdirs know their pictures by the whole path, and people name another one.
    monkeypatch.chdir(tmp_path)
    relative = dataclasses.replace(kept, data_dir=Path("pictures"))
    for data, fraction, is_known in (
        (kept, 0.5, True),
        (relative, 0.5, True),
        (kept, 0.2, False),
    ):
        config = tiny.train_config(
            data_dir,
            tmp_path / f"fused_{fraction}",
            detector="fusion",
            members=(members[0], str(member)),
            data=dataclasses.replace(data, validation_fraction=fraction),
        )
        if is_known:
            with pytest.raises(RequestError, match=r"was trained on \d+ of the"):
                train.train(config)
        else:
            train.train(config)


@pytest.mark.parametrize("relative", [False, True])
def test_a_member_is_known_by_its_folder(root, members, monkeypatch, relative):
    monkeypatch.chdir(root)
    data_dir = Path("pictures") if relative else root / "pictures"
    config = tiny.train_config(data_dir, root / "x").data
    seen = catalog.load(config, "train")
    with pytest.raises(RequestError, match="was trained on 16 of the 16 validation"):
        system._check_held_out(members[0], config, seen)
    system._check_held_out(members[0], config, catalog.load(config, "validation"))


def test_validation_needs_both_kinds(root, members, tmp_path):
    counts = {"train/real": 2, "train/fake": 2, "validation/real": 3}
    data_dir = pictures.write_folder(tmp_path / "pictures", counts, tiny.SIZE)
    config = tiny.train_config(
        data_dir, tmp_path / "fused", detector="fusion", members=members
    )
    with pytest.raises(RequestError, match="are all real or all fake"):
        train.train(config)


def test_maps_of_several_framings_are_refused(root, workdir, tmp_path, capsys):
    report = tmp_path / "report"
    flags = (f"--workdir={workdir}", f"--report={report}", "--maps")
    code = tiny.run_cli("--mode=predict", *flags, str(root / "pictures" / "test"))
    assert code == 2
    assert "--maps: fusion sees each face in several framings" in (
        capsys.readouterr().err
    )
    assert not report.exists()


def test_what_runs_one_network_is_refused(workdir):
    fitted = systems.load(workdir, parallel.data_mesh(jax.devices()[:1]))
    with pytest.raises(RequestError, match="deploy its members one by one"):
        program.make(fitted)
    system = systems.create("fusion")
    with pytest.raises(RequestError, match="measure those one by one"):
        system.benchmark(None, None)
    with pytest.raises(RequestError, match="compile those one by one"):
        system.programs(None)

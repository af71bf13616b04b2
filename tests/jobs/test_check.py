# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.check."""

import json
import math
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import systems
from fakedet_jax import workdir as workdirs
from fakedet_jax.cli import flags, modes
from fakedet_jax.config import BackboneConfig, CheckConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import check
from fakedet_jax.systems import advice
from fakedet_jax.systems.programs import DEFAULT_BATCH_SIZE
from tests import tiny
from tests.data.pictures import colourful, encode, write_folder
from tests.faces import rendered


@pytest.fixture
def unmeasured(monkeypatch):
    """Compiling takes half a minute, and one test does it."""
    monkeypatch.setattr(check, "_measure", lambda program: (3.0, 0.5))


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    counts = {"real_a": 24, "real_b": 6, "gan": 30}
    return write_folder(tmp_path_factory.mktemp("check") / "data", counts, 64)


def _check(*paths, **settings):
    return check.check(CheckConfig(paths=tuple(map(str, paths)), **settings))


def test_classes_numbers_and_sizes_are_told(crops, unmeasured):
    found = _check(crops)
    assert [(row["name"], row["kind"], row["size"]) for row in found["classes"]] == [
        ("real_a", "real", "64 × 64"),
        ("real_b", "real", "64 × 64"),
        ("gan", "fake", "64 × 64"),
    ]
    counts = [sum(row["pictures"].values()) for row in found["classes"]]
    assert counts == [24, 6, 30]
    assert found["validation_fraction"] == 0.2
    assert found["unusable"] == []
    num_real = sum(row["pictures"]["validation"] for row in found["classes"][:2])
    assert f"validation has {num_real} real" in found["threshold"]
    assert (
        f"cannot promise fewer false alarms than 1 in {num_real}" in found["threshold"]
    )
    text = check.to_text(found)
    assert "real_b  real" in text
    assert "rough" in text


def test_what_is_real_can_be_said(tmp_path, unmeasured):
    root = write_folder(tmp_path / "data", {"photos": 20, "gan": 20}, 64)
    found = _check(root, real_classes=("photos",))
    assert [row["kind"] for row in found["classes"]] == ["real", "fake"]
    assert "--real_classes=photos" in found["commands"][0]
    with pytest.raises(RequestError, match="`real_classes`"):
        _check(root, real_classes=("pictures",))


def test_what_gives_labels_away_is_warned_of(tmp_path, unmeasured):
    root = write_folder(tmp_path / "data", {"real": 30, "fake": 30}, 64)
    for path in (root / "fake").iterdir():
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    found = _check(root)
    assert any("file format tells real from fake" in line for line in found["warnings"])
    assert "file format" in check.to_text(found)


def test_too_few_pictures_for_the_leak_check_are_named(tmp_path, unmeasured):
    root = write_folder(tmp_path / "data", {"real": 30, "fake": 12}, 64)
    found = _check(root)
    assert any("12 fake pictures, fewer than 20" in line for line in found["unchecked"])
    assert "Not checked:" in check.to_text(found)


def test_pictures_that_look_alike_are_warned_of(crops, tmp_path, unmeasured):
    root = write_folder(tmp_path / "data", {"train/real": 8, "train/fake": 8}, 64)
    # With details in all frequencies that are compared.
    small = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    picture = Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC)
    for name, kind in (("one.png", "PNG"), ("copy.jpg", "JPEG")):
        (root / "train" / "real" / name).write_bytes(encode(picture, kind))
    found = _check(root)
    told = [line for line in found["warnings"] if "look" in line and "like" in line]
    assert any("copy.jpg" in line and "one.png" in line for line in told)
    assert not any("look" in line for line in _check(crops)["warnings"])


def test_unusable_files_are_listed(crops, tmp_path, unmeasured):
    root = write_folder(tmp_path / "data", {"real": 20, "fake": 20}, 64)
    for number in range(7):
        (root / "real" / f"bad{number}.jpg").write_bytes(b"no picture")
    found = _check(root)
    assert len(found["unusable"]) == 7
    text = check.to_text(found)
    assert "is not a picture in a known format" in text
    assert "and 2 other files" in text
    text = check.to_text({**found, "commands": []})
    assert "none yet: collect some hundred pictures of each side" in text


def test_photographs_are_told_from_crops(tmp_path, unmeasured):
    root = tmp_path / "data"
    for kind in ("real", "fake"):
        (root / kind).mkdir(parents=True)
        for number in range(12):
            picture = colourful(240, 320 + 10 * number, number)
            (root / kind / f"{number}.png").write_bytes(encode(picture))
    found = _check(root)
    assert not found["framing"]["are_crops"]
    assert "of many shapes" in found["framing"]["summary"]
    first, second = map(shlex.split, found["commands"])
    assert first[:2] == ["fakedet", "prepare"] and "--face_detector=haar" in first
    assert second == ["fakedet", "check", "FACES"]


def test_faces_that_are_framed_otherwise_are_warned_of(tmp_path, unmeasured):
    far, near = [0.4] * 20, [0.7] * 20
    (line,) = check._framed_otherwise({"real": far, "fake": near})
    assert "40% as wide as real pictures and 70% as wide as fake" in line
    assert check._framed_otherwise({"real": far, "fake": [*far, 0.0]}) == []
    assert check._framed_otherwise({"real": [0.0], "fake": near}) == []
    # One kind alone is of all widths.
    varied = np.linspace(0.2, 0.8, 20).tolist()
    assert len(check._framed_otherwise({"real": varied, "fake": near})) == 1
    assert check._framed_otherwise({"real": varied, "fake": varied}) == []


@pytest.fixture(scope="module")
def trained_on_faces(tmp_path_factory):
    """Tight crops, and a detector of them."""
    folder = tmp_path_factory.mktemp("check")
    data = rendered.write_faces(
        folder / "tight", rendered.TIGHT, ("train", "validation")
    )
    return data, tiny.fit(data, folder / "run", recipe={"num_epochs": 1})


@pytest.mark.parametrize("is_measured", [True, False])
def test_faces_are_compared_with_those_of_a_workdir(
    trained_on_faces, tmp_path, unmeasured, is_measured
):
    data, trained = trained_on_faces
    workdir = shutil.copytree(trained, tmp_path / "run")
    if not is_measured:
        _forget_widths(workdir)
    loose = rendered.write_faces(tmp_path / "loose", rendered.LOOSE)
    found = _check(loose, workdir=workdir)
    assert not found["framing"]["like_training"]
    assert "as wide as their pictures, and were" in found["warnings"][-1]
    found = _check(data, workdir=workdir)
    assert "as wide as those of the training" in check.to_text(found)


def test_what_cannot_be_compared_with_a_workdir_is_told(
    trained_on_faces, crops, tmp_path, unmeasured
):
    data, trained = trained_on_faces
    found = _check(crops, workdir=trained)
    assert "like those of the training: haar found too few" in found["unchecked"][-1]
    assert "like_training" not in found["framing"]
    workdir = shutil.copytree(trained, tmp_path / "run")
    _forget_widths(workdir)
    record = json.loads((workdir / workdirs.FILE_NAME).read_text())
    record["data_dir"] = str(tmp_path / "gone")
    (workdir / workdirs.FILE_NAME).write_text(json.dumps(record))
    found = _check(data, workdir=workdir)
    assert "like those of the training: `data_dir`" in found["unchecked"][-1]


def _forget_widths(workdir):
    """Makes it one of a version that did not measure."""
    record = json.loads((workdir / workdirs.FILE_NAME).read_text())
    assert record.pop("face_widths")
    (workdir / workdirs.FILE_NAME).write_text(json.dumps(record))


@pytest.mark.slow
def test_real_faces_are_found_and_the_commands_are_accepted(shared_data, unmeasured):
    found = _check(shared_data / "faces256")
    assert found["framing"]["are_crops"] and found["framing"]["are_alike"]
    assert found["warnings"] == []
    for command in found["commands"]:
        program, mode, *words = shlex.split(command)
        assert program == "fakedet"
        values = dict(
            word.removeprefix("--").split("=", 1) for word in words if "=" in word
        )
        flags.check_accepted(mode, modes.classes(), values)
        flags.read(modes.MODES[mode].settings, values)


@pytest.mark.slow
def test_framing_gives_a_well_known_collection_away(shared_data, unmeasured):
    found = _check(shared_data / "unsplash_vs_stylegan2")
    assert not found["framing"]["are_alike"]
    assert any("framing alone tells them apart" in line for line in found["warnings"])
    assert "prepare" in found["commands"][0]


def test_a_prepared_folder_is_looked_at_too(prepared_dir, unmeasured):
    found = _check(prepared_dir)
    assert {row["kind"] for row in found["classes"]} == {"real", "fake"}


def test_results_are_written(crops, tmp_path, unmeasured):
    output = tmp_path / "results" / "check.json"
    found = _check(crops, output=output)
    assert json.loads(output.read_text()) == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "`fakedet check`: name one folder, which holds a folder of pictures for"),
        (["a", "b"], "found 'a', 'b'"),
        (["/nowhere"], "'/nowhere' does not exist; check the path"),
        ([__file__], "test_check.py' is a file; name the folder"),
    ],
)
def test_a_wrong_request_is_one_line(capsys, paths, message):
    assert tiny.run_cli("check", *paths) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_real_pictures_one_line_says_what_to_do(tmp_path, capsys):
    root = write_folder(tmp_path / "data", {"photos": 20, "ai": 20}, 16)
    assert tiny.run_cli("check", str(root)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert f"{root} holds no real pictures; found the classes 'ai', 'photos'" in line
    assert "name the folder of real pictures 'real', or 'real_' and more" in line


def test_without_fakes_it_is_said_once(tmp_path, unmeasured, caplog):
    found = _check(write_folder(tmp_path / "data", {"real": 30}, 16))
    assert found["warnings"] == ["there are no fake pictures"]
    assert "no fake pictures" not in caplog.text


def test_a_folder_without_classes_is_refused(tmp_path, capsys):
    (tmp_path / "photo.png").write_bytes(encode(colourful()))
    assert tiny.run_cli("check", str(tmp_path)) == 2
    assert "holds no class folders; expected a folder per" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("num_real", "num_fake", "weights", "expected"),
    [
        (300, 300, None, [("amtennet", True), ("fakespotter", False)]),
        (300, 300, "FILE", [("fakespotter", True), ("amtennet", True)]),
        (300, 60, "FILE", [("fakespotter", True), ("amtennet", False)]),
        (300, 40, "FILE", [("fakespotter", False), ("amtennet", False)]),
        (0, 300, "FILE", [("fakespotter", False), ("amtennet", False)]),
        (30, 40, None, [("fakespotter", False), ("amtennet", False)]),
        (3000, 0, None, [("exif_anomaly", True)]),
        (30, 0, "FILE", [("exif_anomaly", False)]),
    ],
)
def test_the_detector_follows_from_the_pictures(
    num_real, num_fake, weights, expected, monkeypatch
):
    monkeypatch.setattr(advice.packaged, "is_installed", lambda backbone: False)
    found = advice.advise(num_real, num_fake, backbone=None, weights=weights)
    assert [(one.name, one.fits) for one in found] == expected
    for one in found:
        # What is advised can be asked for.
        values = {**one.flags, "detector": one.name, "workdir": "w"}
        flags.check_accepted("train", modes.classes(), values)
        assert one.name in systems.names()


@pytest.mark.parametrize("number", [60, 300])
def test_weights_of_a_package_are_enough(number, monkeypatch):
    monkeypatch.setattr(
        advice.packaged, "is_installed", lambda backbone: backbone.packaged is not None
    )
    first, second = advice.advise(number, number, backbone=None, weights=None)
    assert (first.name, first.fits) == ("fakespotter", True)
    assert first.flags == {"backbone": "dlib_resnet29", "select_by": "auc"}
    assert second.fits == (number == 300)
    other = advice.advise(number, number, backbone="mobilefacenet", weights=None)
    (lacking,) = (one for one in other if one.name == "fakespotter")
    assert not lacking.fits
    assert "the weights of mobilefacenet" in lacking.reason


def test_the_side_with_few_pictures_is_named():
    counts, network = advice.advise(300, 1, backbone=None, weights="FILE")
    assert counts.reason.endswith("of each side, and there is only 1 fake picture")
    _, network = advice.advise(80, 90, backbone=None, weights="FILE")
    assert network.reason.endswith("there are only 80 real and 90 fake pictures")


def test_without_weights_the_way_to_some_is_told(monkeypatch):
    monkeypatch.setattr(advice.packaged, "is_installed", lambda backbone: False)
    *_, lacking = advice.advise(300, 300, backbone=None, weights=None)
    assert "run pip install -e '.[recognition]'" in lacking.reason


def test_few_pictures_get_as_many_updates_as_the_recipe_for_few():
    few, many = (
        advice.advise(number, number, backbone=None, weights=None)[0]
        for number in (325, 50_000)
    )
    assert few.flags == {
        "schedule": "cosine",
        "num_epochs": "60",
        "batch_size": "16",
        "perturb": "none,mix",
    }
    assert few.num_calls == 11 * 60
    assert many.flags == {}


def test_minutes_are_measured(crops):
    with tiny.registered():
        one = advice.Advice("plain", True, "", what="train", num_calls=600)
        from fakedet_jax.runtime import parallel

        minutes = check._minutes(one, parallel.data_mesh())
    assert 0 < minutes < 10


@pytest.mark.parametrize(
    ("counts", "missing"),
    [({"validation/real": 4}, "fake"), ({"validation/gan": 4}, "real")],
)
def test_a_threshold_needs_both_sides(tmp_path, unmeasured, counts, missing):
    counts = {"train/real": 8, "train/gan": 8, **counts}
    found = _check(write_folder(tmp_path / "data", counts, 16))
    assert f"without {missing} ones no threshold can be chosen" in found["threshold"]


def test_few_training_pictures_are_warned_of(crops, unmeasured):
    found = _check(crops)
    (line,) = (line for line in found["warnings"] if "learns little" in line)
    assert "with fewer than 50 of each side" in line
    assert not any(one["fits"] for one in found["detectors"])


def test_weights_are_named_in_the_commands(tmp_path, unmeasured, monkeypatch):
    crops = write_folder(tmp_path / "data", {"real": 110, "gan": 110}, 16)
    wide = {"real": [0.7] * 8, "fake": [0.7] * 8}
    monkeypatch.setattr(check.widths, "search", lambda *_: wide)
    network = BackboneConfig(weights="my weights.pth")
    found = _check(crops, network=network)
    num_train = _num_train(found)
    num_calls = 3 * math.ceil(num_train / DEFAULT_BATCH_SIZE)
    # The classifier, and those that choose a threshold for so few pictures.
    assert found["detectors"][0]["minutes"] == pytest.approx(
        (3.0 + 0.5 * num_calls + 6 * 12 * num_train / 538) / 60
    )
    assert "--threshold_folds=5" in found["commands"][0]
    assert "'--weights=my weights.pth'" in found["commands"][0]

    assert not any("learns little" in line for line in found["warnings"])


def test_enough_validation_pictures_need_no_folds():
    (one, *_) = advice.advise(300, 300, backbone=None, weights="FILE")
    assert "threshold_folds" not in one.flags


def _num_train(found):
    return int(np.sum([row["pictures"]["train"] for row in found["classes"]]))

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.evaluate."""

import csv
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from fakedet_jax import workdir as workdirs
from fakedet_jax.config import DataConfig, EvaluateConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import bootstrap, log_odds, metrics, protocol, stability
from fakedet_jax.evaluation.operating_point import OperatingPoint
from fakedet_jax.jobs import evaluate
from fakedet_jax.perturb import apply
from fakedet_jax.perturb.perturbation import Perturbation
from fakedet_jax.report import evaluation_table
from tests import tiny
from tests.data import pictures
from tests.faces import rendered
from tests.jobs import videos
from tests.prepare.inputs import UNUSABLE


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("evaluate") / "pictures")


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "workdir"
    return tiny.fit(data_dir, folder, recipe={"num_epochs": 1})


def _evaluate(workdir, name="result", report=False, **settings):
    with tiny.registered():
        summary = evaluate.evaluate(
            EvaluateConfig(workdir=workdir, name=name, report=report, **settings)
        )
    return summary, workdir / "evaluations" / name


def _folder(path, **settings):
    return DataConfig(dataset="folder", data_dir=path, **settings)


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _scores(folder):
    return {row["path"]: float(row["score"]) for row in _rows(folder / "scores.csv")}


def test_the_numbers_are_those_of_the_scores(workdir):
    summary, folder = _evaluate(workdir)
    rows = _rows(folder / "scores.csv")
    labels = [row["label"] == "fake" for row in rows]
    scores = [float(row["score"]) for row in rows]
    expected = metrics.summarize(labels, scores, summary["threshold"])
    assert summary["auc"] == expected["auc"]
    assert summary["accuracy"] == expected["accuracy"]
    assert json.loads((folder / "metrics.json").read_text()) == summary


def test_every_picture_of_the_split_is_there(workdir, data_dir):
    _, folder = _evaluate(workdir)
    assert sorted(_scores(folder)) == sorted(map(str, data_dir.glob("test/*/*")))


@pytest.mark.parametrize("batch_size", [3, 64])
def test_the_batch_size_does_not_matter(workdir, batch_size):
    _, reference = _evaluate(workdir, batch_size=8)
    _, folder = _evaluate(workdir, name="other", batch_size=batch_size)
    expected, found = _scores(reference), _scores(folder)
    assert list(found) == list(expected)
    np.testing.assert_allclose(
        list(found.values()), list(expected.values()), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_nothing_is_refused(workdir, batch_size):
    with pytest.raises(RequestError, match="`batch_size`: expected at least 1"):
        _evaluate(workdir, batch_size=batch_size)


def test_the_threshold_is_the_one_that_training_stored(workdir):
    summary, _ = _evaluate(workdir)
    assert summary["threshold"] == tiny.facts(workdir / "best")["threshold"]
    assert summary["threshold_pictures"] == [3, 3]


def test_a_given_threshold_takes_its_place(workdir):
    summary, folder = _evaluate(workdir, name="given", threshold=0.0, report=True)
    assert summary["threshold"] == 0
    assert "threshold_pictures" not in summary
    assert summary["fpr"] == 1
    assert "The threshold was given." in (folder / "report.html").read_text()


def test_the_page_says_once_how_few_pictures_chose_the_threshold(workdir):
    _, folder = _evaluate(workdir, name="page", report=True)
    page = (folder / "report.html").read_text()
    assert "chosen on 3 real and 3 fake pictures of the validation split" in page
    assert "With fewer than 100 of each it is a rough one." in page
    assert "validation pictures; with fewer" not in page


def test_other_classes_are_evaluated_real_against_fake(workdir, tmp_path):
    root = pictures.write_folder(
        tmp_path / "other", {"real_photos": 4, "glow": 3, "stylegan": 3}, 16
    )
    summary, folder = _evaluate(workdir, data=_folder(root), split="all")
    assert summary["classes"] == ["real", "fake"]
    assert summary["num_examples"] == 10
    labels = {row["path"]: row["label"] for row in _rows(folder / "scores.csv")}
    for path, label in labels.items():
        assert label == ("real" if "real_photos" in path else "fake")


def test_what_was_real_in_training_is_real_again(tmp_path):
    counts = {f"{split}/photos": 8 for split in ("train", "validation", "test")}
    counts |= {f"{split}/gan": 8 for split in ("train", "validation", "test")}
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    data = _folder(root, real_classes=("photos",))
    workdir = tiny.fit(root, tmp_path / "workdir", data=data, recipe={"num_epochs": 1})
    summary, folder = _evaluate(workdir, data=_folder(root))
    assert summary["auc"] is not None
    assert {row["label"] for row in _rows(folder / "scores.csv")} == {"photos", "gan"}


def test_skipped_files_are_counted_and_named(workdir, data_dir, tmp_path):
    root = shutil.copytree(data_dir, tmp_path / "data")
    bad = {
        root / "test" / "real" / "001.png": b"",
        root / "test" / "fake" / "002.png": b"text",
    }
    for path, content in bad.items():
        path.write_bytes(content)
    summary, folder = _evaluate(workdir, data=_folder(root), report=True)
    assert (summary["num_examples"], summary["num_skipped"]) == (9, 2)
    skipped = {row["path"]: row["reason"] for row in _rows(folder / "skipped.csv")}
    assert set(skipped) == set(map(str, bad))
    assert all(skipped.values())
    assert summary["without_score"] == {"fake": 1, "real": 1}
    classes = {row["path"]: row["class"] for row in _rows(folder / "skipped.csv")}
    assert classes == {str(path): path.parent.name for path in bad}
    assert summary["reading"] == "real: real; fake: fake"
    assert "real: real; fake: fake" in (folder / "report.html").read_text()


def test_files_that_gave_no_face_are_counted_and_named(workdir, prepared_dir):
    data = DataConfig("folder", prepared_dir)
    summary, folder = _evaluate(workdir, data=data, split="all", report=True)
    assert summary["num_left_out"] == len(UNUSABLE)
    assert summary["without_score"] == {"fake": 3, "real": 1}
    rows = {row["path"]: row for row in _rows(folder / "skipped.csv")}
    assert set(rows) == set(UNUSABLE)
    for path, reason in UNUSABLE.items():
        assert rows[path]["reason"].startswith(reason)
        assert rows[path]["class"] == path.partition("/")[0]
    assert "By class: fake 3, real 1." in (folder / "report.html").read_text()


def test_nothing_readable_is_refused(workdir, tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"test/real": 1, "test/fake": 1})
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(
        RequestError, match=r"none of the 2 pictures can be read.*empty"
    ):
        _evaluate(workdir, data=_folder(root))


def test_a_single_class_has_no_auc(workdir, tmp_path, caplog):
    root = pictures.write_folder(tmp_path / "data", {"fake": 4}, 16)
    summary, _ = _evaluate(workdir, data=_folder(root), split="all")
    assert summary["auc"] is None
    assert summary["recall"] is not None


@pytest.mark.parametrize("name", ["a/b", "..", "/tmp", "."])
def test_a_name_that_leads_elsewhere_is_refused(workdir, name):
    with pytest.raises(RequestError, match="`name`: expected a plain folder name"):
        _evaluate(workdir, name=name)


def test_an_unknown_split_lists_the_valid_ones(workdir):
    with pytest.raises(RequestError, match="`split`: expected train, validation, test"):
        _evaluate(workdir, split="dev")


def test_the_multiclass_prediction_is_the_most_probable_class(tmp_path):
    names = ("real", "glow", "gan")
    counts = {f"{split}/{name}": 8 for split in ("train", "test") for name in names}
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    workdir = tiny.fit(
        root,
        tmp_path / "workdir",
        data=_folder(root, validation_fraction=0.3),
        recipe={"num_epochs": 1},
    )
    summary, folder = _evaluate(workdir)
    rows = _rows(folder / "scores.csv")
    assert summary["classes"] == ["real", "gan", "glow"]
    accuracy = np.mean([row["label"] == row["predicted"] for row in rows])
    assert summary["multiclass_accuracy"] == pytest.approx(accuracy)


@pytest.fixture
def damaged(workdir, tmp_path):
    copy = shutil.copytree(workdir, tmp_path / "workdir")
    shutil.rmtree(copy / "evaluations", ignore_errors=True)
    return copy


@pytest.mark.parametrize("part", ["best", "best/3"])
def test_a_workdir_without_its_best_is_named(damaged, capsys, part):
    shutil.rmtree(damaged / part)
    assert tiny.run_cli("--mode=evaluate", f"--workdir={damaged}") == 2
    assert "holds no trained detector yet" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["tree", "facts"])
def test_a_damaged_detector_is_one_line(damaged, capsys, part):
    shutil.rmtree(tiny.newest(damaged / "best") / part)
    assert tiny.run_cli("--mode=evaluate", f"--workdir={damaged}") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("fakedet: --workdir: the checkpoint ")
    assert not (damaged / "evaluations").exists()


def test_facts_that_are_no_json_are_one_line(damaged, capsys):
    path = tiny.newest(damaged / "best") / "facts" / "metadata"
    path.write_text(path.read_text()[:20])
    assert tiny.run_cli("--mode=evaluate", f"--workdir={damaged}") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "is damaged" in captured.err


def test_a_config_without_its_data_needs_the_flags(damaged):
    record = dict(workdirs.open_workdir(damaged).record)
    del record["dataset"]
    workdirs.write(damaged, record)
    with pytest.raises(RequestError, match="name pictures with `data_dir`"):
        _evaluate(damaged)


def test_pictures_can_be_perturbed(workdir, data_dir, tmp_path):
    _evaluate(workdir, name="perturbed", perturb="median_filter:5")
    for path in (data_dir / "test").rglob("*.png"):
        picture = np.asarray(Image.open(path).convert("RGB"))
        perturbation = Perturbation("median_filter", 5)
        (filtered,) = apply.apply(perturbation, [picture], key=jax.random.key(0))
        copy = tmp_path / path.relative_to(data_dir)
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(filtered).save(copy)
    _, folder = _evaluate(workdir, data=_folder(tmp_path))
    found = _rows(workdir / "evaluations" / "perturbed" / "scores.csv")
    expected = _rows(folder / "scores.csv")
    assert [row["score"] for row in found] == [row["score"] for row in expected]


@pytest.mark.slow
def test_the_seed_decides_what_a_mix_does(workdir):
    scores = [
        _scores(_evaluate(workdir, perturb="mix", seed=seed)[1]) for seed in (0, 0, 1)
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.slow
def test_an_evaluation_is_named_after_what_was_done(workdir):
    _evaluate(workdir, name="", perturb="jpeg:60", report=True)
    folder = workdir / "evaluations" / "folder_test_jpeg_60"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>tiny on folder, split test, jpeg:60" in page
    found = json.loads((folder / "metrics.json").read_text())
    assert (found["perturb"], found["seed"]) == ("jpeg:60", 0)


def _default_names(workdir, *requests):
    """The folders of evaluations without a name, in the order of the requests."""
    made = []
    evaluations = workdir / "evaluations"
    for settings in requests:
        before = {path.name for path in evaluations.glob("*")}
        _evaluate(workdir, name="", num_resamples=0, **settings)
        new = {path.name for path in evaluations.glob("*")} - before
        made.append(new.pop() if new else "")
        assert not new
    return made


def test_no_evaluation_takes_the_place_of_another(damaged, data_dir, tmp_path):
    other = pictures.write_folder(
        tmp_path / "more faces", {"test/real": 2, "test/fake": 2}, 16
    )
    made = _default_names(
        damaged,
        {},
        {"data": _folder(data_dir)},
        {"data": _folder(other)},
        {"data": _folder(other), "threshold": 0.25},
        {"threshold": 0.25},
        {"threshold": 0.25},
        {"max_false_alarms": 0.4},
        {"false_alarm_rate": 0.4, "miss_rate": 0.3},
        {"perturb": "jpeg:60", "stability": True},
    )
    assert made == [
        "folder_test",
        "",  # Named or not, these are the pictures of the training.
        "folder_more_faces_test",
        "folder_more_faces_test_threshold_0.25",
        "folder_test_threshold_0.25",
        "",  # The same request again.
        "folder_test_max_false_alarms_0.4",
        "folder_test_unsure_0.4_0.3",
        "folder_test_jpeg_60_stability",
    ]


def test_two_folders_of_one_name_need_another(damaged, tmp_path):
    counts = {"test/real": 2, "test/fake": 2}
    first, second = (
        pictures.write_folder(tmp_path / place / "faces", counts, 16)
        for place in ("one", "two")
    )
    _default_names(damaged, {"data": _folder(first)})
    path = damaged / "evaluations" / "folder_faces_test" / "metrics.json"
    before = path.read_bytes()
    with pytest.raises(RequestError, match=r"`name`: .*folder_faces_test.*/one/faces"):
        _evaluate(damaged, name="", data=_folder(second))
    assert path.read_bytes() == before
    _evaluate(damaged, name="second", data=_folder(second))
    assert _default_names(damaged, {"data": _folder(first)}) == [""]


def test_a_part_of_other_pictures_is_told(
    workdir, data_dir, prepared_dir, tmp_path, caplog
):
    root = pictures.write_folder(tmp_path / "whole", {"real": 20, "fake": 20}, 16)

    def told(path, split="test"):
        caplog.clear()
        with caplog.at_level("INFO", "fakedet_jax"):
            summary, _ = _evaluate(workdir, data=_folder(path), split=split)
        lines = [line for line in caplog.messages if "pictures of" in line]
        return summary["num_examples"], lines

    count, lines = told(root)
    assert 0 < count < 40
    assert lines == [
        f"the split test has {count} of 40 pictures of {root}; `split=all` takes all"
    ]
    count, lines = told(prepared_dir)
    whole, no_lines = told(prepared_dir, "all")
    assert f"has {count} of {whole} pictures of" in lines[0]
    assert not no_lines
    assert told(root, "all") == (40, [])
    # What the training held out, and splits that are folders, are no surprise.
    assert told(data_dir) == (11, [])
    other = pictures.write_folder(
        tmp_path / "split", {"test/real": 2, "test/fake": 2, "train/real": 2}, 16
    )
    assert told(other) == (4, [])


def test_an_unknown_perturbation_is_refused(workdir):
    with pytest.raises(RequestError, match="`perturb`: jpeg: expected a whole"):
        _evaluate(workdir, perturb="jpeg:600")


def test_intervals_stand_beside_the_numbers(workdir):
    summary, folder = _evaluate(workdir, num_resamples=50)
    rows = _rows(folder / "scores.csv")
    fake = [row["label"] == "fake" for row in rows]
    scores = [float(row["score"]) for row in rows]
    expected = bootstrap.intervals(
        fake, scores, summary["threshold"], range(len(rows)), num_resamples=50
    )
    for name, ends in expected.items():
        assert summary[f"{name}_interval"] == list(ends)
    assert summary["interval_unit"] == "picture"
    assert not (folder / "video_scores.csv").exists()


def test_intervals_can_be_left_out(workdir):
    summary, _ = _evaluate(workdir, num_resamples=0)
    assert not [name for name in summary if "interval" in name]


def test_a_negative_number_of_resamples_is_refused(workdir):
    with pytest.raises(RequestError, match="`num_resamples`: expected at least 0"):
        _evaluate(workdir, num_resamples=-1)


def test_a_single_class_has_no_interval_of_auc(workdir, tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 4}, 16)
    summary, _ = _evaluate(workdir, data=_folder(root), split="all")
    assert summary["auc_interval"] is None
    assert summary["accuracy_interval"] is not None


def test_several_fake_classes_are_several_manipulations(workdir, tmp_path):
    counts = {"real_photos": 4, "glow": 3, "stylegan": 2}
    root = pictures.write_folder(tmp_path / "other", counts, 16)
    summary, folder = _evaluate(workdir, data=_folder(root), split="all")
    rows = {row["name"]: row for row in summary["manipulations"]}
    assert {name: row["num_fake"] for name, row in rows.items()} == {
        "glow": 3,
        "stylegan": 2,
    }
    kept = [row for row in _rows(folder / "scores.csv") if "glow" not in row["path"]]
    labels = [row["label"] == "fake" for row in kept]
    expected = metrics.auc(labels, [float(row["score"]) for row in kept])
    assert rows["stylegan"]["auc"] == expected


def test_classes_that_were_merged_are_manipulations(data_dir, workdir, tmp_path):
    counts = {"real_photos": 4, "glow": 3, "stylegan": 2}
    root = pictures.write_folder(tmp_path / "other", counts, 16)
    apart, _ = _evaluate(workdir, data=_folder(root), split="all")
    merged, folder = _evaluate(
        workdir, data=_folder(root, task="binary"), split="all", report=True
    )
    different = {name for name in merged if merged[name] != apart[name]}
    assert not different and merged.keys() == apart.keys()
    assert [row["name"] for row in merged["manipulations"]] == ["glow", "stylegan"]
    rows = _rows(folder / "scores.csv")
    assert {(Path(row["path"]).parent.name, row["label"]) for row in rows} == {
        ("real_photos", "real"),
        ("glow", "fake"),
        ("stylegan", "fake"),
    }
    for row in rows:
        assert row["manipulation"] == Path(row["path"]).parent.name
    assert "Manipulation by manipulation" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def of_videos(workdir, tmp_path_factory):
    """The summary and the folder of an evaluation of prepared videos."""
    root = videos.prepare_videos(tmp_path_factory.mktemp("evaluate"))
    return _evaluate(
        workdir, name="videos", data=_folder(root), num_resamples=50, report=True
    )


def test_videos_have_the_mean_scores_of_their_frames(of_videos):
    summary, folder = of_videos
    frames = {}
    for row in _rows(folder / "scores.csv"):
        if " frame " in row["path"]:
            path = row["path"].split(" frame ")[0]
            frames.setdefault(path, []).append(float(row["score"]))
    rows = _rows(folder / "video_scores.csv")
    assert {row["path"] for row in rows} == set(frames)
    for row in rows:
        own = frames[row["path"]]
        assert int(row["num_frames"]) == len(own) == videos.NUM_FRAMES
        assert float(row["score"]) == pytest.approx(np.mean(own), abs=1e-12)
        fake = float(row["score"]) >= summary["threshold"]
        assert row["predicted"] == ("fake" if fake else "real")


def test_the_numbers_of_videos_are_those_of_their_scores(of_videos):
    summary, folder = of_videos
    rows = _rows(folder / "video_scores.csv")
    assert summary["num_videos"] == len(rows) == sum(videos.VIDEOS.values())
    fake = [row["label"] == "fake" for row in rows]
    expected = metrics.summarize(
        fake, [float(row["score"]) for row in rows], summary["threshold"]
    )
    assert summary["video_auc"] == expected["auc"]
    assert summary["video_accuracy"] == expected["accuracy"]
    assert summary["interval_unit"] == "video"


def test_photographs_beside_videos_count_as_frames_alone(of_videos):
    summary, _ = of_videos
    num_frames = summary["num_videos"] * videos.NUM_FRAMES
    assert summary["num_examples"] == num_frames + videos.NUM_PHOTOGRAPHS


def test_manipulations_of_a_prepared_dataset_are_told_apart(of_videos):
    summary, _ = of_videos
    rows = {row["name"]: row for row in summary["manipulations"]}
    assert set(rows) == {"deepfakes", "face_swap"}
    row = rows["face_swap"]
    assert row["num_fake_videos"] == videos.VIDEOS["face_swap"]
    assert row["num_videos"] == row["num_fake_videos"] + videos.VIDEOS["real"]


def test_the_page_names_frames_and_videos(of_videos):
    _, folder = of_videos
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in ("AUC (frames)", "AUC (videos)", "Manipulation by manipulation"):
        assert text in page


def test_scores_of_videos_do_not_outlive_them(workdir, of_videos):
    folder = workdir / "evaluations" / "again"
    shutil.copytree(of_videos[1], folder)
    _evaluate(workdir, name="again")
    assert not (folder / "video_scores.csv").exists()


def test_fakes_are_counted_at_few_false_alarms(workdir):
    summary, folder = _evaluate(workdir, num_resamples=50, report=True)
    rows = _rows(folder / "scores.csv")
    fake = [row["label"] == "fake" for row in rows]
    scores = [float(row["score"]) for row in rows]
    expected = metrics.found_at(fake, scores, protocol.FALSE_ALARM_RATES)
    found = summary["found_at_false_alarms"]
    assert [row["false_alarms"] for row in found] == [0.001, 0.01, 0.05, 0.1]
    assert [row["found"] for row in found] == [row.found for row in expected]
    assert all(row["interval"][0] <= row["interval"][1] for row in found)
    page = (folder / "report.html").read_text("utf-8")
    assert "Fakes found at few false alarms" in page
    assert "fakes found at 0.1% false alarms" in evaluation_table(summary)


def test_a_share_of_false_alarms_sets_the_threshold(workdir):
    summary, folder = _evaluate(
        workdir, name="rate", max_false_alarms=0.34, report=True
    )
    stored = tiny.facts(workdir / "best")
    scores = sorted(log_odds.scores(stored["real_log_odds"]))
    assert stored["num_real"] == len(scores) == 3
    assert scores[1] < summary["threshold"] <= scores[2]
    assert summary["max_false_alarms"] == 0.34
    assert summary["threshold_real_pictures"] == 3
    assert "threshold_pictures" not in summary
    page = (folder / "report.html").read_text("utf-8")
    assert "1 of the 3 real validation pictures" in page


def test_too_few_real_pictures_for_a_share_are_warned_of(workdir, capsys):
    flags = ("--mode=evaluate", f"--workdir={workdir}", "--name=few")
    assert tiny.run_cli(*flags, "--max_false_alarms=0.01") == 0
    errors = capsys.readouterr().err
    assert "at most 1 % false alarms: 0 of the 3 real validation pictures" in errors
    assert "need at least 100 real validation pictures, there are 3" in errors


def test_unsure_pictures_are_counted_and_the_others_measured(workdir):
    summary, folder = _evaluate(
        workdir, name="unsure", report=True, false_alarm_rate=0.34, miss_rate=0.34
    )
    low, high = summary["unsure_between"]
    rows = _rows(folder / "scores.csv")
    expected = OperatingPoint(0.5, (low, high)).decide(
        [float(row["score"]) for row in rows]
    )
    assert [row["decision"] for row in rows] == expected
    for row in rows:
        reason = f"unsure: score between the thresholds {low:.4g} and {high:.4g}"
        assert row["note"] == (reason if row["decision"] == "unsure" else "")
    sure = [row for row in rows if row["decision"] != "unsure"]
    assert summary["unsure_share"] == pytest.approx(1 - len(sure) / len(rows))
    right = sum(row["decision"] == row["label"] for row in sure)
    assert summary["decided_accuracy"] == pytest.approx(right / len(sure))
    assert summary["unsure_share_interval"][0] <= summary["unsure_share"]
    assert summary["unsure_rates"] == [0.34, 0.34]
    page = (folder / "report.html").read_text("utf-8")
    assert "Accuracy of the decided" in page
    assert "are unsure, so that at most 34 %" in page


def _write_table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "camera", "note"), *rows])
    return path


def test_groups_of_a_table_have_their_own_metrics(workdir, tmp_path):
    whole, folder = _evaluate(workdir, name="ungrouped")
    rows = _rows(folder / "scores.csv")
    cameras = {
        row["path"]: "left" if place % 3 else "right" for place, row in enumerate(rows)
    }
    # The end of a path names it, and what is not named is a group too.
    ends = [
        ("/".join(Path(name).parts[-3:]), camera, name)
        for name, camera in list(cameras.items())[1:]
    ]
    table = _write_table(tmp_path / "labels.csv", ends)
    summary, grouped = _evaluate(
        workdir, name="grouped", report=True, group_by="camera", group_table=table
    )
    assert {key: summary[key] for key in ("auc", "accuracy")} == {
        key: whole[key] for key in ("auc", "accuracy")
    }
    found = {row["name"]: row for row in summary["groups"]}
    assert list(found) == ["(unknown)", "left", "right"]
    assert found["(unknown)"]["num_real"] + found["(unknown)"]["num_fake"] == 1
    own = [row for row in rows if cameras[row["path"]] == "left"]
    fake = [row["label"] == "fake" for row in own]
    scores = [float(row["log_odds"]) for row in own]
    left = found["left"]
    assert (left["num_real"], left["num_fake"]) == (fake.count(False), sum(fake))
    assert left["auc"] == pytest.approx(metrics.auc(fake, scores))
    assert left["fpr_interval"][0] <= left["fpr"] <= left["fpr_interval"][1]
    assert left["auc_interval"][0] <= left["auc"] <= left["auc_interval"][1]
    page = (grouped / "report.html").read_text("utf-8")
    assert "Group by group" in page
    assert "camera" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--group_by=camera"], "--group_table: expected a table and one of its"),
        (["--group_table={table}"], "--group_by: expected a table and one of its"),
        (["--group_by=lens", "--group_table={table}"], "found no lens"),
        (["--group_by=camera", "--group_table=no.csv"], "'no.csv' is missing; give"),
        (
            ["--group_by=camera", "--group_table={table}"],
            "--group_table: expected paths",
        ),
    ],
    ids=["no table", "no column", "another column", "missing", "other pictures"],
)
def test_a_wrong_table_of_groups_is_refused(workdir, tmp_path, capsys, flags, message):
    table = _write_table(tmp_path / "labels.csv", [("a.png", "left", "")])
    flags = [flag.format(table=table) for flag in flags]
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}", *flags) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_verdicts_that_mild_changes_flip_are_counted(workdir):
    summary, folder = _evaluate(workdir, name="stable", report=True, stability=True)
    rows = _rows(folder / "scores.csv")
    threshold = summary["threshold"]
    flipped = [float(row["least"]) < threshold <= float(row["most"]) for row in rows]
    assert summary["flip_share"] == pytest.approx(np.mean(flipped))
    assert [row["decision"] == "unsure" for row in rows] == flipped
    for row in rows:
        other = "real" if float(row["score"]) >= threshold else "fake"
        said = row["note"].startswith(f"unsure: {other} after ")
        assert said if row["decision"] == "unsure" else row["note"] == ""
    assert summary["unsure_share"] == summary["flip_share"]
    assert list(summary["flips"]) == list(stability.CHANGES)
    assert max(summary["flips"].values()) <= summary["flip_share"]
    low, high = summary["flip_share_interval"]
    assert low <= summary["flip_share"] <= high
    plain, other = _evaluate(workdir, name="plain")
    assert (plain["auc"], plain["accuracy"]) == (summary["auc"], summary["accuracy"])
    assert _scores(folder) == _scores(other)
    assert "Verdicts that flip" in (folder / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_without_unsure_pictures_nothing_is_said_of_them(workdir):
    summary, folder = _evaluate(workdir, name="sure", report=True)
    assert not any("unsure" in name for name in summary)
    assert summary["calibration"] == "none"
    page = (folder / "report.html").read_text("utf-8").partition("<body>")[2]
    assert "not calibrated: there are 3 real and 3 fake validation" in page
    assert "unsure" not in page.lower()


def test_the_share_is_refused_where_no_scores_are_stored(damaged, capsys):
    path = next((damaged / "best").glob("*/facts/metadata"))
    facts = json.loads(path.read_text())
    del facts["real_log_odds"], facts["num_real"]
    path.write_text(json.dumps(facts))
    flags = ("--mode=evaluate", f"--workdir={damaged}")
    assert tiny.run_cli(*flags, "--max_false_alarms=0.01") == 2
    error = capsys.readouterr().err
    assert "--max_false_alarms: the workdir holds no scores of real" in error
    assert "give --threshold" in error
    assert tiny.run_cli(*flags) == 0


def test_pictures_unlike_those_of_the_training_are_noted(workdir, tmp_path, caplog):
    root = pictures.write_folder(tmp_path / "data", {"real": 3, "fake": 3}, 20)
    wide = root / "real" / "wide.png"
    wide.write_bytes(pictures.encode(pictures.colourful(20, 60)))
    (root / "fake" / "large.png").write_bytes(
        pictures.encode(pictures.colourful(90, 90))
    )
    with caplog.at_level("WARNING", "fakedet_jax"):
        _, folder = _evaluate(workdir, data=_folder(root), split="all")
    notes = {row["path"]: row["note"] for row in _rows(folder / "scores.csv")}
    assert notes.pop(str(wide)).startswith("is not square like the training pictures: ")
    large = notes.pop(str(root / "fake" / "large.png"))
    assert large.startswith("is far larger than the training pictures: the central")
    assert set(notes.values()) == {""}
    (told,) = [line for line in caplog.messages if "not framed like" in line]
    assert told.startswith("2 of 8 pictures are not framed like those of the training")


def test_the_pictures_of_the_training_have_no_notes(workdir, caplog):
    with caplog.at_level("WARNING", "fakedet_jax"):
        _, folder = _evaluate(workdir)
    assert {row["note"] for row in _rows(folder / "scores.csv")} == {""}
    assert not [line for line in caplog.messages if "framed" in line]


@pytest.fixture(scope="module")
def trained_on_faces(tmp_path_factory):
    """A detector of tight crops, with others for a test."""
    folder = tmp_path_factory.mktemp("faces")
    data = rendered.write_faces(
        folder / "tight", rendered.TIGHT, ("train", "validation", "test")
    )
    return tiny.fit(data, folder / "workdir", recipe={"num_epochs": 1})


def test_faces_that_are_cut_out_otherwise_are_warned_of(
    trained_on_faces, tmp_path, caplog
):
    loose = rendered.write_faces(tmp_path / "loose", rendered.LOOSE)
    with caplog.at_level("WARNING", "fakedet_jax"):
        summary, folder = _evaluate(
            trained_on_faces, "loose", report=True, data=_folder(loose), split="all"
        )
    (told,) = summary["warnings"]
    assert told in caplog.messages
    known = workdirs.open_workdir(trained_on_faces).face_widths["real"]["median"]
    assert f"and were {known:.0%} in the training" in told
    assert json.loads((folder / "metrics.json").read_text())["warnings"] == [told]
    page = (folder / "report.html").read_text("utf-8")
    assert f'<p class="warning">{told[0].upper()}{told[1:]}.</p>' in page


def test_faces_that_are_cut_out_alike_are_not_warned_of(trained_on_faces, caplog):
    with caplog.at_level("WARNING", "fakedet_jax"):
        summary, folder = _evaluate(trained_on_faces, "alike", report=True)
    assert "warnings" not in summary
    assert not [line for line in caplog.messages if "cut out" in line]
    assert 'class="warning"' not in (folder / "report.html").read_text("utf-8")


def test_a_workdir_of_before_is_evaluated_silently(trained_on_faces, tmp_path, caplog):
    workdir = shutil.copytree(trained_on_faces, tmp_path / "workdir")
    record = json.loads((workdir / workdirs.FILE_NAME).read_text())
    del record["face_widths"]
    (workdir / workdirs.FILE_NAME).write_text(json.dumps(record))
    loose = rendered.write_faces(tmp_path / "loose", rendered.LOOSE)
    with caplog.at_level("WARNING", "fakedet_jax"):
        summary, _ = _evaluate(workdir, data=_folder(loose), split="all")
    assert "warnings" not in summary
    assert not [line for line in caplog.messages if "cut out" in line]


def test_the_page_can_be_left_out(workdir):
    _evaluate(workdir, name="with_page", report=True)
    _, folder = _evaluate(workdir, name="with_page")
    # What an earlier evaluation drew is not taken for this one's.
    assert not (folder / "report.html").exists()
    assert (folder / "metrics.json").exists()

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of cli.studies.file."""

import json

import pytest

from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.errors import RequestError


def _content(**changes):
    content = {
        "title": "A table",
        "source": "nowhere",
        "metric": "accuracy",
        "trainings": [{"name": "Raw", "flags": ["--detector=tiny"]}],
        "tests": [{"name": "Raw"}],
    }
    return {name: value for name, value in (content | changes).items() if value != ...}


def _training(**changes):
    return _content(trainings=[{"name": "a", "flags": ["--seed_less"], **changes}])


def _write(folder, content):
    path = folder / "study.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_is_left_out_has_a_default(tmp_path):
    study = study_file.read(_write(tmp_path, _content()))
    assert study == study_file.Study(
        title="A table",
        source="nowhere",
        note="",
        metric="accuracy",
        trainings=(study_file.Training("Raw", ("--detector=tiny",), {}),),
        tests=(study_file.Condition("Raw"),),
        baseline=None,
        confusion=False,
    )


def test_flagfiles_are_put_in_their_place(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "a.flags").write_text(
        "# A note\n--mode=train\n\n--detector=tiny\n// more\n--noflip\n--seed=3\n"
    )
    flags = ["--num_epochs=1", "--flagfile=../a.flags", "--detector=plain"]
    study = study_file.read(_write(tmp_path / "tables", _training(flags=flags)))
    assert study.trainings[0].flags == (
        "--num_epochs=1",
        "--detector=tiny",
        "--noflip",
        "--detector=plain",
    )


def test_paths_are_relative_to_the_study(tmp_path, monkeypatch):
    flags = ["--data_dir=faces", "--weights=/w.pth", "--task=binary", "--pretrained=p"]
    path = _write(tmp_path, _training(flags=flags))
    monkeypatch.chdir("/")
    assert study_file.read(path).trainings[0].flags == (
        f"--data_dir={tmp_path / 'faces'}",
        "--weights=/w.pth",
        "--task=binary",
        f"--pretrained={tmp_path / 'p'}",
    )


def test_perturbations_are_kept_as_they_are_written(tmp_path):
    tests = [{"name": "JP60", "perturb": "jpeg:60"}, {"name": "any", "perturb": "mix"}]
    study = study_file.read(_write(tmp_path, _content(tests=tests)))
    assert [test.perturb for test in study.tests] == ["jpeg:60", "mix"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"expected an object, found \[\]"),
        ("{", "expected JSON, found otherwise"),
        ('{"title": NaN}', "NaN is no number of JSON"),
        ('{"title": "a", "title": "b"}', "the key 'title' is there twice"),
        ("[" * 100_000, "expected JSON, found otherwise"),
        (_content(metric=...), "metric: expected a value, found none"),
        (_content(colour="blue"), "expected only title, .*, found 'colour'"),
        (_content(title=7), "title: expected a text, found 7"),
        (_content(title="a\nb"), r"title: expected one line of text, found 'a\\nb'"),
        (_content(source=" "), "source: expected one line of text, found ' '"),
        (_content(metric="loss"), "metric: expected one of multi.*, found 'loss'"),
        (_content(trainings={}), "trainings: expected a list, found {}"),
        (_content(trainings=[]), "trainings: expected at least one entry"),
        (_content(trainings=["a"]), r"trainings\[0\]: expected an object, found 'a'"),
        (_content(tests=[]), "tests: expected at least one entry"),
        (_content(baseline="b"), "baseline: expected one of Raw, found 'b'"),
        (_content(confusion=1), "confusion: expected true or false, found 1"),
        (_content(tests=[{}]), r"tests\[0\].name: expected a value, found none"),
        (_content(tests=[{"name": "../a"}]), r"tests\[0\].name: expected at most 40"),
        (_content(tests=[{"name": ".a"}]), r"tests\[0\].name: expected at most 40"),
        (_content(tests=[{"name": "a" * 41}]), r"tests\[0\].name: expected at most 40"),
        (
            _content(tests=[{"name": "a"}, {"name": "A"}]),
            r"tests\[1\].name: expected a name that no entry before has, found 'A'",
        ),
        (
            _content(tests=[{"name": "a", "perturb": "melt:3"}]),
            r"tests\[0\]: `perturb`: expected none, .*'melt:3'",
        ),
        (
            _content(tests=[{"name": "a", "perturb": "jpeg:101"}]),
            r"tests\[0\]: `perturb`: .*101",
        ),
        (_training(name="a b"), r"trainings\[0\].name: expected at most 40 letters"),
        (_training(flags=[]), r"trainings\[0\].flags: expected at least one entry"),
        (_training(flags=[1]), r"trainings\[0\].flags\[0\]: expected a text, found 1"),
        (_training(flags=["-x"]), r"flags\[0\]: expected a flag of --mode=train"),
        (_training(flags=["--a b"]), r"flags\[0\]: expected a flag of --mode=train"),
        (_training(flags=["--mode=x"]), r"flags\[0\]: expected a flag .*--mode, .*x'"),
        (_training(flags=["--workdir=x"]), r"flags\[0\]: expected a flag of"),
        (_training(flags=["--seed=1"]), r"flags\[0\]: expected a flag of --mode=tra"),
        (_training(flags=["--flagfile=no"]), r"flags\[0\]: expected a flagfile, .*no'"),
        (_training(paper=[]), r"paper: expected an object, found \[\]"),
        (_training(paper={"b": 9}), r"paper: expected only the tests Raw, found 'b'"),
        (
            _training(paper={"Raw": True}),
            r"paper\[...\]: expected a number, found {'Raw': Tr",
        ),
        (_training(paper={"Raw": 101}), r"paper.Raw: expected a number in per cent"),
    ],
)
def test_a_wrong_study_file_is_refused_in_one_line(tmp_path, content, message):
    path = _write(tmp_path, content)
    with pytest.raises(RequestError, match=message) as caught:
        study_file.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--mode=evaluate", "expected --mode=train in .*, found '--mode=evaluate'"),
        ("--flagfile=b.flags", "expected flags other than --flagfile in"),
        ("detector=tiny", "expected flags other than --flagfile in"),
    ],
)
def test_a_wrong_flagfile_is_refused(tmp_path, line, message):
    (tmp_path / "a.flags").write_text(line + "\n")
    path = _write(tmp_path, _training(flags=["--flagfile=a.flags"]))
    with pytest.raises(RequestError, match=message):
        study_file.read(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"no\.json' is missing; name one such as"):
        study_file.read(tmp_path / "no.json")


@pytest.mark.parametrize("flag", ["--seed=1", "--workdir=x", "--mode=train", "x"])
def test_overrides_do_not_take_what_the_study_gives(flag):
    with pytest.raises(RequestError, match="--mode=study: expected flags of --mode=tr"):
        study_file.check_overrides(["--num_epochs=1", flag])

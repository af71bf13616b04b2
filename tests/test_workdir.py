# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.workdir."""

import dataclasses
import json

import pytest

from fakedet_jax import config, systems, workdir
from fakedet_jax.errors import RequestError

FACTS = {"classes": ["real", "fake"], "face_detector": "none", "faces": None}


def _record(path, **changes):
    request = config.TrainConfig(
        workdir=path,
        detector=changes.pop("detector", "meso4"),
        data=config.DataConfig("folder", path / "data"),
    )
    request = dataclasses.replace(request, **changes)
    recipe = systems.create(request.detector).recipe
    return workdir.record_of(request, recipe, {**FACTS, "weights": None})


def _claim(path, record):
    is_new = workdir.claim(path, record)
    if is_new:
        path.mkdir(exist_ok=True)
        workdir.write(path, record)
    return is_new


def test_a_run_claims_its_folder_and_goes_on_with_it(tmp_path):
    path = tmp_path / "run"
    assert _claim(path, _record(path))
    assert not _claim(path, _record(path))
    opened = workdir.open_workdir(path)
    assert opened.detector == opened.title == "meso4"
    assert opened.data == config.DataConfig("folder", path / "data")
    assert opened.faces is None


@pytest.mark.parametrize("name", systems.names())
def test_the_record_gives_the_options_back(tmp_path, name):
    record = _record(tmp_path, detector=name)
    workdir.write(tmp_path, record)
    opened = workdir.open_workdir(tmp_path)
    expected = config.TrainConfig(workdir=tmp_path, detector=name)
    assert opened.settings(systems.options_of(record)) == expected.options
    assert opened.system().name == name


def test_a_setting_that_decides_the_result_may_not_change(tmp_path):
    _claim(tmp_path, _record(tmp_path))
    with pytest.raises(RequestError, match=r"a run with seed=0 \(now 1\)"):
        workdir.claim(tmp_path, _record(tmp_path, seed=1))


def test_a_setting_that_does_not_may_change(tmp_path):
    _claim(tmp_path, _record(tmp_path))
    options = systems.options_of({"detector": "meso4"})(log_every=7)
    reading = config.InputConfig(num_threads=3)
    assert not workdir.claim(
        tmp_path, _record(tmp_path, options=options, input=reading)
    )


def test_a_record_of_an_earlier_version_lacks_what_had_its_default(tmp_path):
    record = _record(tmp_path)
    earlier = {**record, "perturb": None, "num_workers": None}
    del earlier["num_microbatches"]
    del earlier["checkpoint_every"]
    workdir.write(tmp_path, earlier)
    assert not workdir.claim(tmp_path, record)
    assert workdir.open_workdir(tmp_path).system().name == "meso4"


def test_settings_of_other_systems_are_no_difference(tmp_path):
    # As earlier versions wrote them for every detector.
    record = _record(tmp_path, detector="fakespotter")
    earlier = {**record, "num_microbatches": 1, "perturb_copies": None}
    workdir.write(tmp_path, earlier)
    assert not workdir.claim(tmp_path, record)


def test_a_setting_of_another_version_is_named_with_the_version(tmp_path):
    record = {**_record(tmp_path), "version": "9.1", "novelty": 3}
    workdir.write(tmp_path, record)
    message = "the setting 'novelty', which version .* was written by version 9.1"
    with pytest.raises(RequestError, match=message):
        workdir.open_workdir(tmp_path).system()
    with pytest.raises(RequestError, match=message):
        workdir.claim(tmp_path, _record(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "config.json' is missing; no detector was trained in"),
        pytest.param("{", "expected JSON", id="cut short"),
        pytest.param("[" * 100_000, "expected JSON", id="deep"),
        ("[]", "expected an object"),
        ('{"detector": "gone"}', "names the detector 'gone', expected amtennet"),
        ('{"detector": ["meso4"]}', "names the detector"),
        ('{"detector": "meso4", "seed": "x"}', "seed: expected a whole number"),
        ('{"detector": "meso4", "dtype": 3}', "dtype: expected text"),
    ],
    ids=str,
)
def test_damage_is_one_line_that_names_the_file(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(RequestError, match=message) as caught:
        opened = workdir.open_workdir(tmp_path)
        opened.system()
        opened.settings(config.TrainConfig)
    assert str(caught.value).startswith("`workdir`: ")
    assert "\n" not in str(caught.value)


def test_the_setting_that_named_the_folder_is_told(tmp_path):
    with pytest.raises(RequestError, match=r"^`pretrained`: "):
        workdir.open_workdir(tmp_path, "pretrained")


def test_checkpoints_without_their_settings_are_refused(tmp_path):
    (tmp_path / "best").mkdir()
    with pytest.raises(RequestError, match="holds 'best' of an earlier run but no"):
        workdir.claim(tmp_path, _record(tmp_path))


def test_a_converted_detector_is_not_trained_further(tmp_path):
    system = systems.create("meso4")
    facts = {"weights": "sha", "converted_from": {"source": "x", "sha256": "y"}}
    workdir.write_converted(tmp_path, system, system.Options(), ("real", "fake"), facts)
    assert workdir.open_workdir(tmp_path).system().name == "meso4"
    with pytest.raises(RequestError, match="was converted"):
        workdir.claim(tmp_path, _record(tmp_path))
    with pytest.raises(RequestError, match="name pictures with `data_dir`"):
        _ = workdir.open_workdir(tmp_path).data


def test_a_file_is_no_workdir(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(RequestError, match="is not a folder"):
        workdir.claim(path, _record(tmp_path))
    assert json.loads(json.dumps(_record(tmp_path)))["detector"] == "meso4"

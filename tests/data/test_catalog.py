# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import shutil
from pathlib import Path

import pytest

from fakedet_jax.config import DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from tests.data.pictures import write_folder


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path, {"real": 10, "gan": 10, "diffusion": 10})


def test_multiclass_task_keeps_the_classes(folder):
    dataset = catalog.load(DataConfig("folder", folder), "all")
    assert dataset.classes == ("real", "diffusion", "gan")


def test_binary_task_merges_the_fakes(folder):
    dataset = catalog.load(DataConfig("folder", folder, task="binary"), "all")
    assert dataset.classes == ("real", "fake")
    assert dataset.labels.sum() == 20


@pytest.mark.parametrize(
    "changed, flag",
    [
        (
            {"dataset": "nonsense"},
            "`dataset`: expected celeb_df_pp, celeb_df_v2, celeba, ",
        ),
        ({"split": "val"}, "`split`: expected train, validation, test, all"),
        ({"task": "ternary"}, "`task`: expected multiclass, binary"),
        ({"data_dir": None}, "`data_dir`: "),
        ({"num_identities": 500}, "`num_identities`: `dataset=folder` has a fixed"),
        (
            {"dataset": "synthetic_faces", "num_identities": 3},
            "`num_identities`: expected at least 6, found 3",
        ),
    ],
)
def test_requests_that_cannot_be_met_name_the_flag(folder, changed, flag):
    request = {"dataset": "folder", "data_dir": folder, "split": "all", **changed}
    split = request.pop("split")
    with pytest.raises(RequestError, match=f"^{flag}"):
        catalog.load(DataConfig(**request), split)


def test_what_was_prepared_is_loaded_by_its_name_and_as_a_folder(prepared_dir):
    named = catalog.load(DataConfig("folder", prepared_dir), "train")
    assert named.classes == ("real", "fake")
    assert named.facts.names == named.names
    assert any(catalog.load(DataConfig("folder", prepared_dir), "all").facts.videos)


def test_a_prepared_dataset_of_another_name_is_a_folder_too(prepared_dir, tmp_path):
    shutil.copytree(prepared_dir / "folder", tmp_path / "hff")
    assert catalog.load(DataConfig("folder", tmp_path), "train").name == "hff"


def test_facts_follow_subsets_and_binary_labels(prepared_dir):
    dataset = catalog.load(DataConfig("folder", prepared_dir, task="binary"), "train")
    part = dataset.subset([2, 0])
    assert part.facts.names == part.names == [dataset.names[2], dataset.names[0]]


def test_a_published_dataset_must_be_prepared(folder):
    with pytest.raises(RequestError, match="`mode=prepare` `dataset=dfdc`"):
        catalog.load(DataConfig("dfdc", folder), "train")
    with pytest.raises(RequestError, match="`data_dir`: `dataset=dfdc` needs the"):
        catalog.load(DataConfig("dfdc", None), "train")


def test_classes_of_a_prepared_dataset_are_settled(prepared_dir):
    data = DataConfig("folder", prepared_dir, real_classes=("real",))
    known = catalog.load(data, "train")
    assert known.classes == ("real", "fake")
    for name in ("fake", "photos"):
        with pytest.raises(RequestError, match=f"`real_classes`: '{name}' cannot be"):
            catalog.load(dataclasses.replace(data, real_classes=(name,)), "train")


def test_splits_of_a_prepared_dataset_are_settled(prepared_dir):
    with pytest.raises(RequestError, match=r"`validation_fraction`: .* is prepared"):
        catalog.load(
            DataConfig("folder", prepared_dir, validation_fraction=0.3), "train"
        )


def test_how_faces_were_cut_out_is_known(prepared_dir, folder):
    faces = catalog.read_faces(DataConfig("folder", prepared_dir))
    assert faces["detector"] == {"name": "none"} and faces["size"] == 32
    assert catalog.read_faces(DataConfig("folder", folder)) is None
    assert catalog.read_faces(DataConfig("synthetic_faces")) is None


def test_fixed_classes_cannot_be_declared_real(tmp_path):
    with pytest.raises(RequestError, match=r"`real_classes`: synthetic_faces"):
        data = DataConfig("synthetic_faces", tmp_path, real_classes=("photos",))
        catalog.load(data, "train")


def test_training_needs_real_and_fake(tmp_path):
    write_folder(tmp_path, {"train/real": 30, "test/real": 1})
    with pytest.raises(RequestError, match="no fake"):
        catalog.load(DataConfig("folder", tmp_path), "train")


def test_evaluation_does_not_need_both(tmp_path):
    write_folder(tmp_path, {"train/real": 30, "test/real": 1})
    assert catalog.load(DataConfig("folder", tmp_path), "test").num_examples == 1


def test_photographs_alone_are_enough_where_no_fakes_are_needed(tmp_path):
    write_folder(tmp_path, {"train/real": 3, "validation/fake": 3})
    assert (
        catalog.load(DataConfig("folder", tmp_path), "train", needs="real").num_examples
        == 3
    )
    data = DataConfig("folder", tmp_path)
    with pytest.raises(RequestError, match="no real"):
        catalog.load(data, "validation", needs="real")


def test_a_prepared_dataset_is_asked_for_the_same(prepared_dir):
    for needs in ("both", "real", "either"):
        dataset = catalog.load(DataConfig("folder", prepared_dir), "train", needs=needs)
        assert set(dataset.fake_labels) == {0, 1}


def test_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert catalog.default_data_dir() == Path("/somewhere/fakedet_jax/datasets")


def test_cache_folder_without_environment(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    expected = Path("/home/someone/.cache/fakedet_jax/datasets")
    assert catalog.default_data_dir() == expected

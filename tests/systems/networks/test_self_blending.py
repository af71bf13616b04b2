# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training on pictures that are blended with themselves."""

import dataclasses
import os
import pickle
import signal

import numpy as np
import pytest

from fakedet_jax import config
from fakedet_jax.data import pipeline
from fakedet_jax.data.folder import load_folder
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import regions
from fakedet_jax.faces.self_blended import self_blend
from fakedet_jax.jobs.evaluate import evaluate
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.perturbation import Perturbation
from fakedet_jax.perturb.treatment import Choice, Treatment
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.systems.networks import self_blending
from tests import tiny
from tests.data.pictures import write_folder

SIZE = 32
BINARY = {"task": "binary"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("blending") / "pictures"
    folders = {"real": 6, "gan": 3, "diffusion": 3}
    return load_folder(write_folder(root, folders, SIZE), "all")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("blending") / "pictures")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return tiny.write_photographs(tmp_path_factory.mktemp("blending") / "photographs")


def _binary(path):
    return config.DataConfig(dataset="folder", data_dir=path, task="binary")


def _batches(dataset, count, share=0.5, start=0, **changes):
    options = {
        "framing": Framing.square(SIZE),
        "batch_size": 6,
        "seed": 3,
        "flip": False,
        "num_threads": 2,
        "forgery": self_blending.forgery(share, dataset),
        **changes,
    }
    with pipeline.train_iterator(dataset, **options) as batches:
        return [next(batches) for _ in range(count)], batches.get_state()


def test_real_pictures_become_fakes_and_fakes_stay(dataset):
    binary = dataset.as_binary()
    batches, _ = _batches(binary, 40)
    index, label, image = (
        np.concatenate([batch[name] for batch in batches])
        for name in ("index", "label", "image")
    )
    pictures = [decode(binary.source[place].encoded) for place in range(12)]
    as_read = np.array(
        [
            np.array_equal(one, pictures[place])
            for one, place in zip(image, index, strict=True)
        ]
    )
    was_real = binary.labels[index] == 0
    assert (label[~was_real] == 1).all() and as_read[~was_real].all()
    # What is labelled fake was made into one.
    np.testing.assert_array_equal(as_read[was_real], label[was_real] == 0)
    assert 0.35 < label[was_real].mean() < 0.65
    # No two of them are alike.
    made = image[was_real & (label == 1)]
    assert len({one.tobytes() for one in made}) == len(made)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_share_is_that_of_the_real_pictures(dataset, share):
    batches, _ = _batches(dataset.as_binary(), 60, share)
    index, label = (
        np.concatenate([batch[name] for batch in batches])
        for name in ("index", "label")
    )
    real = dataset.as_binary().labels[index] == 0
    assert abs(label[real].mean() - share) < 0.1


def test_a_fake_is_the_one_of_its_seed_and_landmarks(dataset):
    landmarks = np.tile(regions.upright_landmarks(SIZE, SIZE) / 2, (12, 1, 1))
    tags = np.full((12, 4), np.nan, np.float32)
    known = dataclasses.replace(
        dataset.as_binary(), portraits=Portraits(np.float32(landmarks), tags)
    )
    picture = decode(known.source[0].encoded)
    forge = self_blending.forgery(0.5, known).forge
    rng = np.random.default_rng([7, 0])
    expected = self_blend(picture, np.float32(landmarks[0]), rng)
    np.testing.assert_array_equal(forge(picture, 0, 7), expected)
    # The face is small and in a corner, unlike that of a crop.
    crop = self_blending.forgery(0.5, dataset.as_binary()).forge(picture, 0, 7)
    assert (crop != expected).any()


def test_fakes_are_perturbed_like_all_others(dataset):
    binary = dataset.as_binary()
    treatment = Treatment((Perturbation("median_filter", 3),), 0)
    plain, _ = _batches(binary, 3)
    treated, _ = _batches(binary, 3, treatment=treatment)
    choice = Choice(treatment.parts[0], 0)
    seen = 0
    for one, other in zip(plain, treated, strict=True):
        np.testing.assert_array_equal(one["index"], other["index"])
        for place, image in enumerate(other["image"]):
            assert other["label"][place] in (0, 1)
            if binary.labels[one["index"][place]] == 1:
                expected = treatment.apply(one["image"][place], choice)
                np.testing.assert_array_equal(image, expected)
                seen += 1
    assert seen


@pytest.mark.parametrize("num_threads", [1, 4])
def test_batches_do_not_depend_on_threads(dataset, num_threads):
    first, _ = _batches(dataset.as_binary(), 5)
    second, _ = _batches(dataset.as_binary(), 5, num_threads=num_threads)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])


def test_a_position_belongs_to_its_share(dataset):
    binary = dataset.as_binary()
    _, state = _batches(binary, 2)
    options = {"framing": Framing.square(SIZE), "batch_size": 6, "seed": 3}
    forgery = self_blending.forgery(0.4, binary)
    other = pipeline.train_iterator(binary, flip=False, forgery=forgery, **options)
    message = r"made with forgery=Forgery\(share=0.5"
    with other, pytest.raises(RequestError, match=message):
        other.set_state([state])


def test_worker_processes_can_have_it(dataset):
    forgery = self_blending.forgery(0.5, dataset.as_binary())
    copy = pickle.loads(pickle.dumps(forgery))
    assert repr(copy) == repr(forgery) and " at 0x" not in repr(forgery)
    picture = decode(dataset.source[0].encoded)
    np.testing.assert_array_equal(
        copy.forge(picture, 0, 5), forgery.forge(picture, 0, 5)
    )


def test_several_classes_of_fakes_are_refused(dataset):
    message = "`self_blended`: expected one class of fakes.*'diffusion', 'gan'"
    with pytest.raises(RequestError, match=message):
        self_blending.class_of_fakes(dataset)
    assert self_blending.class_of_fakes(dataset.as_binary()) == 1


def test_photographs_without_a_class_of_fakes_are_refused(photographs, tmp_path):
    message = "found none; give `task=binary`"
    with pytest.raises(RequestError, match=message):
        tiny.fit(photographs, tmp_path / "workdir", self_blended=0.5)
    assert not (tmp_path / "workdir").exists()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_an_impossible_share_is_refused(share, tmp_path):
    with pytest.raises(RequestError, match="`self_blended`: expected a number"):
        tiny.train_config(tmp_path, tmp_path, self_blended=share)


@pytest.mark.slow
def test_a_training_can_be_stopped_and_goes_on_exactly(data_dir, tmp_path):
    def fit(name, **changes):
        settings = {"self_blended": 0.5, "recipe": {"num_epochs": 1}, **changes}
        return tiny.fit(data_dir, tmp_path / name, **settings)

    whole = tiny.result(fit("whole"))
    stop = tiny.at_step(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(Stopped):
        fit("parts")
    with pytest.raises(RequestError, match=r"self_blended=0.5 \(now 0.25\)"):
        fit("parts", self_blended=0.25)
    assert tiny.result(fit("parts")) == whole
    assert whole["config"]["self_blended"] == 0.5


def test_photographs_alone_are_enough(photographs, data_dir, tmp_path):
    workdir = tiny.fit(
        photographs,
        tmp_path,
        data=_binary(photographs),
        self_blended=0.5,
        recipe={"num_epochs": 1},
    )
    facts = tiny.result(workdir)["info"]
    assert facts["classes"] == ["real", "fake"]
    assert facts["threshold_pictures"] == [12, 12]
    assert "12 real and 12 self-blended pictures" in facts["threshold_origin"]
    with tiny.registered():
        evaluate(
            config.EvaluateConfig(
                workdir=workdir, data=_binary(data_dir), split="test", name="other"
            )
        )
    assert (workdir / "evaluations" / "other" / "metrics.json").is_file()


def test_photographs_alone_need_them(photographs, tmp_path):
    with pytest.raises(RequestError, match="holds no fake pictures"):
        tiny.fit(photographs, tmp_path / "workdir", data=_binary(photographs))

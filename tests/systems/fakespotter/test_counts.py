# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.fakespotter.counts: counts of datasets, and their cache."""

import dataclasses
import logging
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedet_jax.config import DataConfig, InputConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.models import precision
from fakedet_jax.models.backbone import SITES
from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.systems import feature_cache
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter.counts import (
    CachedCounter,
    CountSettings,
    NeuronCounter,
)
from tests import tiny
from tests.data import pictures

_SETTINGS = CountSettings(tiny.BACKBONE)
_UNREADABLE = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eleven pictures, one of which cannot be read. Not to be changed."""
    root = tmp_path_factory.mktemp("counts") / "pictures"
    pictures.write_folder(root, {"real": 6, "fake": 5}, 20)
    Path(
        catalog.load(DataConfig("folder", root), "all").names[_UNREADABLE]
    ).write_bytes(b"text")
    return root


@pytest.fixture(scope="module")
def dataset(folder):
    return catalog.load(DataConfig("folder", folder), "all")


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of the cache of four rows."""
    monkeypatch.setattr(feature_cache, "_PART_ROWS", 4)


def _counter(settings=_SETTINGS, mesh=None):
    return NeuronCounter(
        settings,
        tiny.recognizer_variables(),
        mesh or parallel.data_mesh(),
        batch_size=8,
        reading=InputConfig(num_threads=2),
    )


@pytest.fixture(scope="module")
def counter():
    return _counter()


def _outputs(dataset, site="layer"):
    """Each layer's outputs for the readable pictures, one picture at a time."""
    preprocessing = tiny.BACKBONE.preprocessing
    for index in range(dataset.num_examples):
        if index == _UNREADABLE:
            continue
        picture = decode(dataset.source[index].encoded)
        image = to_input(picture, preprocessing.framing).astype(np.float32)
        values = (image[..., ::-1] - np.float32([90, 100, 110])) / 64
        module = tiny.Recognizer(site=site)
        _, out = module.apply(tiny.recognizer_variables(), values[None])
        yield index, [np.asarray(layer, np.float64).ravel() for layer in out.values()]


@pytest.fixture(scope="module")
def expected(dataset):
    """Thresholds and counts by their definitions, in NumPy."""
    outputs = dict(_outputs(dataset))
    means = [[layer.mean() for layer in layers] for layers in outputs.values()]
    thresholds = np.mean(means, 0).astype(np.float32)
    counts = np.zeros((dataset.num_examples, 3), np.int32)
    for index, layers in outputs.items():
        pairs = zip(layers, thresholds, strict=True)
        counts[index] = [(layer > threshold).sum() for layer, threshold in pairs]
    return thresholds, counts


def _no_check():
    pass


class _Cached:
    """A cached counter that says how often the network was asked for."""

    def __init__(
        self, folder, *, settings=_SETTINGS, digest="0", check=_no_check, counter=None
    ):
        self.created = 0
        self._made = counter
        self.counter = CachedCounter(
            settings,
            self._create,
            folder,
            weights_digest=digest,
            num_threads=2,
            check=check,
        )

    def _create(self):
        self.created += 1
        return self._made or _counter()


def test_thresholds_and_counts_are_those_of_the_definition(counter, dataset, expected):
    thresholds, counts = expected
    found = counter.fit_thresholds(dataset, _no_check)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, thresholds, rtol=1e-6, atol=1e-7)
    scored = counter.count(dataset, thresholds)
    assert scored.values.dtype == np.int32
    # Outputs may differ in their last digits, and so may what lies at the threshold.
    np.testing.assert_allclose(scored.values, counts, atol=1)
    assert np.flatnonzero(~scored.valid).tolist() == [_UNREADABLE]
    assert (counts[scored.valid] > 0).all()


def test_unreadable_pictures_change_no_threshold(counter, dataset):
    kept = dataset.subset([i for i in range(11) if i != _UNREADABLE])
    with_it, without = (
        counter.fit_thresholds(data, _no_check) for data in (dataset, kept)
    )
    np.testing.assert_allclose(with_it, without, rtol=1e-6)


def test_mirrored_counts_are_those_of_mirrored_pictures(counter, expected, tmp_path):
    datasets = []
    for name, step in (("straight", 1), ("mirrored", -1)):
        for kind in ("real", "fake"):
            (tmp_path / name / kind).mkdir(parents=True)
            for number in range(2):
                # As much is cut off at the left as at the right.
                picture = pictures.colourful(20, 19, len(kind) + number)[:, ::step]
                path = tmp_path / name / kind / f"{number}.png"
                path.write_bytes(pictures.encode(picture))
        datasets.append(catalog.load(DataConfig("folder", tmp_path / name), "all"))
    straight, mirrored = datasets
    found = counter.count(straight, expected[0], mirrored=True).values
    np.testing.assert_array_equal(found, counter.count(mirrored, expected[0]).values)
    assert (found != counter.count(straight, expected[0]).values).any()


def test_one_device_gives_what_eight_give(counter, dataset):
    one = _counter(mesh=parallel.data_mesh(jax.devices()[:1]))
    thresholds = counter.fit_thresholds(dataset, _no_check)
    alone = one.fit_thresholds(dataset, _no_check)
    np.testing.assert_allclose(alone, thresholds, atol=1e-6)
    difference = (
        one.count(dataset, alone).values - counter.count(dataset, thresholds).values
    )
    assert np.abs(difference).max() <= 2


def test_channels_have_the_thresholds_of_units(counter, dataset):
    channels = _counter(dataclasses.replace(_SETTINGS, neuron="channel"))
    thresholds = channels.fit_thresholds(dataset, _no_check)
    np.testing.assert_allclose(
        thresholds, counter.fit_thresholds(dataset, _no_check), rtol=1e-6
    )
    assert channels.count(dataset, thresholds).values.max(0).tolist() <= [6, 8, 5]


def test_activations_are_counted_behind_the_non_linearity(dataset):
    outputs = dict(_outputs(dataset, "activation"))
    means = [[layer.mean() for layer in layers] for layers in outputs.values()]
    found = _counter(dataclasses.replace(_SETTINGS, site="activation"))
    np.testing.assert_allclose(
        found.fit_thresholds(dataset, _no_check), np.mean(means, 0), rtol=1e-5
    )


def test_a_dataset_without_a_readable_picture_is_refused(counter, dataset):
    with pytest.raises(RequestError, match="found none that can be used"):
        counter.fit_thresholds(dataset.subset([_UNREADABLE]), _no_check)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neuron": "layer"}, "`neuron`: expected unit, channel, found 'layer'"),
        ({"site": "x"}, f"`site`: expected {', '.join(SITES)}, found 'x'"),
        ({"dtype": "float16"}, "`dtype`: expected float32, bfloat16, found 'float16'"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(RequestError, match=message):
        CountSettings(tiny.BACKBONE, **changes)


@pytest.fixture
def cached(tmp_path, dataset, counter, small_parts):
    """A cache with thresholds and counts, and these."""
    made = _Cached(tmp_path / "cache", counter=counter)
    thresholds = made.counter.fit_thresholds(dataset)
    return thresholds, made.counter.count(dataset, thresholds)


def _parts(folder):
    return sorted(path for path in folder.rglob("rows_*.npz"))


def test_what_is_cached_is_not_computed(tmp_path, dataset, cached):
    again = _Cached(tmp_path / "cache")
    thresholds = again.counter.fit_thresholds(dataset)
    scored = again.counter.count(dataset, thresholds)
    assert again.created == 0
    assert thresholds.tobytes() == cached[0].tobytes()
    assert scored.values.tobytes() == cached[1].values.tobytes()
    assert scored.valid.tobytes() == cached[1].valid.tobytes()


def test_the_cache_gives_what_the_network_gives(dataset, counter, cached):
    thresholds, scored = cached
    direct = counter.count(dataset, thresholds)
    np.testing.assert_array_equal(scored.values, direct.values)
    np.testing.assert_array_equal(scored.valid, direct.valid)
    assert scored.values.dtype == np.int32


def test_moved_pictures_are_the_same_pictures(tmp_path, folder, cached):
    moved = catalog.load(
        DataConfig("folder", shutil.copytree(folder, tmp_path / "moved")), "all"
    )
    again = _Cached(tmp_path / "cache")
    again.counter.count(moved, again.counter.fit_thresholds(moved))
    assert again.created == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "1"},
        {"settings": dataclasses.replace(_SETTINGS, neuron="channel")},
        {"settings": dataclasses.replace(_SETTINGS, site="activation")},
        {"settings": dataclasses.replace(_SETTINGS, dtype="bfloat16")},
        {
            "settings": CountSettings(
                dataclasses.replace(
                    tiny.BACKBONE,
                    preprocessing=dataclasses.replace(
                        tiny.BACKBONE.preprocessing, bgr=False
                    ),
                )
            )
        },
        {"settings": CountSettings(dataclasses.replace(tiny.BACKBONE, name="b"))},
    ],
    ids=["weights", "neuron", "site", "dtype", "preprocessing", "backbone"],
)
def test_other_settings_have_tables_of_their_own(
    tmp_path, dataset, cached, counter, changes
):
    other = _Cached(tmp_path / "cache", counter=counter, **changes)
    before = len(_parts(tmp_path))
    other.counter.count(dataset, other.counter.fit_thresholds(dataset))
    assert other.created == 1
    assert len(_parts(tmp_path)) == 2 * before


def test_another_precision_has_tables_of_its_own(tmp_path, dataset, cached, counter):
    other = _Cached(tmp_path / "cache", counter=counter)
    before = len(_parts(tmp_path))
    with precision.using("tf32"):
        other.counter.count(dataset, other.counter.fit_thresholds(dataset))
    assert other.created == 1
    assert len(_parts(tmp_path)) == 2 * before


def test_other_bytes_of_a_picture_have_tables_of_their_own(
    tmp_path, folder, cached, counter
):
    moved = shutil.copytree(folder, tmp_path / "moved")
    changed = moved / "fake" / "000.png"
    # Behind the picture, which stays as it is.
    changed.write_bytes(changed.read_bytes() + b"\0")
    other = _Cached(tmp_path / "cache", counter=counter)
    other.counter.fit_thresholds(catalog.load(DataConfig("folder", moved), "all"))
    assert other.created == 1


@pytest.mark.parametrize("what", ["thresholds", "mirrored", "order"])
def test_other_counts_have_tables_of_their_own(
    tmp_path, dataset, cached, counter, what
):
    other = _Cached(tmp_path / "cache", counter=counter)
    thresholds = cached[0] + np.float32(1e-3 if what == "thresholds" else 0)
    data = dataset.subset(range(10, -1, -1)) if what == "order" else dataset
    scored = other.counter.count(data, thresholds, mirrored=what == "mirrored")
    assert other.created == 1
    direct = counter.count(data, thresholds, mirrored=what == "mirrored")
    np.testing.assert_array_equal(scored.values, direct.values)


@pytest.mark.parametrize("what", ["thresholds", "first", "middle", "last", "all"])
def test_damaged_parts_are_computed_anew(
    tmp_path, dataset, cached, counter, caplog, what
):
    # Of the counts, from the first row on; then that of the thresholds.
    parts = sorted(_parts(tmp_path), key=lambda path: path.stat().st_size)
    thresholds_part = parts.pop(0)
    parts.sort()
    assert len(parts) == 3
    chosen = {
        "thresholds": [thresholds_part],
        "first": parts[:1],
        "middle": parts[1:2],
        "last": parts[2:],
        "all": parts,
    }[what]
    for path in chosen:
        path.write_bytes(path.read_bytes()[:-40])
    again = _Cached(tmp_path / "cache", counter=counter)
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        thresholds = again.counter.fit_thresholds(dataset)
        scored = again.counter.count(dataset, thresholds)
    assert again.created == 1
    assert len(caplog.records) == 1
    assert thresholds.tobytes() == cached[0].tobytes()
    assert scored.values.tobytes() == cached[1].values.tobytes()
    # Mended for the next one.
    third = _Cached(tmp_path / "cache")
    third.counter.count(dataset, third.counter.fit_thresholds(dataset))
    assert third.created == 0


class _StopAfter:
    """Asks to stop at the n-th look."""

    def __init__(self, number):
        self.left = number

    def __call__(self):
        self.left -= 1
        if not self.left:
            raise Stopped(signal.SIGTERM)


@pytest.mark.parametrize("parts_done", [1, 2])
def test_counting_goes_on_where_it_was_stopped(
    tmp_path, dataset, counter, small_parts, cached, parts_done
):
    thresholds, whole = cached
    folder = tmp_path / "other"
    first = _Cached(folder, counter=counter, check=_StopAfter(parts_done))
    with pytest.raises(Stopped):
        first.counter.count(dataset, thresholds)
    assert len(_parts(folder)) == parts_done

    counted = []

    class Watched:
        def count(self, part, *arguments, **keywords):
            counted.extend(part.names)
            return counter.count(part, *arguments, **keywords)

    second = _Cached(folder, counter=Watched())
    scored = second.counter.count(dataset, thresholds)
    assert counted == list(dataset.names[4 * parts_done :])
    assert scored.values.tobytes() == whole.values.tobytes()
    assert scored.valid.tobytes() == whole.valid.tobytes()


def test_fitting_thresholds_can_be_stopped(tmp_path, dataset, counter):
    stopped = _Cached(tmp_path, counter=counter, check=_StopAfter(1))
    with pytest.raises(Stopped):
        stopped.counter.fit_thresholds(dataset)
    assert _parts(tmp_path) == []
    assert jax.sharding.get_abstract_mesh().empty


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, dataset):
    (tmp_path / "file").touch()
    cached = _Cached(tmp_path / "file" / "cache")
    with pytest.raises(RequestError, match=r"`cache_dir`: .* cannot be written"):
        cached.counter.fit_thresholds(dataset)
    with pytest.raises(RequestError, match=r"`cache_dir`: .* cannot be written"):
        cached.counter.count(dataset, np.zeros(3, np.float32))
    assert cached.created == 0


def test_no_pictures_have_no_counts(tmp_path, dataset):
    cached = _Cached(tmp_path)
    scored = cached.counter.count(dataset.subset([]), np.zeros(3, np.float32))
    assert scored.values.shape == (0, 3)
    assert cached.created == 0


def test_the_layers_are_those_of_the_network():
    assert _SETTINGS.network.layer_sizes == tiny.LAYER_SIZES
    assert isinstance(_SETTINGS.network, coverage.Coverage)

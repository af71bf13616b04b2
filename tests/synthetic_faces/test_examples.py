# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from fakedet_jax.synthetic_faces import examples


def test_another_seed_gives_other_people():
    first = examples.make_examples(0, 0, 6)[0]
    second = examples.make_examples(1, 0, 6)[0]
    assert first.encoded != second.encoded


def test_faces_are_swapped_within_a_split_only(monkeypatch):
    taken = []
    take = examples._take

    def spy(seed, identity, number, pose_of=None):
        taken.append(identity)
        return take(seed, identity, number, pose_of)

    monkeypatch.setattr(examples, "_take", spy)
    examples.make_examples(0, 4, 6)
    assert set(taken) == set(examples.identities_of("test", 6)) == {4, 5}


@pytest.fixture(scope="module")
def plain_statistics(sources):
    """Mean, deviation and file length of all pictures, and whether they are fake."""
    source = sources["all"]
    rows, fake = [], []
    for index in range(len(source)):
        record = source[index]
        picture = np.asarray(Image.open(io.BytesIO(record.encoded)), np.float64)
        spread = picture.std(axis=(0, 1))
        rows.append([*picture.mean(axis=(0, 1)), *spread, len(record.encoded)])
        fake.append(record.label > 0)
    return np.array(rows), np.array(fake)


_STATISTICS = ("red", "green", "blue", "red_std", "green_std", "blue_std", "length")


@pytest.mark.parametrize("statistic", _STATISTICS)
@pytest.mark.slow
def test_plain_statistics_do_not_give_fakes_away(plain_statistics, statistic):
    rows, fake = plain_statistics
    values = rows[:, _STATISTICS.index(statistic)]
    # 80 against 80 pictures: chance alone strays by 0.045 (one standard deviation).
    assert 0.37 < roc_auc_score(fake, values) < 0.63

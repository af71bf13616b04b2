# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fusion: one verdict from the log-odds of several detectors, as pure functions.

Each member is read through a rising curve of its own, and so is what two of them agree
on. A fused score therefore never falls where a member's score rises, and a member that
is wrong about one kind of pictures cannot turn the others round. All choices are made,
and all figures are reported, on groups that were left out as a whole, such as
generators: rows of one generator are alike, so that random rows promise too much.

Example:
>>> import numpy as np
>>> from fakedet_jax import fusion
>>> rng = np.random.default_rng(0)
>>> fake = np.arange(200) % 2 == 1
>>> log_odds = rng.normal(size=(200, 2)) + 2 * fake[:, None]
>>> groups = [f"{'fake' if row % 2 else 'real'} {row % 10}" for row in range(200)]
>>> fitted = fusion.fit(["first", "second"], log_odds, fake, groups)
>>> bool(fitted.fusion([[3, 3]]) > fitted.fusion([[0, 3]]))
True
>>> fitted.auc > 0.9
True
"""

from fakedet_jax.fusion.fitting import MOST, Fitted, fit
from fakedet_jax.fusion.folds import Folds, leave_groups_out
from fakedet_jax.fusion.model import Fusion, log_odds

__all__ = ["MOST", "Fitted", "Folds", "Fusion", "fit", "leave_groups_out", "log_odds"]

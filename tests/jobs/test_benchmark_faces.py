# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of measuring how fast faces are found, cut out and read."""

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import benchmark_faces
from fakedet_jax.jobs.benchmark_faces import ROWS, measure_faces
from fakedet_jax.runtime import measurement


@pytest.mark.shared_data
@pytest.mark.slow
def test_every_speed_is_positive(shared_data, monkeypatch):
    monkeypatch.setattr(measurement, "_RUN_SECONDS", 0.01)
    monkeypatch.setattr(benchmark_faces, "_NUM_CROPS", 16)
    model = shared_data.parent / "models" / "face_detection_yunet.onnx"
    results = measure_faces(model, num_repeats=1, batch_size=8, num_workers=[0])
    assert set(results) < {name for name, *_ in ROWS}
    assert len(results) == 4 and all(speed > 0 for speed in results.values())


def test_a_missing_model_is_a_request_error(tmp_path):
    with pytest.raises(RequestError, match=r"`face_detector_model=.*`: .*no such file"):
        measure_faces(tmp_path / "none.onnx")

# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.runtime import measurement, parallel, platforms


def test_seconds_are_the_median_of_calls_that_were_waited_for(monkeypatch):
    monkeypatch.setattr(measurement, "_RUN_SECONDS", 0.0)
    pauses = iter([0, 0, 0, 0.02, 0.2, 0.02])
    seconds = measurement.seconds_per_call(lambda: time.sleep(next(pauses)), 3)
    assert 0.02 <= seconds < 0.2


def test_arithmetic_of_a_convolution_does_not_depend_on_the_devices():
    def conv(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (1, 1), "VALID")

    image = jax.ShapeDtypeStruct((8, 3, 10, 10), np.float32)
    kernel = jax.ShapeDtypeStruct((4, 3, 3, 3), np.float32)
    cut = parallel.batch_sharding(parallel.data_mesh())
    counts = [
        measurement.count_flops(jitted, (image, kernel))
        for jitted in (jax.jit(conv), jax.jit(conv, in_shardings=(cut, None)))
    ]
    assert counts == [2 * 8 * 4 * 8 * 8 * 9 * 3] * 2


def test_loops_over_pictures_on_cpus_are_counted_as_the_whole_batch():
    def squared(rows):
        return platforms.choose(
            rows,
            cpu=lambda rows: jax.lax.map(lambda row: row * row, rows),
            default=lambda rows: rows * rows,
        )

    jitted = platforms.jit(squared, parallel.data_mesh())
    rows = jax.ShapeDtypeStruct((8, 5), np.float32)
    assert measurement.count_flops(jitted, (rows,)) == 8 * 5


def test_unknown_arithmetic_is_none(monkeypatch):
    class Traced:
        def trace(self, *arguments):
            raise NotImplementedError("no cost analysis")

    monkeypatch.setattr(platforms, "for_every_platform", lambda jitted: jitted)
    assert measurement.count_flops(Traced(), ()) is None


def test_compiling_ahead_of_time_gives_the_same_function():
    values = jnp.arange(3.0)
    compiled, lower_seconds, compile_seconds = measurement.compile_timed(
        jax.jit(jnp.square), (values,)
    )
    assert compiled(values).tolist() == [0.0, 1.0, 4.0]
    assert min(lower_seconds, compile_seconds) > 0


def test_speed_of_a_product_is_its_arithmetic_over_its_time(monkeypatch):
    monkeypatch.setattr(measurement, "_CPU_SIDE", 64)
    monkeypatch.setattr(measurement, "seconds_per_call", lambda call, repeats: 0.5)
    speed = measurement.matmul_flops_per_second(parallel.data_mesh(), jnp.float32, 1)
    assert speed == pytest.approx(2 * 64**3 / 0.5)


def test_calls_take_turns(monkeypatch):
    monkeypatch.setattr(measurement, "_RUN_SECONDS", 0.0)
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("one", "two")}
    seconds = measurement.seconds_in_turns(calls, 3, num_warmup=0)
    # Each is called once before, to see how long it takes.
    assert order == ["one", "two", *["one", "two"] * 3]
    assert seconds.keys() == calls.keys()

#!/usr/bin/env bash
# XLA's GPU compiler keeps every layer until the last one is counted, if the thresholds of
# the layers are elements of one array. `optimization_barrier` does not change that.
#
# Package:  jax 0.10.2 with jax-cuda13-plugin and jax-cuda13-pjrt 0.10.2, CPython 3.11;
#           compiled for an H100 that need not be present
# Seen:     eight convolutions of equal size; of each output, the numbers above a
#           threshold are counted. The forward pass alone needs temporaries of two layers,
#           and so does counting with eight separate thresholds. With one array of eight
#           thresholds, the reductions read a common operand, are fused into one kernel,
#           and nine layers are kept for it. A barrier around each count is removed before
#           that. What helps is a dependency that XLA cannot remove: each threshold waits
#           for the count before it.
# Matters:  reading off one number per layer, such as neuron coverage, statistics or
#           clipping, costs the memory of the whole network: 3.2 instead of 0.9 GB for
#           ResNet-50 and 256 pictures in bfloat16.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet jax==0.10.2 jaxlib==0.10.2
"$folder/env/bin/python" -m pip install --quiet --no-deps \
    jax-cuda13-plugin==0.10.2 jax-cuda13-pjrt==0.10.2
cat > "$folder/shown.py" <<'CODE'
import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import topologies

DESCRIPTION = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84942979072 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 28 patch: 1 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
BATCH, SIDE, FEATURES, LAYERS = 256, 32, 256, 8
device = topologies.get_topology_desc(
    platform="cuda", topology_name="", target_config=DESCRIPTION, topology="1x1x1"
).devices[0]
place = jax.sharding.SingleDeviceSharding(device)


def layers(kernels, planes):
    for kernel in kernels:
        planes = lax.conv_general_dilated(
            planes, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        yield planes
        planes = jax.nn.relu(planes)


def above(planes, threshold):
    return (planes.astype(jnp.float32) > threshold).sum((1, 2, 3), dtype=jnp.int32)


def forward(kernels, planes, thresholds):
    return list(layers(kernels, planes))[-1].mean((1, 2, 3))


def from_one_array(kernels, planes, thresholds):
    pairs = zip(layers(kernels, planes), thresholds)
    return jnp.stack([above(*pair) for pair in pairs])


def behind_barriers(kernels, planes, thresholds):
    pairs = zip(layers(kernels, planes), thresholds)
    return jnp.stack([lax.optimization_barrier(above(*pair)) for pair in pairs])


def from_separate_arrays(kernels, planes, thresholds):
    return from_one_array(kernels, planes, thresholds)


def one_after_the_other(kernels, planes, thresholds):
    counts = [jnp.zeros(BATCH, jnp.int32)]
    for values, threshold in zip(layers(kernels, planes), thresholds):
        after = jnp.where(counts[-1] < 0, jnp.nan, threshold)[:, None, None, None]
        counts.append(above(values, after))
    return jnp.stack(counts[1:])


def shaped(*shape, dtype=jnp.bfloat16):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=place)


print("jax", jax.__version__)
kernels = [shaped(3, 3, FEATURES, FEATURES)] * LAYERS
planes = shaped(BATCH, SIDE, SIDE, FEATURES)
one = BATCH * SIDE * SIDE * FEATURES * 2
functions = (forward, from_one_array, behind_barriers, from_separate_arrays)
for function in (*functions, one_after_the_other):
    thresholds = shaped(LAYERS, dtype=jnp.float32)
    if function is from_separate_arrays:
        thresholds = [shaped(dtype=jnp.float32)] * LAYERS
    compiled = jax.jit(function).lower(kernels, planes, thresholds).compile()
    kept = compiled.memory_analysis().temp_size_in_bytes / one
    print(f"{function.__name__}: temporaries of {kept:.1f} layers")
CODE
JAX_PLATFORMS=cpu "$folder/env/bin/python" "$folder/shown.py" > "$folder/seen" 2> "$folder/log" ||
    { cat "$folder/log"; exit 1; }
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
jax 0.10.2
forward: temporaries of 2.0 layers
from_one_array: temporaries of 9.0 layers
behind_barriers: temporaries of 9.0 layers
from_separate_arrays: temporaries of 2.0 layers
one_after_the_other: temporaries of 2.0 layers
SEEN
echo "as before"

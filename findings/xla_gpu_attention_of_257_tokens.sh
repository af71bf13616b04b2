#!/usr/bin/env bash
# XLA's GPU compiler gives up on the output projection of attention over 257 tokens, which
# is what a vision transformer has of 16 × 16 patches and a class token.
#
# Package:  jax 0.10.2 with jax-cuda13-plugin and jax-cuda13-pjrt 0.10.2, CPython 3.11;
#           compiled for an H100 that need not be present
# Seen:     dot_product_attention of 64 pictures, 16 heads of 64 features, then a product
#           with a 1024 × 1024 kernel. With 256 tokens everything compiles. With 257 the
#           merged product, [64 · 257, 1024] by [1024, 1024], ends in "INTERNAL: Couldn't
#           find output tile sizes that satisfy hlo", in bfloat16 and in float32. A barrier
#           between both does not help, nor does an einsum that keeps heads apart in the
#           order that attention gives them. An einsum over heads first compiles.
# Matters:  CLIP ViT-L/14 and DINOv2 ViT-L/14 at 224² have 257 tokens; written as usual they
#           do not compile for an H100, although a smaller test of even length does.
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
device = topologies.get_topology_desc(
    platform="cuda", topology_name="", target_config=DESCRIPTION, topology="1x1x1"
).devices[0]
place = jax.sharding.SingleDeviceSharding(device)
BATCH, HEADS, DEPTH = 64, 16, 64
WIDTH = HEADS * DEPTH


def matrix(heads, kernel):
    return heads.reshape(BATCH, -1, WIDTH) @ kernel


def behind_a_barrier(heads, kernel):
    return matrix(jax.lax.optimization_barrier(heads), kernel)


def einsum(heads, kernel):
    return jnp.einsum("bthd,hdf->btf", heads, kernel.reshape(HEADS, DEPTH, WIDTH))


def einsum_heads_first(heads, kernel):
    first = heads.transpose(0, 2, 1, 3)
    return jnp.einsum("bhtd,hdf->btf", first, kernel.reshape(HEADS, DEPTH, WIDTH))


def shaped(dtype, *shape):
    return jax.ShapeDtypeStruct(shape, dtype, sharding=place)


print("jax", jax.__version__)
for dtype in (jnp.bfloat16, jnp.float32):
    for tokens in (256, 257):
        for project in (matrix, behind_a_barrier, einsum, einsum_heads_first):
            def block(heads, kernel):
                return project(jax.nn.dot_product_attention(heads, heads, heads), kernel)
            shapes = shaped(dtype, BATCH, tokens, HEADS, DEPTH), shaped(dtype, WIDTH, WIDTH)
            try:
                jax.jit(block).lower(*shapes).compile()
                said = "compiles"
            except jax.errors.JaxRuntimeError as error:
                said = str(error).splitlines()[0].partition(": %dot")[0]
            print(dtype.__name__, tokens, "tokens,", project.__name__ + ":", said, flush=True)
CODE
JAX_PLATFORMS=cpu "$folder/env/bin/python" "$folder/shown.py" > "$folder/seen" 2> "$folder/log" ||
    { cat "$folder/log"; exit 1; }
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
jax 0.10.2
bfloat16 256 tokens, matrix: compiles
bfloat16 256 tokens, behind_a_barrier: compiles
bfloat16 256 tokens, einsum: compiles
bfloat16 256 tokens, einsum_heads_first: compiles
bfloat16 257 tokens, matrix: INTERNAL: Couldn't find output tile sizes that satisfy hlo
bfloat16 257 tokens, behind_a_barrier: INTERNAL: Couldn't find output tile sizes that satisfy hlo
bfloat16 257 tokens, einsum: INTERNAL: Couldn't find output tile sizes that satisfy hlo
bfloat16 257 tokens, einsum_heads_first: compiles
float32 256 tokens, matrix: compiles
float32 256 tokens, behind_a_barrier: compiles
float32 256 tokens, einsum: compiles
float32 256 tokens, einsum_heads_first: compiles
float32 257 tokens, matrix: INTERNAL: Couldn't find output tile sizes that satisfy hlo
float32 257 tokens, behind_a_barrier: INTERNAL: Couldn't find output tile sizes that satisfy hlo
float32 257 tokens, einsum: INTERNAL: Couldn't find output tile sizes that satisfy hlo
float32 257 tokens, einsum_heads_first: compiles
SEEN
echo "as before"

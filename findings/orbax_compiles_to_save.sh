#!/usr/bin/env bash
# Saving an array of which every device has a copy makes Orbax compile a program for each
# device and shape.
#
# Package:  orbax-checkpoint 0.12.8 on jax 0.10.2, CPython 3.11 to 3.13, eight simulated
#           devices
# Seen:     the parameters of a data-parallel training are replicated. By default Orbax
#           cuts each of them into as many slices as there are devices, and each slice is
#           a JAX operation with its own start: three shapes on eight devices compile 24
#           programs at the first save; two axes are not divisible by eight and are left
#           whole. The same handler with `use_replica_parallel=False` compiles none and
#           writes the same values. The default depends on a variable of the environment:
#           it is off where JAX_PLATFORMS names cuda or gpu, and on where JAX finds the
#           GPUs by itself.
# Matters:  on one host the slices go to the same disk, so nothing is gained; the first
#           save, and the last one before a job is ended, waits for tens to hundreds of
#           compilations.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet \
    orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2
cat > "$folder/shown.py" <<'CODE'
import os
import pathlib

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import NamedSharding, PartitionSpec

compiled = 0


def count(event, seconds, **_):
    global compiled
    compiled += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(count)
mesh = jax.make_mesh((8,), ("data",))
whole = NamedSharding(mesh, PartitionSpec())
tree = {
    str(shape): jax.device_put(np.ones(shape, np.float32), whole)
    for shape in ((3, 3, 3, 64), (64,), (512, 10), (10,), (3,))
}
folder = pathlib.Path(__file__).parent


def save(name, handler):
    global compiled
    registry = ocp.type_handlers.create_type_handler_registry((jax.Array, handler))
    compiled = 0
    with ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(type_handler_registry=registry)
    ) as checkpointer:
        checkpointer.save(folder / name, tree)
        print(name, compiled, "compilations")
        found = checkpointer.restore(folder / name)
    assert all(np.array_equal(found[key], tree[key]) for key in tree)


print("orbax-checkpoint", ocp.__version__, "jax", jax.__version__)
save("default", ocp.type_handlers.ArrayHandler())
save("whole", ocp.type_handlers.ArrayHandler(use_replica_parallel=False))
os.environ["JAX_PLATFORMS"] = "cuda"  # JAX has started on the CPU.
tree = {key: jax.device_put(jnp.ones((*leaf.shape, 8)), whole) for key, leaf in tree.items()}
save("default_where_cuda_is_named", ocp.type_handlers.ArrayHandler())
CODE
JAX_PLATFORMS=cpu "$folder/env/bin/python" "$folder/shown.py" 2> "$folder/errors" \
    > "$folder/seen" || { tail -5 "$folder/errors"; exit 1; }
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
orbax-checkpoint 0.12.8 jax 0.10.2
default 24 compilations
whole 0 compilations
default_where_cuda_is_named 0 compilations
SEEN
echo "as before"

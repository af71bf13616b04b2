#!/usr/bin/env bash
# What only a machine with a GPU can tell: the speed of AMTENnet and of neuron counts,
# beside PyTorch where it is installed, and whether trainings with `--deterministic` end
# with the same bits.
#
# Usage:    PYTHON=python3 experiments/accelerator_check.sh FOLDER
# Hardware: one GPU, at most 8 minutes (FAKEDET_CHECK_SECONDS=480)
# Results:  FOLDER/results.json  exit code and seconds of each step (124: out of time),
#                                with what it measured
#           FOLDER/log.txt       what the steps print
# Try it:   FAKEDET_CHECK_QUICK=1 takes few pictures, for a CPU.
#
# A step that fails does not stop the next one.
set -euo pipefail
PYTHON=${PYTHON:-python3}
if (($# != 1)); then
    echo "usage: PYTHON=python3 $0 FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
log=$folder/log.txt
results=$folder/results.json
rm -f "$log" "$results"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

budget=${FAKEDET_CHECK_SECONDS:-480}
small=64 large=512 repeats=3
training=(--flagfile=experiments/quickstart.flags --num_epochs=1 --batch_size=64)
if [[ -n ${FAKEDET_CHECK_QUICK:-} ]]; then
    small=2 large=4 repeats=1
    timeout 180 "$PYTHON" main.py --mode=export --num_per_class=20 \
        --output="$work/pictures"
    training+=(--dataset=folder --data_dir="$work/pictures" --batch_size=16)
fi

# PyTorch compares with one device, and needs memory that JAX would take.
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
compare=
if timeout 60 "$PYTHON" -c 'import torch' 2>/dev/null; then
    compare=--compare=torch
    export XLA_PYTHON_CLIENT_PREALLOCATE=false
fi

# Shares, names and flags. On a GPU a comparison measures all three formats, so one for
# each batch size is enough; what it tells comes first.
network=--detector=amtennet
counts="--detector=fakespotter --batch_size=$small $compare"
benchmarks=(
    "11 amtennet_float32_$small $network --batch_size=$small $compare"
    "11 amtennet_float32_$large $network --batch_size=$large $compare"
    "11 mobilefacenet_$small $counts --backbone=mobilefacenet"
    "11 vggface2_resnet50_$small $counts --backbone=vggface2_resnet50"
    "6 amtennet_tf32_$small $network --batch_size=$small --matmul_precision=tf32"
    "6 amtennet_bfloat16_$small $network --batch_size=$small --dtype=bfloat16"
    "6 amtennet_tf32_$large $network --batch_size=$large --matmul_precision=tf32"
    "6 amtennet_bfloat16_$large $network --batch_size=$large --dtype=bfloat16"
)
# Per cent of the budget that belong to steps which have not begun.
unused=100

# Runs a command within its time, and adds what it wrote to $work/NAME.json to the
# results: step SHARE NAME COMMAND… It has its share of the budget, in per cent, and all
# that earlier steps have not used.
step() {
    local name=$2 start=$SECONDS code=0
    unused=$((unused - $1))
    shift 2
    local limit=$((budget - SECONDS - budget * unused / 100))
    # No time at all would mean no limit.
    if ((limit < 1)); then limit=1; fi
    echo "== $name, at most $limit s" | tee -a "$log"
    { timeout --kill-after=5 "$limit" "$@" 2>&1 | tee -a "$log"; } || code=$?
    if ((code)); then echo "$name ended with exit code $code" | tee -a "$log"; fi
    "$PYTHON" - "$results" "$name" "$code" $((SECONDS - start)) "$work/$name.json" <<'CODE'
import json
import pathlib
import sys

path, found = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[5])
results = json.loads(path.read_text()) if path.exists() else {}
results[sys.argv[2]] = {
    "exit_code": int(sys.argv[3]),
    "seconds": int(sys.argv[4]),
    **(json.loads(found.read_text()) if found.exists() else {}),
}
path.write_text(json.dumps(results, indent=2) + "\n")
CODE
}

# Each process compiles anew: a cache would hide that another one chooses otherwise.
training+=(--deterministic --compilation_cache_dir=)
step 18 train_first "$PYTHON" main.py "${training[@]}" --workdir="$work/first"
step 8 train_second "$PYTHON" main.py "${training[@]}" --workdir="$work/second"
JAX_PLATFORMS=cpu step 6 same_bits "$PYTHON" - "$work" <<'CODE'
import json
import pathlib
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

logging.set_verbosity(logging.ERROR)  # Orbax warns of what is as it should be.


def read(workdir):
    """All arrays of the newest checkpoint of a training, by name."""
    steps = [path for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()]
    tree = max(steps, key=lambda path: int(path.name)) / "tree"
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.StandardCheckpointer() as reader:
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
            reader.metadata(tree).item_metadata.tree,
        )
        found = reader.restore(tree, wanted)
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(found)
    }


work = pathlib.Path(sys.argv[1])
first, second = read(work / "first"), read(work / "second")
if first.keys() != second.keys():
    sys.exit("the trainings have stored different arrays")
different = [name for name in first if first[name].tobytes() != second[name].tobytes()]
told = {"num_arrays": len(first), "different": different}
(work / "same_bits.json").write_text(json.dumps(told))
if different:
    sys.exit(f"{len(different)} of {len(first)} arrays differ, such as {different[0]}")
print(f"bit-identical: all {len(first)} arrays")
CODE

for benchmark in "${benchmarks[@]}"; do
    read -ra words <<<"$benchmark"
    step "${words[@]:0:2}" "$PYTHON" main.py --mode=benchmark "${words[@]:2}" \
        --num_repeats="$repeats" --output="$work/${words[1]}.json"
done

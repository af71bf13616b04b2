#!/usr/bin/env bash
# ray.init replaces the program's handler of SIGTERM, and ray.shutdown does not bring it
# back. The handler of SIGINT stays.
#
# Package:  ray 2.60.0, CPython 3.11, a local cluster of one CPU
# Seen:     a program that handles both signals has its own handler of SIGINT during and
#           after ray.init, but Ray's of SIGTERM from ray.init to the end of the process.
# Matters:  cluster managers end jobs with SIGTERM. A program that saves its work when it
#           is told to stop saves nothing once Ray was started, and works when tried with
#           Ctrl-C. What helps: set the handler again after ray.init.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet ray==2.60.0
cat > "$folder/shown.py" <<'CODE'
import signal

import ray

NUMBERS = (signal.SIGINT, signal.SIGTERM)


def own(signum, frame):
    raise SystemExit(128 + signum)


def tell(when):
    kept = ", ".join(
        f"{number.name} {'kept' if signal.getsignal(number) is own else 'replaced'}"
        for number in NUMBERS
    )
    print(f"{when}: {kept}")


for number in NUMBERS:
    signal.signal(number, own)
tell("before ray.init")
ray.init(
    address="local",
    num_cpus=1,
    include_dashboard=False,
    object_store_memory=100 * 2**20,
    logging_level="CRITICAL",
    log_to_driver=False,
)
tell("after ray.init")
ray.shutdown()
tell("after ray.shutdown")
CODE
# In a home of its own: Ray keeps a token there.
HOME=$folder RAY_USAGE_STATS_ENABLED=0 \
    "$folder/env/bin/python" "$folder/shown.py" 2> "$folder/errors" > "$folder/found" ||
    { cat "$folder/errors"; exit 1; }
cat "$folder/found"
diff - "$folder/found" <<'SEEN'
before ray.init: SIGINT kept, SIGTERM kept
after ray.init: SIGINT kept, SIGTERM replaced
after ray.shutdown: SIGINT kept, SIGTERM replaced
SEEN
echo "as described"

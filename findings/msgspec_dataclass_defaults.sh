#!/usr/bin/env bash
# msgspec leaves the defaults of a nested dataclass out of the instance.
#
# Package:  msgspec 0.22.0 on CPython 3.11 to 3.13
# Seen:     `msgspec.convert` and `msgspec.json.decode` make a nested dataclass without
#           running `__init__`. A field that the input lacks is found through the class
#           attribute, so `inner.size` is 8 and the object equals one that Python made,
#           but the instance has no such attribute: `vars(inner)` is {}, and msgspec's own
#           `to_builtins` and `json.encode` write {"inner": {}} for it. The same dataclass
#           at the top level has all of its fields, as has one that Python made, for
#           which msgspec writes them. `dataclasses.asdict` is right for both.
# Matters:  a settings file that is read and written again loses the settings that had
#           their defaults, and a later version with another default reads another value.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet msgspec==0.22.0
cat > "$folder/shown.py" <<'CODE'
import dataclasses

import msgspec


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 8


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int = 3


read = msgspec.convert({"inner": {}}, Outer)
made = Outer(Inner())
print("msgspec", msgspec.__version__)
print("equal", read == made, "size", read.inner.size)
print("vars", vars(read.inner), vars(made.inner))
print("encode", msgspec.json.encode(read).decode(), msgspec.json.encode(made).decode())
print("asdict", dataclasses.asdict(read))
CODE
"$folder/env/bin/python" "$folder/shown.py" > "$folder/seen"
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
msgspec 0.22.0
equal True size 8
vars {} {'size': 8}
encode {"inner":{}} {"inner":{"size":8},"count":3}
asdict {'inner': {'size': 8}, 'count': 3}
SEEN
echo "as before"

#!/usr/bin/env bash
# A weight file of Keras 3 calls groups like other layers than those that they hold.
#
# Package:  keras 3.15.1 on jax 0.10.2, CPython 3.11 to 3.13
# Seen:     `save_weights("….weights.h5")` calls a group after the class of the layer and
#           counts from the start of the model, while layers without a name are counted
#           over the session and past those that have one. In a model of the
#           convolutions `first` (named) and `conv2d` (not named), the group
#           `layers/conv2d` holds `first`, and `layers/conv2d_1` holds `conv2d`. The true
#           name is an attribute of the group `vars` inside. `model.save("….h5")` of the
#           same model has the group `conv2d` for the layer `conv2d`.
# Matters:  a reader that takes groups for layers gives the weights of one layer to
#           another, without an error where their shapes agree.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
cat > "$folder/shown.py" <<'CODE'
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
import h5py
import keras
import numpy as np

inputs = keras.Input((8, 8, 4))
outputs = keras.layers.Conv2D(4, 3, name="first")(inputs)
outputs = keras.layers.Conv2D(4, 3)(outputs)
model = keras.Model(inputs, outputs)
for number, name in enumerate(("first", "conv2d"), 1):
    layer = model.get_layer(name)
    layer.set_weights([np.full(w.shape, number) for w in layer.get_weights()])
folder = pathlib.Path(__file__).parent
model.save_weights(folder / "model.weights.h5")
model.save(folder / "model.h5")
print("keras", keras.__version__)
with h5py.File(folder / "model.weights.h5") as file:
    for group in ("conv2d", "conv2d_1"):
        held = file["layers"][group]["vars"]
        print("weights.h5", group, held["0"][0, 0, 0, 0], held.attrs["name"])
with h5py.File(folder / "model.h5") as file:
    for group in ("first", "conv2d"):
        print("h5", group, file["model_weights"][group][group]["kernel"][0, 0, 0, 0])
CODE
JAX_PLATFORMS=cpu "$folder/env/bin/python" "$folder/shown.py" 2> /dev/null \
    > "$folder/seen"
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
keras 3.15.1
weights.h5 conv2d 1.0 first
weights.h5 conv2d_1 2.0 conv2d
h5 first 1.0
h5 conv2d 2.0
SEEN
echo "as before"

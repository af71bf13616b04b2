#!/usr/bin/env bash
# Hugging Face's vision transformers have other parameter names in memory than in the files
# that they save.
#
# Package:  transformers 5.24.0, torch 2.13.0, safetensors 0.8.0, CPython 3.11
# Seen:     one-layer CLIPVisionModel, Dinov2Model and DINOv3ViTModel. The names of
#           `state_dict()` and those of `save_pretrained` agree for CLIP. Of DINOv2 the
#           attention is called `attention.k_proj` in memory and `attention.attention.key`
#           in the file, of DINOv3 all layers are below `model.` in memory alone. The files
#           keep the names of the published checkpoints.
# Matters:  weights that a training script stores by `torch.save(model.state_dict())` are of
#           another layout than the checkpoint that the model was loaded from, and a
#           converter that is tested on one of them alone refuses the other.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet transformers==5.24.0 torch==2.13.0 \
    safetensors==0.8.0 numpy==2.4.1
cat > "$folder/shown.py" <<'CODE'
import tempfile

import transformers
from safetensors import safe_open

SMALL = dict(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    image_size=32,
    patch_size=16,
)
print("transformers", transformers.__version__)
for model, config in (
    (transformers.CLIPVisionModel, transformers.CLIPVisionConfig),
    (transformers.Dinov2Model, transformers.Dinov2Config),
    (transformers.DINOv3ViTModel, transformers.DINOv3ViTConfig),
):
    made = model(config(**SMALL))
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        with safe_open(f"{folder}/model.safetensors", "pt") as file:
            saved = set(file.keys())
    kept = set(made.state_dict())
    print(f"{model.__name__}: {len(kept)} names in memory, {len(saved)} in the file,")
    print(f"  {len(kept & saved)} of them the same")
    for name, only in (("memory", kept - saved), ("the file", saved - kept)):
        print(f"  only in {name}: {min(only, default='none')}")
CODE
"$folder/env/bin/python" "$folder/shown.py" > "$folder/seen" 2> "$folder/log" ||
    { cat "$folder/log"; exit 1; }
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
transformers 5.24.0
CLIPVisionModel: 23 names in memory, 23 in the file,
  23 of them the same
  only in memory: none
  only in the file: none
Dinov2Model: 25 names in memory, 25 in the file,
  17 of them the same
  only in memory: encoder.layer.0.attention.k_proj.bias
  only in the file: encoder.layer.0.attention.attention.key.bias
DINOv3ViTModel: 24 names in memory, 24 in the file,
  7 of them the same
  only in memory: model.layer.0.attention.k_proj.weight
  only in the file: layer.0.attention.k_proj.weight
SEEN
echo "as before"

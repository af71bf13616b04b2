#!/usr/bin/env bash
# In deepsafe-bench, the packaged ensemble ranks videos and sounds worse than its best
# member alone, and a detector that has nothing to say has the score 0.5, not none.
#
# Package:  deepsafe-bench 1.0.0 (scores of published detectors on public datasets),
#           CPython 3.11
# Seen:     AUC of the column `ensemble_score` and of the best `prob_…` column: pictures
#           0.947 and 0.896, videos 0.669 and 0.798, sounds 0.829 and 0.841. Of the columns
#           that have scores in half of the rows of a kind, two to three are 0.5 in each.
# Matters:  who compares with "the ensemble" on videos compares with less than one of its
#           members. And an average that counts 0.5 as a vote pulls all scores to one half:
#           such columns have to be told by their single value, as no cell is empty.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet deepsafe-bench==1.0.0
cat > "$folder/shown.py" <<'CODE'
import csv
import gzip
from importlib import resources

TABLE = resources.files("deepsafe") / "assets" / "predictions_medium.csv.gz"


def auc(pairs):
    """Of (is fake, score): the chance that a fake scores higher; a tie is one half."""
    ordered = sorted(score for _, score in pairs)
    places = {}
    for place, score in enumerate(ordered, start=1):
        first, _ = places.get(score, (place, place))
        places[score] = first, place
    fakes = [sum(places[score]) / 2 for fake, score in pairs if fake]
    num_real = len(pairs) - len(fakes)
    return (sum(fakes) - len(fakes) * (len(fakes) + 1) / 2) / len(fakes) / num_real


with gzip.open(TABLE, "rt", newline="") as file:
    rows = list(csv.DictReader(file))
for kind in ("images", "video", "audio"):
    own = [row for row in rows if row["modality"] == kind]
    areas, silent = {}, []
    for name in own[0]:
        if name != "ensemble_score" and not name.startswith("prob_"):
            continue
        pairs = [(row["label"] == "fake", float(row[name])) for row in own if row[name]]
        if 2 * len(pairs) < len(own):
            continue
        if {score for _, score in pairs} == {0.5}:
            silent.append(name)
        areas[name] = auc(pairs)
    ensemble = areas.pop("ensemble_score")
    best = max(areas, key=areas.get)
    print(f"{kind}: ensemble {ensemble:.3f}, {best} {areas[best]:.3f}")
    print(f"  0.5 in every row: {', '.join(silent)}")
CODE
"$folder/env/bin/python" "$folder/shown.py" | tee "$folder/found"
diff - "$folder/found" <<'SEEN'
images: ensemble 0.947, prob_fsd 0.896
  0.5 in every row: prob_sdxl_watermark, prob_videoseal
video: ensemble 0.669, prob_npr_video 0.798
  0.5 in every row: prob_c2pa, prob_sdxl_watermark, prob_videoseal
audio: ensemble 0.829, prob_nes2net 0.841
  0.5 in every row: prob_c2pa, prob_sdxl_watermark, prob_videoseal
SEEN
echo "as described"

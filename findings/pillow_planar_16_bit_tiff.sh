#!/usr/bin/env bash
# Pillow reads a planar 16-bit RGB TIFF without compression as garbage, without an error.
#
# Package:  Pillow 13.0.0 on CPython 3.11
# Seen:     a picture of one colour, R, G, B = 256 × (51, 102, 204) + 7, is stored
#           once with interleaved samples (PlanarConfiguration 1) and once in planes (2).
#           The former comes back as (51, 102, 204), the latter with the bytes of each
#           plane laid out as if they were of 8 bits. tifffile and libtiff read both alike.
#           With LZW compression, which libtiff decodes, both are right.
# Matters:  scanners and raw developers write such files; a detector then scores noise.
# Output:   see the end of this file; the script fails when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet pillow==13.0.0 tifffile==2026.3.3 numpy
cat > "$folder/shown.py" <<'CODE'
import io

import numpy as np
import PIL
import tifffile
from PIL import Image

colour = np.array([51, 102, 204], np.uint16) * 256 + 7
picture = np.broadcast_to(colour, (16, 16, 3)).copy()
print("Pillow", PIL.__version__)
for name, data in (("contig", picture), ("separate", picture.transpose(2, 0, 1).copy())):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, data, photometric="rgb", planarconfig=name)
    image = Image.open(io.BytesIO(buffer.getvalue()))
    colours = sorted({tuple(map(int, c)) for c in np.asarray(image).reshape(-1, 3)})
    right = np.array_equal(tifffile.imread(io.BytesIO(buffer.getvalue())), data)
    print(name, image.mode, image.size, colours[:3], "tifffile right:", right)
CODE
"$folder/env/bin/python" "$folder/shown.py" > "$folder/seen"
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
Pillow 13.0.0
contig RGB (16, 16) [(51, 102, 204)] tifffile right: True
separate RGB (16, 16) [(7, 7, 7), (51, 102, 204)] tifffile right: True
SEEN
echo "as before"

#!/bin/bash
# label-studio-sdk 2.1.2 (its converter, which Label Studio's own "Export" runs).
#
# Expected: in COCO every image has an integer width and height, also one on which nothing was drawn; that a
#           picture is empty is what it was looked at for.
# Seen:     an image without a box is written with "width": null, "height": null, though the picture's size is the
#           same as its neighbour's; a reader that divides by it, or checks it against the file, fails on the
#           empty pictures alone.
#
# Needs Python 3.10 or newer and a package index. Exits 0 while this is so, 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q label-studio-sdk==2.1.2

cat > tasks.json <<'JSON'
[{"id": 1, "data": {"image": "/data/local-files/?d=set/a.jpg"}, "annotations": [{"id": 1, "completed_by": 1,
  "was_cancelled": false, "result": [{"id": "x", "type": "rectanglelabels", "from_name": "label",
  "to_name": "image", "original_width": 100, "original_height": 60, "image_rotation": 0,
  "value": {"x": 10, "y": 20, "width": 20, "height": 40, "rotation": 0, "rectanglelabels": ["car"]}}]}]},
 {"id": 2, "data": {"image": "/data/local-files/?d=set/b.jpg"}, "annotations": [{"id": 2, "completed_by": 1,
  "was_cancelled": false, "result": []}]}]
JSON

venv/bin/python - <<'PYTHON'
import json
import sys

from label_studio_sdk.converter import Converter

config = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="car"/></RectangleLabels></View>"""
Converter(config, project_dir=".").convert("tasks.json", "out", "COCO", is_dir=False)
images = json.load(open("out/result.json"))["images"]
for image in images:
    print(image["file_name"], image["width"], image["height"])
sizes = [(image["width"], image["height"]) for image in images]
sys.exit(sizes != [(100, 60), (None, None)])
PYTHON

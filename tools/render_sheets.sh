#!/usr/bin/env bash
# Contact sheets of all domains: rows are people, columns cameras and moments.
set -euo pipefail

mkdir -p docs/pictures
for folder in artifacts/videos/unreal data/campus data/winter data/station; do
  python -m sttreid.simulate sheet "$folder" "docs/pictures/$(basename "$folder").jpg"
done

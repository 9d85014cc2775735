#!/usr/bin/env bash
# Draws contact sheets of all domains: rows are identities, columns are cameras and times.
set -euo pipefail

mkdir -p docs/images
for folder in artifacts/videos/unreal data/campus data/winter data/station; do
  sttreid simulate sheet "$folder" "docs/images/$(basename "$folder").jpg"
done

#!/usr/bin/env bash
# Renders the target sets at the scale of domains/benchmark.yaml and benchmark-v2.yaml, pins them with DVC and adds their objects to git.
set -euo pipefail

domains=(campus winter station campus-v2 winter-v2 station-v2)  # those of both files
for folder in data/*/; do
  name=$(basename "$folder")
  [[ $name == "*" || " ${domains[*]} " == *" $name "* ]] ||
    { echo "error: data/$name must be one of ${domains[*]}: move it, or it gets into the remote data-store" >&2; exit 1; }
done
fresh=$(mktemp -d -p .)  # next to data/, so that a failure keeps the existing sets
trap 'rm -rf "$fresh"' EXIT
for domain in "${domains[@]}"; do
  sttreid simulate render "$domain" "$fresh/$domain" --benchmark
done
rm -rf data
mv "$fresh" data
chmod 755 data
dvc add -q data
tools/data_store.sh pinned
git add data.dvc
du -sb data

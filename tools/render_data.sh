#!/usr/bin/env bash
# Render the target sets with params.yaml's `benchmark` scale, pin them with DVC and put their objects where git takes them.
set -euo pipefail

domains=(campus winter station)
for folder in data/*/; do
  name=$(basename "$folder")
  [[ $name == "*" || " ${domains[*]} " == *" $name "* ]] ||
    { echo "error: data/$name is not one of ${domains[*]}: move it away, it must not get into the sample remote" >&2; exit 1; }
done
fresh=$(mktemp -d -p .)  # beside data: a failure leaves the sets that are there
trap 'rm -rf "$fresh"' EXIT
for domain in "${domains[@]}"; do
  python -m sttreid.simulate render "$domain" "$fresh/$domain"
done
rm -rf data
mv "$fresh" data
chmod 755 data
dvc add -q data
rm -rf data-store
dvc push -q data.dvc
git add -f data-store data.dvc
du -sb data data-store

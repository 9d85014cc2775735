#!/usr/bin/env bash
# Render the target sets with params.yaml's `benchmark` scale, pin them with DVC and put their objects where git takes them.
set -euo pipefail

rm -rf data && mkdir data
for domain in campus winter station; do
  python -m sttreid.simulate "$domain" "data/$domain"
done
dvc add -q data
rm -rf data-store
dvc push -q data.dvc
git add -f data-store data.dvc
du -sb data data-store

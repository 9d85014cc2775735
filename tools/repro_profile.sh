#!/usr/bin/env bash
# Run the pipeline with the overrides of profiles/NAME.txt in a temporary clone; this checkout stays unchanged.
set -euo pipefail

profile=$PWD/profiles/$1.txt
[ -f "$profile" ] || { echo "error: no such profile: profiles/$1.txt" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || echo "note: uncommitted changes are not part of the clone" >&2
clone=$(mktemp -d)/sttreid
git clone -q . "$clone"
cd "$clone"
git config user.name >/dev/null || { git config user.name sttreid; git config user.email sttreid@localhost; }
export PYTHONPATH=$clone/src
dvc pull -q data.dvc
mapfile -t overrides < <(grep -v '^ *\(#\|$\)' "$profile")
dvc exp run "${overrides[@]/#/-S}"
cat metrics/report.md
echo "Results of the profile: $clone/metrics"

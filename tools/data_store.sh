#!/usr/bin/env bash
# Fill data-store/, the remote inside the repository, and add it to git: with the pinned target sets, the published models and
# the run of dvc.lock, or without the run (the argument `pinned`). What nothing refers to any more is left out. If an object is
# missing, the folder stays as it is.
set -euo pipefail

shopt -s nullglob
targets=()  # none: all that DVC tracks
case ${1:-} in
  "") dvc status -q dvc.yaml data.dvc || { echo "error: dvc.lock is not that of this checkout: run the pipeline first (dvc status)" >&2; exit 1; } ;;
  pinned) targets=(data.dvc models/*.dvc) ;;
  *) echo "error: the argument must be none or 'pinned', got '$1'" >&2; exit 1 ;;
esac
dvc fetch -q "${targets[@]}"  # from the store itself, what the cache lacks
before=$(mktemp -d -p .)
restore() { [ ! -d "$before/data-store" ] || { rm -rf data-store; mv "$before/data-store" .; }; rm -rf "$before"; }
trap restore EXIT
[ ! -d data-store ] || mv data-store "$before"
dvc push -q "${targets[@]}"
dvc status -q --cloud "${targets[@]}"
rm -rf "$before/data-store"
git add -A -f data-store
du -sb data-store

#!/usr/bin/env bash
# Run the pipeline in two parallel streams of one-thread processes. First training, in streams of about equal length: one has
# pre-training, fine-tuning and the last sixth of the ablation's variants, the other the remaining variants. Then the tests of
# all models. `dvc repro` alone does the same, one stage after the other. The last output is a table of this run and the published
# one.
set -euo pipefail

compare() { python tools/published.py; }

dvc status -q dvc.yaml && { echo "Everything is up to date."; compare; exit; }

dvc repro decode resolve
# listed before the streams start, because they rewrite dvc.lock, which listing reads
stages() { dvc stage list --name-only "$1"; }
mapfile -t first < <(stages pretrain; stages finetune)
mapfile -t variants < <(stages ablate)
mapfile -t evaluations < <(stages evaluate)
last=$((${#variants[@]} * 5 / 6))
first+=("${variants[@]:last}")
second=("${variants[@]:0:last}")

# --wait-for-lock and -s (no upstream stages) make parallel calls safe
stream() { for stage in "$@"; do dvc --wait-for-lock repro -q -s "$stage" || return; done; }
evens=() odds=()
for i in "${!evaluations[@]}"; do
  if ((i % 2)); then odds+=("${evaluations[i]}"); else evens+=("${evaluations[i]}"); fi
done

side_by_side() { # NAME NAME: two arrays of stages
  local -n left=$1 right=$2
  stream "${left[@]}" &
  jobs=($!)
  stream "${right[@]}" &
  jobs+=($!)
  wait "${jobs[0]}"
  wait "${jobs[1]}"
}

set -m  # each stream is a separate process group, so that it can be ended as a whole
jobs=()
trap 'for job in "${jobs[@]}"; do kill -- "-$job" 2>/dev/null || true; done' EXIT
trap 'exit 130' INT TERM
side_by_side first second
side_by_side evens odds
dvc repro
compare

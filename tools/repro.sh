#!/usr/bin/env bash
# Run the pipeline with two one-thread training processes side by side: synthetic pre-training, fine-tuning, the test of
# these models and the last seventh of the ablation's cells in one stream, the other cells in the other: about as long.
# `dvc repro` alone does the same, one stage after the other.
set -euo pipefail

dvc status -q dvc.yaml && { echo "Everything is up to date."; exit 0; }

dvc repro decode configs
# read before the streams start: they rewrite dvc.lock, which listing reads
mapfile -t first < <(for stage in pretrain finetune evaluate; do dvc stage list --name-only "$stage"; done)
mapfile -t cells < <(dvc stage list --name-only ablate)
last=$((${#cells[@]} * 6 / 7))
first+=("${cells[@]:last}")
second=("${cells[@]:0:last}")

# --wait-for-lock and -s (no upstream stages) are what makes parallel calls safe
stream() { for stage in "$@"; do dvc --wait-for-lock repro -q -s "$stage" || return; done; }

set -m  # each stream is a process group of its own, so that all of it can be ended
stream "${first[@]}" &
training=$!
stream "${second[@]}" &
ablation=$!
trap 'kill -- "-$training" "-$ablation" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
wait "$training"
wait "$ablation"
dvc repro

#!/usr/bin/env bash
# Run the pipeline with two one-thread training processes side by side: synthetic pre-training and fine-tuning in one
# stream, the ablation's cells in the other. `dvc repro` alone does the same, one stage after the other.
set -euo pipefail

dvc status -q && { echo "Everything is up to date."; exit 0; }

# --wait-for-lock and -s (no upstream stages) are what makes parallel calls safe
each() { dvc stage list --name-only "$1" | xargs -n 1 dvc --wait-for-lock repro -q -s; }

dvc repro decode configs
(each pretrain && each finetune) &
training=$!
each ablate &
ablation=$!
wait "$training"
wait "$ablation"
dvc repro

#!/usr/bin/env bash
# A Slurm array that makes one batch of videos, a GPU a task. Each task makes its part of the rows, and all write into one folder.
#
#   sbatch --array=0-7 scripts/slurm-batch.sh prompts.csv /shared/videos --threshold 0.7
#
# What is behind the folder goes to `nablagen batch`; the model is named with --model, or in NABLAGEN_MODEL before sbatch.
# The task's part is read from SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT, so --array has to be a range. Submit the same again after
# a failure or a time limit: finished rows are skipped. Build once before (scripts/setup), where the tasks see it.
#SBATCH --job-name=nablagen
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --output=nablagen-%A_%a.log
# Preempted or at its time limit, a task is told a minute ahead and stops in good order.
#SBATCH --signal=TERM@60
#SBATCH --requeue
set -euo pipefail

if (($# < 2)); then
  echo "usage: sbatch --array=0-7 $0 PROMPTS OUTPUT_DIR [options of nablagen batch]" >&2
  exit 2
fi
prompts=$1
folder=$2
shift 2

# Slurm runs a copy of this script; the checkout is where sbatch was called, unless NABLAGEN_HOME names it.
nablagen=${NABLAGEN_HOME:-$SLURM_SUBMIT_DIR}/scripts/nablagen

# srun passes signals on to the program; a shell would not.
exec srun "$nablagen" batch "$prompts" --output-dir "$folder" "$@"

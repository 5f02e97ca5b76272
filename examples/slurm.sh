#!/usr/bin/env bash
# A suite as a job array: each task computes its share of the cells into a folder of its own.
#
#   sbatch --array=1-8 examples/slurm.sh cifar10
#
# and when all have ended, put the shares together and write the report:
#
#   bench run --suite cifar10 $(printf -- '--merge %s ' shares/*)
#
# A task that was killed goes on where it stopped when the same line is submitted again.
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
set -euo pipefail

suite=$1
tasks=${SLURM_ARRAY_TASK_COUNT:?run this as a job array: sbatch --array=1-8 $0 SUITE}
share=$SLURM_ARRAY_TASK_ID

bench run --suite "$suite" --shard "$share/$tasks" --workers "${SLURM_CPUS_PER_TASK:-1}" \
    --results "shares/$share" --out "shares-reports/$share" --display plain

#!/usr/bin/env bash
# A suite as a job array: each task computes its share of the cells into a folder of its own.
#
#   sbatch --array=1-8 examples/slurm.sh cifar10
#
# and when all have ended, put the shares together and write the report:
#
#   bench run --suite cifar10 $(printf -- '--merge %s ' shares/*)
#
# A task that was killed goes on where it stopped when the same line is submitted again. To submit single tasks again,
# say how many shares there are:
#
#   sbatch --array=3,5 examples/slurm.sh cifar10 8
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
set -euo pipefail

suite=${1:?say which suite: sbatch --array=1-8 $0 SUITE}
tasks=${SLURM_ARRAY_TASK_COUNT:?run this as a job array: sbatch --array=1-8 $0 SUITE}
share=$SLURM_ARRAY_TASK_ID
shares=${2:-$tasks}
if [ -z "${2:-}" ] && [ "${SLURM_ARRAY_TASK_MIN:-1}-${SLURM_ARRAY_TASK_MAX:-$tasks}" != "1-$tasks" ]; then
    echo "the array is not 1-N: say how many shares there are: sbatch --array=$share $0 $suite SHARES" >&2
    exit 2
fi

bench run --suite "$suite" --shard "$share/$shares" --workers "${SLURM_CPUS_PER_TASK:-1}" \
    --results "shares/$share" --out "shares-reports/$share" --display plain

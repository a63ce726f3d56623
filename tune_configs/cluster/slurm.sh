#!/usr/bin/env bash
# One experiment on several nodes: sbatch tune_configs/cluster/slurm.sh cifar10 [options of `zenfront run`]
# From a folder that all nodes share: the run folders are made there, in runs/. The same command goes on where a job
# ended; a job that is preempted goes on by itself (--requeue).
#SBATCH --job-name=zenfront
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=zenfront-%j.log
set -euo pipefail

export RAY_AUTH_MODE=token # the token is in the shared home folder, ~/.ray/auth_token
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
ray get-auth-token --generate >/dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }'):6379

# Starts Ray on all nodes and the driver on the first, and ends Ray everywhere when the driver ends: the nodes are
# ours alone (--exclusive), as this ends every Ray on them.
exec srun --no-kill --kill-on-bad-exit=0 ray symmetric-run \
  --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
  -- zenfront run --address auto "$@"

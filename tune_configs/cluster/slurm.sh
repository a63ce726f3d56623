#!/usr/bin/env bash
# Run one experiment on several nodes: sbatch tune_configs/cluster/slurm.sh cifar10 [options of `zenfront run`]
# Submit it from a folder that all nodes share; the run folders are created there, in runs/. The same command continues
# a run after its job has ended, and a preempted job continues by itself (--requeue).
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

export RAY_AUTH_MODE=token # the token is in the home folder, which all nodes share: ~/.ray/auth_token
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
ray get-auth-token --generate >/dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }'):6379

# Start Ray on all nodes and the driver on the first, and stop Ray on all nodes when the driver ends. That stops every
# Ray on them, so the job needs the nodes for itself (--exclusive).
exec srun --no-kill --kill-on-bad-exit=0 ray symmetric-run \
  --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
  -- zenfront run --address auto "$@"

#!/usr/bin/env bash
# A run on two machines of four GPUs each. Submit it again to go on where it stopped:
#   sbatch examples/slurm.sh --config configs/sd15.yaml --data.jobs jobs.csv --output_dir outputs/mine
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
set -euo pipefail
srun muse fit-free "$@" --trainer.accelerator gpu --trainer.devices 4 --trainer.num_nodes 2

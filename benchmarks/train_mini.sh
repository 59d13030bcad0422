#!/usr/bin/env bash
# Trains muse-mini at 128 px, part by part; a part that stopped goes on from its last checkpoint.
#
#   benchmarks/train_mini.sh [PART ...]    all, in their order, where none is named
#   benchmarks/train_mini.sh list          their names: those of 64 px, where the others start, first
#
# What is learned lies in runs/mini, as a diffusers folder; checkpoints and curves beside it.
# SHARE=0.01 takes that share of the steps (a trial); PRECISION=bf16-mixed where that is fast (a GPU, a
# CPU with AMX); COMPILED=true fuses UNet and transformer; COUNT=... so many scenes. On a GPU all of it is
# one call:
#   PRECISION=bf16-mixed benchmarks/train_mini.sh
set -euo pipefail
cd "$(dirname "$0")/.."
all=(first/autoencoder first/clip first/diffusion autoencoder clip diffusion decoder preview flow
    simemo emogen timm judge content simemo_fi)
[ "${1:-}" != list ] || exec echo "${all[@]}"
parts=("${@:-${all[@]}}")
out=runs/mini
mkdir -p "$out/guides"
for part in "${parts[@]}"; do
    config=configs/mini/$part.yaml
    mkdir -p "$out/$part"
    words=(--trainer.default_root_dir "$out/$part" --data.render_workers "$(nproc)")
    steps=$(sed -n 's/^ *max_steps: //p' "$config")
    if [ -n "$steps" ]; then
        words+=(--trainer.max_steps "$(python3 -c "print(max(2, round(${SHARE:-1} * $steps)))")")
    elif [ -n "${SHARE:-}" ]; then
        words+=(--trainer.max_epochs 1)  # the heads count epochs
    fi
    case "$part" in *diffusion | flow) [ -z "${COMPILED:-}" ] || words+=(--model.compiled "$COMPILED") ;; esac
    [ -z "${PRECISION:-}" ] || words+=(--trainer.precision "$PRECISION")
    # Where scenes are few, an epoch is shorter than what lies between validations.
    [ -z "${COUNT:-}" ] || words+=(--data.count "$COUNT" --trainer.val_check_interval 1.0)
    last=$(find "$out/$part" -name 'last*.ckpt' -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2-)
    [ -z "$last" ] || words+=(--ckpt_path "$last")
    echo "$part: ${words[*]}"
    python3 -m muse.cli fit --config "$config" "${words[@]}"
done

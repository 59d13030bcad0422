#!/usr/bin/env bash
# All that wants a GPU, in one call: muse-mini at 128 px from nothing, its waterfall, and full-size
# timings with random weights.
#
#   benchmarks/gpu.sh [PART ...]           results in outputs/gpu, or in $OUT where that is set; of the
#                                          trainings those named, else all (train_mini.sh list)
#   LIMIT=570 benchmarks/gpu.sh            a call that may take so many seconds: what is left then is cut
#                                          off, and a second call goes on with it
#   SHARE=0.001 COUNT=64 TINY=true benchmarks/gpu.sh     a trial, on a CPU too
#
# Each part that is done is copied at once (half precision, files of a few MB), so that a call that is
# cut off leaves what it had; the same call goes on where the trainings stopped.
set -uo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-outputs/gpu}
tiny=${TINY:-false}
mkdir -p "$OUT"
[ "$tiny" = true ] || export PRECISION=${PRECISION:-bf16-mixed}
end=$(($(date +%s) + ${LIMIT:-86400}))

within() {  # a command, until the end
    local left=$((end - $(date +%s)))
    [ "$left" -gt 0 ] && timeout "$left" "$@"
}

keep() {  # what is learned so far, without checkpoints
    [ ! -d runs/mini ] || (cd runs/mini && find . -name '*.safetensors' -o -name '*.json' -o -name metrics.csv |
        grep -v -e checkpoints -e "^./first" -e "^./latents" | tar -cf - -T -) | tar -xf - -C "$OUT"
}

[ $# -gt 0 ] || set -- $(benchmarks/train_mini.sh list)
for part in "$@"; do
    SECONDS=0
    within benchmarks/train_mini.sh "$part" > "$OUT/${part//\//-}.log" 2>&1 && echo "$part: $SECONDS s" | tee -a "$OUT/seconds.txt"
    keep
done
within python3 benchmarks/waterfall.py $([ "$tiny" = true ] && echo --repeats 1 --pictures 1 --slow 1 --lockstep false) \
    > "$OUT/waterfall.md" 2> "$OUT/waterfall.log"
for model in sd15 sdxl; do
    within python3 benchmarks/full_size.py --model "$model" --tiny "$tiny" $([ "$tiny" = true ] && echo "--batches [1] --steps 2 --start 1") \
        > "$OUT/$model.txt" 2> "$OUT/$model.log"
done
ls -l "$OUT"

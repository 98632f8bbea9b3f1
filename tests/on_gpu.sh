#!/usr/bin/env bash
# Everything that needs a GPU, the most important first, each part under 10 minutes; one report.
#
#     bash tests/on_gpu.sh [REPORT]      (default: on_gpu_report.txt)
#
# Timings compare with plain eager float32 of the same commit, and with the commit in AGAINST where that is set.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
report="$(realpath -m "${1:-on_gpu_report.txt}")"
python="${PYTHON:-python}"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

has_cuda="$("$python" -c 'import torch; print(torch.cuda.is_available())')" || {
    echo "$python does not import torch: activate the environment, or set PYTHON" | tee "$report" >&2
    exit 1
}
if [[ "$has_cuda" != True ]]; then
    echo "no CUDA device here: nothing of this was run" | tee "$report"
    exit 0
fi

failed=0
part() { # part TITLE COMMAND...
    echo "== $1" | tee -a "$report"
    shift
    timeout 600 "$@" >>"$report" 2>&1 || { echo "failed with code $?: $*" | tee -a "$report"; failed=1; }
}
bench() { # bench TITLE OPTIONS...
    part "$1" "$python" tools/analysis_tools/benchmark.py "${@:2}"
}
against=(${AGAINST:+--against "$AGAINST"})

: >"$report"
part 'machine' "$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name(), torch.cuda.get_device_capability())'
part 'tests: goldens, synchronisation, deterministic bits, nccl, mixed precision' \
    "$python" -m pytest -q -m cuda -p no:cacheprovider tests
one=(forward-t-512x512 forward-s-512x512 forward-l-512x512 forward-t+-512x512)
bench 'latency at batch 1, float32 eager' "${one[@]}" --rounds 20 "${against[@]}"
bench 'latency at batch 1, bfloat16 eager' "${one[@]}" --rounds 20 --amp bfloat16
bench 'latency at batch 1, bfloat16 compiled' "${one[@]}" --rounds 20 --amp bfloat16 --compile
bench 'latency at batch 1, bfloat16, CUDA graphs' "${one[@]}" --rounds 20 --warm-up 3 --amp bfloat16 --cuda-graphs
bench 'throughput at batch 32, float32 eager' "${one[@]}" --batch 32
bench 'throughput at batch 32, bfloat16 eager' "${one[@]}" --batch 32 --amp bfloat16
bench 'throughput at batch 32, bfloat16 compiled' "${one[@]}" --batch 32 --amp bfloat16 --compile
steps=(train-t-512x512 train-s-512x512 train-l-512x512 train-t+-512x512)
bench 'training step and peak memory, batch 8, float32 eager' "${steps[@]}" --batch 8 "${against[@]}"
bench 'training step and peak memory, batch 8, bfloat16 eager' "${steps[@]}" --batch 8 --amp bfloat16
bench 'training step, batch 2, bfloat16' "${steps[@]}" --batch 2 --amp bfloat16
bench 'training step, batch 2, bfloat16, CUDA graphs' "${steps[@]}" --batch 2 --amp bfloat16 --warm-up 3 --cuda-graphs
bench 'training step and peak memory, batch 8, bfloat16 compiled' "${steps[@]}" --batch 8 --amp bfloat16 --compile
for work in forward-t-512x512 train-t-512x512 train-t+-512x512; do
    bench "profile of $work, bfloat16" "$work" --amp bfloat16 --profile
done
echo "report: $report"
exit "$failed"

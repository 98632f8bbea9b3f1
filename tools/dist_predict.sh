#!/usr/bin/env bash
# Segment images on the GPUs of this node, each process its share. Several nodes: see mmseg/cli/processes.py. Options of
# tools/predict.py follow; --out DIR is one of them. MAX_RESTARTS=3: start again after a failure, and go on.
set -euo pipefail

if (($# < 3)) || [[ "$1" == -* ]]; then
    echo "usage: bash tools/dist_predict.sh MODEL INPUT GPUS --out DIR [options of tools/predict.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
launch predict.py "$1" "$2" --gpus "$3" "${@:4}"

#!/usr/bin/env bash
# Train on the GPUs of this node, or on its CPU where it has none. Several nodes: see mmseg/cli/processes.py.
set -euo pipefail

if (($# < 2)) || [[ "$1" == -* ]]; then
    echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
launch train.py "$@"

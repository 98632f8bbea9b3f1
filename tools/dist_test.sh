#!/usr/bin/env bash
# Test a checkpoint on the GPUs of this node, or on its CPU where it has none. Several nodes: see mmseg/cli/processes.py.
set -euo pipefail

if (($# < 3)) || [[ "$1" == -* ]]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
launch test.py "$@"

#!/usr/bin/env bash
# Test a checkpoint on the GPUs of this node, or on its CPU where it has none. Several nodes: see dist_common.sh.
set -euo pipefail

if (($# < 3)) || [[ "$1" == -* ]]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
require_file config "$1"
require_file checkpoint "$2"
launch test.py "$3" "$1" "$2" "${@:4}"

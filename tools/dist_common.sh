# Sourced by dist_train.sh and dist_test.sh: `launch SCRIPT ARGUMENTS...` runs a Python script of this folder with the
# mmseg beside it. The script starts the processes; mmseg/cli/processes.py says what NNODES, NODE_RANK, MASTER_ADDR, PORT
# and MAX_RESTARTS do. PYTHON names the interpreter (default: python).

launch() {
    local root
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
    exec "${PYTHON:-python}" "$root/tools/$1" "${@:2}"
}

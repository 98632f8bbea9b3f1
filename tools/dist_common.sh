# Sourced by dist_train.sh and dist_test.sh: `launch SCRIPT PROCESSES ARGUMENTS...` runs a Python script of this
# folder in that many processes of this node. On several nodes, run the same command on each with
#   NNODES (how many nodes), NODE_RANK (0, 1, ...), MASTER_ADDR (the first node) and, if 29500 is taken, PORT.
# PYTHON names the interpreter (default: python). MAX_RESTARTS (default 0) is how often the processes are all started
# again after one has died; training then goes on from its last checkpoint.

launch() {
    local script="$1" processes="$2"
    shift 2
    local root
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    if ! [[ "$processes" =~ ^[1-9][0-9]*$ ]]; then
        echo "the number of GPUs (or of processes on the CPU) must be 1 or more, not '$processes'" >&2
        exit 2
    fi
    # Without GPUs the processes do the computing: share the cores among them.
    if [[ -z "${OMP_NUM_THREADS:-}" ]] && ! nvidia-smi -L >/dev/null 2>&1; then
        local cores
        cores="$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)"
        export OMP_NUM_THREADS=$((cores > processes ? cores / processes : 1))
        export MKL_NUM_THREADS="${MKL_NUM_THREADS:-$OMP_NUM_THREADS}"
        # Let glibc keep freed activations instead of mapping them anew each step: about 10 % less time.
        export MALLOC_MMAP_MAX_="${MALLOC_MMAP_MAX_:-0}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-34359738368}"
    fi
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

    if ((processes == 1 && ${NNODES:-1} == 1 && ${MAX_RESTARTS:-0} == 0)); then # nobody to meet: spare the launcher's start and its traceback
        exec "${PYTHON:-python}" "$root/tools/$script" "$@"
    fi
    local meet
    if ((${NNODES:-1} > 1)); then
        meet=(--nnodes "$NNODES" --node-rank "${NODE_RANK:-0}"
            --master-addr "${MASTER_ADDR:?is needed with several nodes: the address of the first}"
            --master-port "${PORT:-29500}")
    elif [[ -n "${PORT:-}" ]]; then
        meet=(--master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "$PORT")
    else
        meet=(--standalone --local-addr 127.0.0.1) # takes a free port
    fi
    exec "${PYTHON:-python}" -m torch.distributed.run "${meet[@]}" --nproc-per-node "$processes" \
        --max-restarts "${MAX_RESTARTS:-0}" \
        "$root/tools/$script" "$@" --launcher pytorch
}

require_file() {
    if ! [[ -f "$2" ]]; then
        echo "$1 '$2' does not exist (looked from $PWD)" >&2
        exit 2
    fi
}

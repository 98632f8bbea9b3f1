# Sourced by slurm_train.sh and slurm_test.sh: `submit PARTITION JOB_NAME SCRIPT ARGUMENTS...`.

submit() {
    local partition="$1" name="$2" script="$3"
    shift 3
    local root gpus="${GPUS:-8}" per_node
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
    # SRUN_ARGS holds several words on purpose.
    # shellcheck disable=SC2086
    exec srun -p "$partition" --job-name="$name" --gres="gpu:$per_node" \
        --ntasks="$gpus" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$root/tools/$script" "$@" --launcher slurm
}

# Sourced by slurm_train.sh and slurm_test.sh: `submit PARTITION JOB_NAME SCRIPT ARGUMENTS...`.
#
# Training that slurm ends with SIGTERM (preemption, time limit) saves a checkpoint and exits with 75: it is then
# submitted again to go on from there. Inside a batch job, that job is requeued; ask for the signal in time with
# `#SBATCH --requeue --signal=TERM@120`.
readonly RESTART_ME=75

submit() {
    local partition="$1" name="$2" script="$3"
    shift 3
    local root gpus="${GPUS:-8}" per_node
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
    local code
    trap : TERM # slurm may send it to this shell as well, which must live to ask for another start
    while true; do
        code=0
        # SRUN_ARGS holds several words on purpose.
        # shellcheck disable=SC2086
        srun -p "$partition" --job-name="$name" --gres="gpu:$per_node" \
            --ntasks="$gpus" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
            --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
            "${PYTHON:-python}" -u "$root/tools/$script" "$@" --launcher slurm || code=$?
        ((code == RESTART_ME)) || exit "$code"
        if [[ -n "${SLURM_JOB_ID:-}" ]]; then
            exec scontrol requeue "$SLURM_JOB_ID"
        fi
        echo "preempted; submitted again, to go on from the checkpoint" >&2
        [[ "${!#}" == --resume ]] || set -- "$@" --resume # the last one counts: a --resume FILE is done with
    done
}

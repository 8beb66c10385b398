#!/bin/bash
#SBATCH --job-name=XXXnameXXX
#SBATCH --partition=XXXqueueXXX
#SBATCH --ntasks=XXXmpinodesXXX
#SBATCH --cpus-per-task=XXXthreadsXXX
#SBATCH --output=XXXoutfileXXX
#SBATCH --error=XXXerrfileXXX
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@60

# SLURM sends SIGTERM to this script a minute before the time is up, or when the job is preempted;
# the program takes it as the wish to stop, and is continued with: aurefine refine --continue auto
launch() {
    if [ XXXmpinodesXXX -gt 1 ]; then
        mpirun -n XXXmpinodesXXX --bind-to none "$@" &
    else
        "$@" &
    fi
    trap "kill -TERM $!" TERM
    wait $!
    local code=$?
    trap - TERM
    wait  # the first wait ends when the signal comes, this one when the program has stopped
    return $code
}

launch XXXcommandXXX

#!/bin/bash
#SBATCH --job-name=XXXnameXXX
#SBATCH --partition=XXXqueueXXX
#SBATCH --ntasks=XXXmpinodesXXX
#SBATCH --cpus-per-task=XXXthreadsXXX
#SBATCH --output=XXXoutfileXXX
#SBATCH --error=XXXerrfileXXX
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

# SLURM sends SIGUSR1 to this script two minutes before the time is up, and SIGUSR1 or SIGTERM when
# the job is preempted. The program takes SIGUSR1 as the wish to store what it has and to stop;
# mpirun passes it on and waits, whereas it ends all processes a moment after SIGTERM.
# The job is continued with: aurefine refine --continue auto
launch() {
    if [ XXXmpinodesXXX -gt 1 ]; then
        mpirun -n XXXmpinodesXXX --bind-to none "$@" &
    else
        "$@" &
    fi
    trap "kill -USR1 $!" USR1 TERM
    wait $!
    local code=$?
    while kill -0 $! 2> /dev/null; do  # a signal ends the wait, but not yet the program
        wait $!
        code=$?
    done
    trap - USR1 TERM
    return $code
}

launch XXXcommandXXX

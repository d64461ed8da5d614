#!/usr/bin/env bash
# running, success or failed: how the job of this number is, asked of PBS, SGE or LSF, whichever is here.
set -u
job=$1
if command -v bjobs > /dev/null; then # LSF
    case $(bjobs -noheader -o stat "$job" 2> /dev/null) in
        *DONE*) echo success ;;
        *EXIT*) echo failed ;;
        *) echo running ;;
    esac
elif command -v qacct > /dev/null; then # SGE: qstat knows what has not ended, qacct what has, some seconds later
    if qstat -j "$job" > /dev/null 2>&1; then
        echo running
    else
        ended=$(qacct -j "$job" 2> /dev/null)
        if grep -Eq '^failed +0' <<< "$ended" && grep -Eq '^exit_status +0' <<< "$ended"; then
            echo success
        elif [ -n "$ended" ]; then
            echo failed
        else
            echo running
        fi
    fi
else # PBS, which keeps what has ended (qmgr: job_history_enable = true)
    about=$(qstat -x -f "$job" 2> /dev/null)
    if ! grep -Eq 'job_state = [FX]' <<< "$about"; then
        echo running
    elif grep -q 'Exit_status = 0$' <<< "$about"; then
        echo success
    else
        echo failed
    fi
fi

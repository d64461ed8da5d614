#!/usr/bin/env bash
# bsub, which prints a sentence, as a command that prints the job's number. The last argument is the script.
set -euo pipefail
bsub "${@:1:$#-1}" < "${!#}" | sed -En 's/^Job <([0-9]+)>.*/\1/p'

#!/bin/bash
# swarm.sh - seeds in the simulator: a fixed set, and fresh ones for a bounded time. Both are printed.
#
#   SWARM_FIXED    A..B (default 1..16)
#   SWARM_SECONDS  for fresh ones (default 12)
bin=${PBFT_BIN:-$PWD/bin}
code=0
# held NAME ARGUMENTS...
held() {
    local name=$1 out
    shift
    if out=$("$bin/pbft-sim" swarm "$@" 2>&1); then echo "ok - $name"; else
        echo "not ok - $name"
        code=1
    fi
    sed 's/^/# /' <<<"$out"
}
held "fixed seeds hold" --seeds "${SWARM_FIXED:-1..16}" --jobs 1
held "fresh seeds hold" --budget "${SWARM_SECONDS:-12}" --jobs 1
exit $code

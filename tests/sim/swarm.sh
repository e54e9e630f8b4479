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
# told to stop it says how far it got, and nobody goes on for it
"$bin/pbft-sim" swarm --seeds 1..100000 --jobs 2 >"build/check/swarm.stopped" 2>&1 &
swarm=$!
for _ in $(seq 200); do
    workers=$(awk -v parent=$swarm '$4 == parent { print $1 }' /proc/[0-9]*/stat 2>/dev/null)
    [ "$(wc -w <<<"$workers")" -eq 2 ] && break
    read -r -t 0.05 <> <(:)
done
kill -TERM $swarm
wait $swarm
stopped=$?
left=0
for worker in $workers; do if kill -0 "$worker" 2>/dev/null; then left=1; fi; done
if [ $stopped -eq 143 ] && [ -n "$workers" ] && [ $left -eq 0 ] && grep -q '^[0-9]* seeds from 1 on' build/check/swarm.stopped; then
    echo "ok - a swarm that is told to stop says how far it got, and its workers end"
else
    echo "not ok - a swarm that is told to stop says how far it got, and its workers end"
    code=1
fi
exit $code

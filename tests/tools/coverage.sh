#!/bin/bash
# coverage.sh SEEDS UNIT... - runs the unit tests and seeds 1 to SEEDS of the swarm, built with VARIANT=cov. Prints the line coverage by
# unit tests of the rooms that the project keeps above 90 %, the branch coverage of the protocol by both, and which rules both have
# reached (marks.sh). The branches that neither took: build/cov/branches.txt, each with its line.
set -u
seeds=$1
shift
protocol='replica/core viewchange'
# a CHECK that fails ends the process: no test takes that branch
branches=(--rc lcov_branch_coverage=1 --rc 'lcov_excl_br_line=CHECK\(|CHECK_OP\(')
bad=0
summary() { lcov "${branches[@]}" --summary "$1" 2>&1 | grep -oE "$2[^0-9]*[0-9.]+% \([0-9]+ of [0-9]+" | sed 's/^[^0-9]*//; s/ (/, /'; }
capture() { lcov --quiet "${branches[@]}" --capture --directory build/cov --base-directory . --no-external --output-file "$1" 2>/dev/null; }
only() { lcov --quiet "${branches[@]}" --extract "$1" "${@:3}" --output-file "$2" 2>/dev/null; }

find build/cov -name '*.gcda' -delete
for t in "$@"; do build/cov/tests/unit/"$t" >build/cov/"$t".log 2>&1 || { echo "$t fails; see build/cov/$t.log"; exit 1; }; done
capture build/cov/units.info
for room in wire crypto ledger replica/core; do
    only build/cov/units.info build/cov/room.info "$PWD/$room/*"
    lines=$(summary build/cov/room.info lines)
    printf '%-14s lines     %s by unit tests\n' "$room" "$lines"
    awk -v p="${lines%%%*}" 'BEGIN { exit !(p < 90) }' && bad=1
done

build/cov/pbft-sim swarm --seeds "1..$seeds" --jobs "$(nproc)" >build/cov/swarm.log 2>&1 || { echo "the swarm fails; see build/cov/swarm.log"; exit 1; }
capture build/cov/all.info
for room in $protocol; do
    only build/cov/all.info build/cov/room.info "$PWD/$room/*"
    printf '%-14s branches  %s by unit tests and %s seeds\n' "$room" "$(summary build/cov/room.info branches)" "$seeds"
done
only build/cov/all.info build/cov/protocol.info $(printf "$PWD/%s/* " $protocol)
# as FILE:LINE TAKEN OF ALL: the line
awk -v here="$PWD/" '/^SF:/ { file = substr($0, 4); sub(here, "", file) } /^BRDA:/ { split(substr($0, 6), p, ","); all[file ":" p[1]]++; if (p[4] != "-" && p[4] > 0) taken[file ":" p[1]]++ }
    END { for (at in all) if (taken[at] < all[at]) print at, taken[at] + 0, "of", all[at] }' build/cov/protocol.info | sort -t: -k1,1 -k2,2n |
    while read -r at rest; do printf '%s %s: %s\n' "$at" "$rest" "$(sed -n "${at##*:}p" "${at%%:*}" | sed 's/^ *//')"; done >build/cov/branches.txt
echo "$(wc -l <build/cov/branches.txt) lines have a branch that was not taken: build/cov/branches.txt"
bash tests/tools/marks.sh build/cov/all.info || bad=1
exit $bad

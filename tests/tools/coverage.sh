#!/bin/bash
# coverage.sh UNIT... - runs the unit tests built with VARIANT=cov and prints the line coverage of the rooms that the
# project keeps above 90 %.
set -u
find build/cov -name '*.gcda' -delete
for t in "$@"; do build/cov/tests/unit/"$t" >build/cov/"$t".log 2>&1 || { echo "$t fails; see build/cov/$t.log"; exit 1; }; done
lcov --quiet --capture --directory build/cov --base-directory . --no-external --output-file build/cov/all.info 2>/dev/null
bad=0
for room in wire crypto ledger replica/core; do
    lcov --quiet --extract build/cov/all.info "$PWD/$room/*" --output-file build/cov/room.info 2>/dev/null
    percent=$(lcov --summary build/cov/room.info 2>&1 | grep -oE 'lines[^0-9]*[0-9.]+' | grep -oE '[0-9.]+$')
    printf '%-14s %s %%\n' "$room" "$percent"
    awk -v p="$percent" 'BEGIN { exit !(p < 90) }' && bad=1
done
exit $bad

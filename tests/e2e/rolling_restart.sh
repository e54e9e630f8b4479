#!/bin/bash
# rolling_restart.sh - all four are stopped cleanly (TERM) and started again, one after the other, under load; then the
# primary of the moment, three times. T is five minutes, and pbft-bench gives up after one without a result: so nobody has waited for a
# time-out, a primary that is stopped resigns first.
. tests/e2e/kit.bash
check "a group of four comes up" group_up 300000
before=$(view)
check "each of the four in turn: every accepted result is there once, four ledgers are equal" exactly_once roll 4
sed 's/^/# /' "$home/last"
check "the primary of the moment, three times" exactly_once stop 3
sed 's/^/# /' "$home/last"
check "primaries were among those stopped" [ "$(view)" -ge $((before + 4)) ]
check "all starts followed a clean stop" [ "$(count_lines 'event=replica.recovered.*stop=unclean' "$PBFT_HOME"/run/r*.log)" -eq 0 ]

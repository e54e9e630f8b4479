#!/bin/bash
# kills.sh - kill -9 under load: the primary of the moment, again and again; then any replica, and every fifth time all four at
# once. Each is started again before the next. Of what the client accepted nothing is lost or doubled. E2E_KILLS: how many primaries
# (default 5; the aim is 30). E2E_RANDOM: how many rounds of the other kind (default 5; the aim is 100).
. tests/e2e/kit.bash
kills=${E2E_KILLS:-5}
rounds=${E2E_RANDOM:-5}
check "a group of four comes up" group_up 500
check "the primary is killed $kills times: every accepted result is there once, four ledgers are equal" exactly_once kill "$kills"
sed 's/^/# /' "$home/last"
check "any replica is killed, and every fifth time all at once, $rounds rounds: the same" exactly_once random "$rounds"
sed 's/^/# /' "$home/last"

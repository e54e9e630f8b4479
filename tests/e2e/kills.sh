#!/bin/bash
# kills.sh - kill -9 under load: the primary of the moment, again and again; then any replica, and every fifth time all four at
# once. Each is started again before the next. Of what the client accepted nothing is lost or doubled. E2E_KILLS: how many primaries
# (default 5; the aim is 30).
. tests/e2e/kit.bash
kills=${E2E_KILLS:-5}
check "a group of four comes up" group_up 500
check "the primary is killed $kills times: every accepted result is there once, four ledgers are equal" exactly_once kill "$kills"
sed 's/^/# /' "$home/last"
check "any replica is killed, four times, and then all at once" exactly_once random 5
sed 's/^/# /' "$home/last"

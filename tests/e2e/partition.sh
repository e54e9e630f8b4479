#!/bin/bash
# partition.sh - each replica in a network namespace of its own, on one bridge: packets vanish, and no socket is told. A replica cut
# off comes back, a split of all heals, a link that is deaf in one direction does not hold the others; and all of it soon after the
# network is whole, whatever TCP thinks of waiting. Needs to be allowed to make namespaces.
. tests/e2e/kit.bash
house=pbft$$
hub=${house}h
pids=()
hub() { ip netns exec "$hub" "$@"; }
if ! ip netns add "$hub" 2>"$home/last"; then
    echo "ok - skipped - no network namespaces here: $(tail -n 1 "$home/last")"
    exit
fi
close_net() {
    local pid id
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && kill -CONT "$pid"; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    for id in 0 1 2 3; do ip netns del "$house$id" 2>/dev/null; done
    ip netns del "$hub"
}
trap 'close_net; finish' EXIT

# ---- the network: 10.77.0.1 to .4, and .100 for clients ----
bridge() { ip -n "$hub" link add br0 type bridge && ip -n "$hub" addr add 10.77.0.100/24 dev br0 && ip -n "$hub" link set br0 up && ip -n "$hub" link set lo up; }
house() { # ID
    ip netns add "$house$1" && ip -n "$hub" link add "v$1" type veth peer name eth0 netns "$house$1" &&
        ip -n "$hub" link set "v$1" master br0 up && ip -n "$house$1" addr add "10.77.0.$(($1 + 1))/24" dev eth0 &&
        ip -n "$house$1" link set eth0 up && ip -n "$house$1" link set lo up
}
houses() { local id; bridge && for id in 0 1 2 3; do house $id || return 1; done; }
cut_off() { local id; for id in "$@"; do ip -n "$hub" link set "v$id" nomaster || return 1; done; }
whole() { local id; for id in 0 1 2 3; do ip -n "$hub" link set "v$id" master br0 || return 1; done; }
# deaf ID: what is sent to it vanishes, what it says arrives
deaf() {
    ip -n "$hub" link set "v$1" type bridge_slave flood off learning off mcast_flood off bcast_flood off && hub bridge fdb flush dev "v$1" dynamic 2>/dev/null ||
        hub bridge fdb show dev "v$1" | awk '!/permanent/ { print $1 }' | while read -r mac; do hub bridge fdb del "$mac" dev "v$1" master || return 1; done
}
hears() { ip -n "$hub" link set "v$1" type bridge_slave flood on learning on mcast_flood on bcast_flood on; }

# ---- the group, made as README.md says ----
key() { pbft key new "$home/net/$1" --development | grep -o '[0-9a-f]\{64\}' | head -n 1; }
group() {
    local id signing transport
    mkdir -p "$home/net/clients" "$home/net/conf" "$home/net/keys" "$home/net/run"
    pbft group new "$home/net/group.json" --name partition --development || return 1
    for id in 0 1 2 3; do
        signing=$(key keys/s$id.pem) && transport=$(key keys/t$id.pem) || return 1
        pbft group add "$home/net/group.json" member --organisation "org $id" --signing-key "$signing" --transport-key "$transport" \
            --address "10.77.0.$((id + 1)):7400" || return 1
        printf '[replica]\nid = %s\ngroup = ../group.json\ndata = ../r%s\nsigning_key = ../keys/s%s.pem\ntransport_key = ../keys/t%s.pem\nproduction = no\n[tuning]\ntimeout_ms = 500\n' \
            $id $id $id $id >"$home/net/conf/r$id.conf"
    done
    pbft group add "$home/net/group.json" client --name default --role writer --key "$(key clients/default.pem)" &&
        pbft group add "$home/net/group.json" client --name idle --role writer --key "$(key clients/idle.pem)" &&
        pbft group add "$home/net/group.json" client --name reader --role reader --key "$(key clients/reader.pem)" || return 1
    for id in 0 1 2 3; do "$bin/pbftd" --config "$home/net/conf/r$id.conf" --init-new-group || return 1; done
}
start() {
    local id
    for id in 0 1 2 3; do
        ip netns exec "$house$id" "$bin/pbftd" --config "$home/net/conf/r$id.conf" >"$home/net/run/r$id.log" 2>&1 &
        pids+=($!)
    done
}
pbft() { hub "$bin/pbft" --home "$home/net" "$@"; }
synced() { local id; for id in "$@"; do is "$id" synced || return 1; done; }
# One may have left the view by itself while its links were coming back; it follows, and joins the next (docs/operations.md).
back() { local id; for id in 0 1 2 3; do is $id synced || is $id stalled || return 1; done; all_equal; }
wait_seconds() { read -r -t "$1" <> <(:) || true; }
commits() { pbft --timeout "$1" put "$2" "$2"; }
# soon NAME SECONDS COMMAND...: within so long, and says how long it took
soon() {
    local what=$1 most=$2 begun=$EPOCHREALTIME
    shift 2
    check "$what" eventually "$most" "$@"
    echo "# $what: $(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s"
}

check "four houses on one bridge" houses
check "a group is made by hand" group
start
check "it comes up" eventually 30 synced 0 1 2 3
check "it commits" commits 10000 before

# a client that stands still, for later: its machine is there
ip netns exec "$hub" "$bin/pbft-bench" load --home "$home/net" --client idle --in-flight 1 --seconds 600 >/dev/null 2>&1 &
idle=$!
pids+=("$idle")
check "a second client comes" eventually 20 [ -s "$home/net/clients/idle.journal" ]
kill -STOP "$idle"

# ---- one is cut off ----
# TCP's tries after the first: 25 s, then 51 s. Whoever left it to that would be apart for 24 s more.
long_outage=27
outage=8
journal() { pbft --timeout 60000 log append --lines "$1" >"$home/appended" 2>&1; }
lines_of() { seq -f "$1 %g" 300; }
lines_of first >"$home/in1"
cut_off 3
check "a backup is cut off: 300 lines come in" journal "$home/in1"
wait_seconds $long_outage
given_up() { [ "$(count_lines 'event=peer.lost.*peer=3 .*acknowledges nothing' "$home"/net/run/r[012].log)" -eq 3 ]; }
check "the others have given the connection up, and say why" given_up
whole
soon "it is back" 15 synced 0 1 2 3

lines_of second >"$home/in2"
cut_off $(($(view) % 4))
check "the primary is cut off: 300 lines come in" journal "$home/in2"
wait_seconds $outage
whole
soon "it is back, and follows the next one" 30 back

# ---- nothing reaches one of them, and its packets arrive ----
victim=$(($(view) % 4))
deaf $victim
check "what is sent to the primary vanishes: the others go on" commits 20000 deaf
wait_seconds $outage
hears $victim
soon "it hears again" 30 back

# ---- all of them alone ----
cut_off 0 1 2 3
check "all are cut off from each other: nothing is decided" exits_with 3 pbft --timeout 2000 put split split
wait_seconds 16
forgotten() { [ "$(count_lines 'event=client.closed.*acknowledges nothing' "$home"/net/run/r?.log)" -ge 4 ]; }
check "each has noticed that an idle client is gone" forgotten
whole
soon "the split heals: it commits" 30 commits 8000 healed
soon "and all are back" 30 back

# ---- a link that comes and goes ----
flap() { local i; for i in 1 2 3 4 5; do cut_off 2; wait_seconds 1; whole; wait_seconds 1; done; }
lines_of third >"$home/in3"
flap &
flapping=$!
check "a link comes and goes: 300 lines come in" journal "$home/in3"
wait $flapping
soon "all are there" 30 back

# ---- delay, loss and doubles, where the kernel has them ----
if hub tc qdisc add dev v1 root netem delay 10ms 5ms loss 10% duplicate 10% 2>"$home/last"; then
    for id in 0 2 3; do hub tc qdisc add dev v$id root netem delay 10ms 5ms loss 10% duplicate 10%; done
    lines_of fourth >"$home/in4"
    check "packets are lost, doubled and late: 300 lines come in" journal "$home/in4"
    for id in 0 1 2 3; do hub tc qdisc del dev v$id root; done
else
    echo "ok - skipped - no netem in this kernel: $(tail -n 1 "$home/last")"
    : >"$home/in4"
fi

check "all have the same at the end" eventually 20 all_equal
check "four ledgers are equal" exports_become_equal
lines_out() { cat "$home"/in[1234] | cmp - <(pbft log cat); }
check "what comes out is what went in, once" lines_out

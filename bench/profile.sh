#!/bin/bash
# profile.sh - `make profile`: where the CPU time of a transaction goes, by thread and by what it does there, in microseconds: perf on the
# four replicas and the clients of one group under load, for single transactions and for bundles, into bench/out/profile-*.txt.
# BENCH_SECONDS: of each measurement (default 10). BENCH_OUT: another directory. BENCH_PORT: where the groups listen.
set -u
bin=${BIN:-bin}
seconds=${BENCH_SECONDS:-10}
out=${BENCH_OUT:-bench/out}
port=${BENCH_PORT:+--base-port $BENCH_PORT}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/pbft-profile-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
perf record -q -o "$work/probe" -- true 2>"$work/said" || {
    echo "profile.sh: perf cannot record here: $(tail -n 1 "$work/said") (apt-get install linux-perf; kernel.perf_event_paranoid)" >&2
    exit 4
}
mkdir -p "$out"
# A sample counts for the function it is in; in the kernel for the system call that led there. Libraries without symbols count as one.
fold='
function give() { if (comm != "") { n[comm "\t" (what == "" ? "kernel: interrupts" : what)]++; all++ } comm = ""; what = "" }
/^[^ \t]/ { give(); comm = $1; top = 1; kernel = 0; next }
/^[ \t]+[0-9a-f]/ {
    symbol = $2; sub(/\+0x.*/, "", symbol); dso = $NF
    if (top) {
        top = 0
        if (dso ~ /kernel|\[k\]|vmlinux/) { kernel = 1; what = "kernel: other" }
        else if (dso ~ /libsodium/) what = "Ed25519"
        else if (symbol ~ /sha256|sha512/) what = "SHA-256"
        else if (dso ~ /gnutls|libnettle|hogweed/) what = "TLS"
        else if (dso ~ /lmdb/) what = "LMDB"
        else if (dso ~ /libc[.]/) what = symbol ~ /mem(move|cpy|set|cmp)/ ? "copies and comparisons" : "malloc, free and the rest of libc"
        else if (dso ~ /libev|vdso/) what = "event loop"
        else what = symbol
    } else if (kernel) {
        if (match(symbol, /__x64_sys_/)) { what = "kernel: " substr(symbol, RLENGTH + 1); kernel = 0 }
        else if (symbol ~ /page_fault/) what = "kernel: page faults"
    }
}
END { give(); for (k in n) printf "%s\t%.6f\n", k, n[k] / all }'
# of FILE OBJECT FIELD: a number of the JSON
of() { tr -d ' \n' <"$1" | grep -o "\"$2\":{.*" | grep -o "\"$3\":[0-9.]*" | head -n 1 | cut -d : -f 2; }
# used PIDS: CPU time of the replicas, in hundredths of a second: once they work, the floor has been measured and the load begins
used() { awk '{ s += $14 + $15 } END { print s + 0 }' /dev/null $(sed 's:\([0-9]*\),\?:/proc/\1/stat :g' <<<"$1") 2>/dev/null; }
# profile NAME OPERATIONS WORDS...: one load, while perf looks on
profile() {
    local name=$1 operations=$2
    shift 2
    "$bin/pbft-bench" load $port --replicas 4 --dir "$work" --seconds "$seconds" --warm-up 3 "$@" -o json >"$work/$name.json" &
    local load=$! pids="" tries=0
    until pids=$(pgrep -d , -f "pbftd.*$work") && [ "$(used "$pids")" -gt 100 ]; do
        [ $((tries += 1)) -gt 1200 ] || ! kill -0 $load && { echo "profile.sh: no load began" >&2; return 1; }
        sleep 0.1
    done
    perf record -q -F 499 -g -o "$work/$name.perf" -p "$pids,$load" -- sleep "$seconds" 2>"$work/said" || { cat "$work/said" >&2; return 1; }
    wait $load || return 1
    perf script -i "$work/$name.perf" -F comm,ip,sym,dso 2>/dev/null | awk "$fold" >"$work/$name.folded"
    local replicas clients
    replicas=$(of "$work/$name.json" cpu_us_per_transaction replicas)
    clients=$(of "$work/$name.json" cpu_us_per_transaction clients)
    {
        echo "$name: us of CPU for each operation, of all four replicas and the clients"
        sort -t "$(printf '\t')" -k 1,1 -k 3,3gr "$work/$name.folded" | awk -F '\t' -v us="$(awk "BEGIN { print ($replicas + $clients) / $operations }")" '
            { thread[$1] += $3; line[++count] = $0; all += $3 }
            END {
                printf "%-12s %-44s %8.2f %6.1f %%\n", "all", "", us, 100
                for (i = 1; i <= count; i++) {
                    split(line[i], f, "\t")
                    if (f[1] != last) { if (rest > 0) printf "%-12s %-44s %8.2f %6.1f %%\n", "", "  less than 0.4 % each", rest * us, rest * 100
                        printf "%-12s %-44s %8.2f %6.1f %%\n", f[1], "", thread[f[1]] * us, thread[f[1]] * 100; last = f[1]; rest = 0 }
                    if (f[3] < 0.004) rest += f[3]; else printf "%-12s   %-42s %8.2f %6.1f %%\n", "", f[2], f[3] * us, f[3] * 100
                }
                if (rest > 0) printf "%-12s %-44s %8.2f %6.1f %%\n", "", "  less than 0.4 % each", rest * us, rest * 100
            }'
    } | tee "$out/profile-$name.txt"
}
profile single 1 --clients 16 && profile bundles 100 --clients 4 --bundle 100 --op-bytes 64 --in-flight 16

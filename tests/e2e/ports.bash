# ports.bash - a block of 400 ports that nobody else has, for lib.sh and kit.bash: below the kernel's own range.
#
# take_ports sets `base`. A lock on a file in the temporary directory holds the block until this script and the replicas that
# it started have ended, so nobody takes its ports while its replicas are down. drop_ports gives it back.
# in_use FROM: some port from FROM to FROM + 399 has a socket
in_use() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | sed -n 's/^ *[0-9]*: [0-9A-F]*:\([0-9A-F]*\) .*/0x\1/p' | xargs printf '%d\n' |
        awk -v from="$1" '$1 >= from && $1 < from + 400 { found = 1 } END { exit !found }'
}
take_ports() {
    local block try
    for try in $(seq 0 49); do
        block=$((($$ + try) % 50))
        ports_file=${TMPDIR:-/tmp}/pbft-e2e-ports-$block
        exec 9>>"$ports_file"
        base=$((11000 + 400 * block))
        if flock -n 9 && ! in_use "$base"; then
            return 0
        fi
        exec 9>&-
    done
    echo "all blocks of ports are taken" >&2
    return 1
}
drop_ports() { rm -f "$ports_file"; exec 9>&-; }

# ports.bash - a block of 400 ports that no other running test has, for lib.sh and kit.bash: below the kernel's own range.
#
# take_ports sets `base`. A lock on a file in the temporary directory holds the block until this script and the replicas that
# it started have ended, so nobody takes its ports while its replicas are down. drop_ports gives it back.
take_ports() {
    local block try
    for try in $(seq 0 49); do
        block=$((($$ + try) % 50))
        ports_file=${TMPDIR:-/tmp}/pbft-e2e-ports-$block
        exec 9>>"$ports_file"
        if flock -n 9; then
            base=$((11000 + 400 * block))
            return 0
        fi
        exec 9>&-
    done
    echo "all blocks of ports are taken" >&2
    return 1
}
drop_ports() { rm -f "$ports_file"; exec 9>&-; }

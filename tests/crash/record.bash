# record.bash - a run of a real group with everything in it that the record of a replica knows: init, clean stops, batches,
# checkpoints, views that are left because their primary hangs, or stops, the transfer of a state, and then of the blocks below it.
# Leaves traces/rN.trace and the data directories. No replica is killed: the files at the end must be what the trace says.
record_run() {
    local from hung stopped
    mkdir -p "$PBFT_HOME" "$traces" || return 1
    traced devnet up --base-port "$base" --timeout 60000 && pbft devnet down && tune || return 1
    traced devnet up --timeout 60000 || return 1
    load_begin
    eventually 120 past 0 150 || return 1
    from=$(view)
    hung=$((from % 4))
    pbft devnet pause "$hung" || return 1
    eventually 120 in_view_above $(((hung + 1) % 4)) "$from" || return 1
    pbft devnet resume "$hung"
    eventually 120 past $(((hung + 1) % 4)) 200 && eventually 120 past "$hung" 200 || return 1
    stopped=$(primary)
    pbft devnet stop "$stopped" --timeout 60000 >/dev/null || return 1
    eventually 180 past $(((stopped + 1) % 4)) $(($(field $(((stopped + 1) % 4)) sequence) + 700)) || return 1
    traced devnet start "$stopped" --timeout 60000 || return 1
    eventually 120 grep -q event=transfer.done "$PBFT_HOME/run/r$stopped.log" || return 1
    eventually 120 past "$stopped" $(($(field $(((stopped + 1) % 4)) sequence) + 20)) || return 1
    load_end
    eventually 60 same_exports || return 1
    pbft devnet down
}

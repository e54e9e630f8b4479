#!/bin/bash
# run.sh NAME=COMMAND... - runs commands that print "ok - name" / "not ok - name" lines (TAP), some at a time, and sums up.
# A command that ends with a failure of its own, or prints no such line, counts as one failure more.
# The last line is "N passed, N failed"; the exit code is 0 only when nothing failed.
# JOBS: how many at a time (default: the number of cores). LIMIT: seconds after which a command has failed and is ended (default: none).
# Logs: build/check/NAME.log
set -u
jobs=${JOBS:-$(nproc)}
limit=${LIMIT:-0}
out=build/check
rm -rf "$out" && mkdir -p "$out"
export CMOCKA_MESSAGE_OUTPUT=TAP

run_one() {
    local name=${1%%=*} command=${1#*=} start status passed failed
    start=$(date +%s)
    timeout -k 30 "$limit" bash -c "$command" >"$out/$name.log" 2>&1 </dev/null
    status=$?
    if [ "$limit" -gt 0 ] && [ $(($(date +%s) - start)) -ge "$limit" ]; then echo "not ok - it ends within $limit s" >>"$out/$name.log"; fi
    passed=$(grep -cE '^ok\b' "$out/$name.log")
    failed=$(grep -cE '^not ok\b' "$out/$name.log")
    if [ $failed -eq 0 ] && { [ $status -ne 0 ] || [ $passed -eq 0 ]; }; then failed=1; fi
    echo "$passed $failed" >"$out/$name.count"
    if [ $failed -eq 0 ]; then
        echo "  pass $name ($passed, $(($(date +%s) - start)) s)"
    else
        echo "  FAIL $name ($failed failed, exit $status); $out/$name.log:"
        # each failed check with what it printed below its name
        awk '/^not ok/ { left = 16 } /^ok|^---/ { left = 0 } left-- > 0 || /CHECK failed|ERROR|runtime error|WARNING: ThreadSanitizer|Assertion|error:/' \
            "$out/$name.log" | head -n 60 | sed 's/^/      /'
        tail -n 8 "$out/$name.log" | sed 's/^/      | /'
    fi
}
export -f run_one
export out limit
printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" bash -c 'run_one "$0"'
passed=0 failed=0
for c in "$out"/*.count; do
    read -r p f <"$c"
    passed=$((passed + p)) failed=$((failed + f))
    if [ "$f" -gt 0 ]; then c=${c##*/} && echo "failed: ${c%.count}"; fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]

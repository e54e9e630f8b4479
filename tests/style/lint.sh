#!/bin/bash
# lint.sh - clang-tidy (configuration .clang-tidy) and gcc -fanalyzer over every source outside tests/; clang-format.
set -u
sources=$(ls base/*.c crypto/*.c wire/*.c keys/*.c ledger/*.c viewchange/*.c replica/*/*.c client/*.c bench/*.c)
flags="-std=gnu17 -D_GNU_SOURCE -I."
out=build/lint
mkdir -p "$out"
bad=0
printf '%s\n' $sources | xargs -P "$(nproc)" -I{} sh -c "clang-tidy --quiet --warnings-as-errors='*' {} -- $flags 2>/dev/null >$out/\$(echo {} | tr / _).tidy || echo {}" >"$out/tidy.failed"
if [ -s "$out/tidy.failed" ]; then echo "not ok - clang-tidy"; bad=1; while read -r f; do head -n 6 "$out/$(echo "$f" | tr / _).tidy"; done <"$out/tidy.failed"; else echo "ok - clang-tidy"; fi
printf '%s\n' $sources | xargs -P "$(nproc)" -I{} sh -c "gcc $flags -O1 -fanalyzer -Werror -c {} -o /dev/null 2>$out/\$(echo {} | tr / _).analyzer || echo {}" >"$out/analyzer.failed"
if [ -s "$out/analyzer.failed" ]; then echo "not ok - gcc -fanalyzer"; bad=1; while read -r f; do head -n 12 "$out/$(echo "$f" | tr / _).analyzer"; done <"$out/analyzer.failed"; else echo "ok - gcc -fanalyzer"; fi
exit $bad

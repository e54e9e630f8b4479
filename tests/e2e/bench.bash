# bench.bash - kit.bash, and what the scripts of pbft-bench share: groups of its own in $dir, output in $out, what was said in $home/said.
. tests/e2e/kit.bash
bench() { "$bin/pbft-bench" "$@"; }
out=$home/out
dir=$home/groups
mkdir "$dir"
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }
says() { grep -q -- "$1" "$home/said" || { cat "$home/said"; return 1; }; }
# refused WORDS...: wrong words
refused() { exits_with 2 bench "$@" >"$home/said" 2>&1; }
# still_run: the processes of these groups and of this script's measurements; their words name the directory
still_run() { grep -lsF "$dir" /proc/[0-9]*/cmdline | while read -r p; do tr '\0' ' ' <"$p" && echo; done 2>/dev/null | grep -E 'pbftd|pbft-evil|pbft-bench'; }
left_nothing() { [ -z "$(ls -A "$dir")" ] && ! still_run; }

#!/bin/bash
# check_rules.sh - docs/protocol.md names a test for every rule but 21, and every test or script that its table names exists.
set -u
rows=$(sed -n '/^## Rules/,$p' docs/protocol.md | grep -E '^\| [0-9]+ ')
bad=0
say() { echo "not ok - $1"; bad=1; }
missing=$(for rule in $(seq 1 31); do [ "$rule" = 21 ] || grep -qE "^\| $rule .*\| .*tests?[_/][a-z].*\|$" <<<"$rows" || echo "rule $rule"; done)
[ -z "$missing" ] && echo "ok - every rule names a test" || { say "every rule names a test"; echo "$missing"; }
missing=$(grep -oE '\b(test_[a-z0-9_]+|tests/[a-z0-9_/.]+)' <<<"$rows" | sort -u | while read -r name; do
	case $name in
	tests/*) [ -e "$name" ] ;;
	*) [ -e "tests/unit/$name.c" ] || grep -rqE "static void $name\(" tests/unit ;;
	esac || echo "$name"
done)
[ -z "$missing" ] && echo "ok - every test that the rules name exists" || { say "every test that the rules name exists"; echo "$missing"; }
exit $bad

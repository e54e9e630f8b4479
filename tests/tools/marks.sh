#!/bin/bash
# marks.sh INFO - which rules of docs/protocol.md an lcov trace with branches has reached. A mark is a line of a .c file whose
# comment names a rule, or the next line with code below it; it is reached when it ran and, where it decides something, went both
# ways. Prints each rule with its marks that were not; 1 when a rule has none that was.
set -u
info=$1
# what has no line of its own here: reconfiguration and tentative replies are not built, and effects are held back by the driver
exempt='21 24 30'
grep -rnE '\brules? [0-9]+' --include='*.c' replica/core viewchange wire ledger base |
    awk -F: '$2 > 9 { file = $1; line = $2; text = $0; while (match(text, /rules? [0-9]+(, [0-9]+)*/)) { n = split(substr(text, RSTART, RLENGTH), part, /[^0-9]+/); for (i = 1; i <= n; i++) if (part[i] != "") print part[i], file, line; text = substr(text, RSTART + RLENGTH) } }' |
    sort -u >"$info.tags"
awk -v exempt=" $exempt " '
    FNR == 1 { input++ }
    input == 1 && /^SF:/ { file = substr($0, 4); sub(/^.*\/(replica\/core|viewchange|wire|ledger|base)\//, "&", file); n = match(file, /(replica\/core|viewchange|wire|ledger|base)\/[a-z_0-9]+\.c$/); file = n ? substr(file, n) : "" }
    input == 1 && /^DA:/ { split(substr($0, 4), p, ","); runs[file, p[1]] = p[2] }
    input == 1 && /^BRDA:/ { split(substr($0, 6), p, ","); branches[file, p[1]]++; if (p[4] != "-" && p[4] > 0) taken[file, p[1]]++ }
    input == 2 {
        at = $3
        while (!(($2, at) in runs) && at < $3 + 15) at++
        good = runs[$2, at] > 0 && (branches[$2, at] == 0 || taken[$2, at] >= 2)
        marks[$1]++
        reached[$1] += good
        if (!good) left[$1] = left[$1] " " $2 ":" at
    }
    END {
        for (rule = 1; rule <= 31; rule++) {
            if (index(exempt, " " rule " ")) { printf "rule %-2d  not looked for here\n", rule; continue }
            printf "rule %-2d  %d of %d marks reached%s%s\n", rule, reached[rule], marks[rule], left[rule] == "" ? "" : "; not", left[rule]
            if (reached[rule] == 0) bad = 1
        }
        exit bad
    }' "$info" "$info.tags"

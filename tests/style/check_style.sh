#!/bin/bash
# check_style.sh - what style.md forbids and a grep can see; long files; a first comment in every file.
set -u
files=$(git ls-files 'base/*.[ch]' 'crypto/*.[ch]' 'wire/*.[ch]' 'keys/*.[ch]' 'ledger/*.[ch]' 'viewchange/*.[ch]' 'replica/*.[ch]' 'client/*.[ch]' 'bench/*.[ch]' 2>/dev/null || find base crypto wire keys ledger viewchange replica client bench -name '*.[ch]')
bad=0
say() { echo "not ok - $1"; bad=1; }
found=$(grep -nE '\b(alloca|strcpy|strcat|sprintf|strtok|atoi|rand|gets)[ ]*\(' $files)
[ -z "$found" ] && echo "ok - no forbidden function" || { say "no forbidden function"; echo "$found"; }
found=$(grep -nEi '\b(TODO|FIXME|XXX)\b|for now|simplified|not implemented|placeholder' $files)
[ -z "$found" ] && echo "ok - no unfinished words" || { say "no unfinished words"; echo "$found"; }
found=$(wc -l $files | awk '$2 != "total" && $1 > 650 {print $1, $2}')
[ -z "$found" ] && echo "ok - no file over 650 lines" || { say "no file over 650 lines"; echo "$found"; }
found=$(for f in $files; do head -c 2 "$f" | grep -q '/\*' || echo "$f"; done)
[ -z "$found" ] && echo "ok - every file begins by saying what it is" || { say "every file begins by saying what it is"; echo "$found"; }
house='Makefile README.md CHANGELOG.md LICENSE base crypto wire keys ledger viewchange replica client bench tests docs packaging .ci .clang-format .clang-tidy .gitignore'
found=$(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u | grep -vxF "$(tr ' ' '\n' <<<"$house")")
[ -z "$found" ] && echo "ok - the top level is the house of design.md" || { say "the top level is the house of design.md"; echo "$found"; }
exit $bad

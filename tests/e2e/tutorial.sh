#!/bin/bash
# tutorial.sh - what docs/tutorial-adversary.md has its reader type is typed, and what it says comes out, line by line, does; but for the trace's
# hash, which any change of what is sent changes.
. tests/e2e/kit.bash
ln -s "$bin" "$home/bin"
tutorial=$PWD/docs/tutorial-adversary.md
cd "$home" || exit 1
steps=0
same_beginning() { diff <(sed 's/trace [0-9a-f]*$/trace/' "$home/wanted") <(head -n "$(wc -l <"$home/wanted")" "$home/out" | sed 's/trace [0-9a-f]*$/trace/'); }
# A file that is shown before it exists is written by the reader.
step() {
    steps=$((steps + 1))
    if [ "$1" = "cat mine.txt" ]; then cp "$home/wanted" mine.txt; fi
    bash -c "$1" >"$home/out" 2>&1
    check "$1" same_beginning
}
command=
: >"$home/wanted"
while IFS= read -r line; do
    case $line in
    '    $ '*)
        if [ -n "$command" ]; then step "$command"; fi
        command=${line#'    $ '}
        : >"$home/wanted"
        ;;
    '    '*) if [ -n "$command" ]; then echo "${line#'    '}" >>"$home/wanted"; fi ;;
    *)
        if [ -n "$command" ]; then step "$command"; fi
        command=
        ;;
    esac
done <"$tutorial"
check "there were as many as there are" [ "$steps" -eq "$(grep -c '^    \$ ' "$tutorial")" ]

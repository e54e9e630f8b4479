#!/bin/bash
# readme_tour.sh - runs the commands of README's five-minute tour as they stand there, in order, on a fresh group.
. tests/e2e/kit.bash
tree=$PWD
mkdir "$home/tour" && cd "$home/tour" && ln -s "$bin" bin && ln -s "$tree/README.md" README.md
export PBFT_HOME=$home/tour/devnet
check "pbft devnet up" bin/pbft devnet up --base-port "$base"
count=0
while IFS= read -r line; do
    count=$((count + 1))
    check "$line" bash -c "$line"
done < <(sed -n '/<!-- tour/,/<!-- end of tour/p' "$tree/README.md" | grep '^    ' | sed 's/^    //')
check "the tour has commands" [ "$count" -ge 12 ]
cd "$tree" || exit 1

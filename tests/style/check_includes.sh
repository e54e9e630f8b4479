#!/bin/bash
# check_includes.sh [DIR] - reads every #include "..." and fails on one that goes to the right in
#   base < crypto < wire < keys < ledger < viewchange < replica < client < bench < tests
# and on rooms that must not know libraries: the core knows no libev, LMDB, libsodium, clock or stdio; the client library
# (client/client*.c, pbft.h) uses only base, crypto, wire, keys and replica/net.
set -u
cd "${1:-.}" || exit 2
awk '
BEGIN { n = split("base crypto wire keys ledger viewchange replica client bench tests", o, " "); for (i = 1; i <= n; i++) rank[o[i]] = i }
FNR == 1 { split(FILENAME, f, "/"); mine = rank[f[1]] }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    t = $0; sub(/^[^"]*"/, "", t); sub(/".*/, "", t); split(t, p, "/")
    if (!(p[1] in rank)) { print FILENAME ":" FNR ": includes \"" t "\", which names no room"; bad = 1 }
    else if (rank[p[1]] > mine) { print FILENAME ":" FNR ": goes to the right: " t; bad = 1 }
    if (FILENAME ~ /^client\/(client|pbft\.h)/ && p[1] == "ledger") { print FILENAME ":" FNR ": the library knows no ledger: " t; bad = 1 }
    if (FILENAME ~ /^client\/client/ && p[1] == "replica" && p[2] != "net") { print FILENAME ":" FNR ": the library uses replica/net only: " t; bad = 1 }
    if (FILENAME ~ /^replica\/core\// && (t ~ /^replica\/(net|run)/ || t ~ /clock\.h|base\/log\.h/)) { print FILENAME ":" FNR ": the core is pure: " t; bad = 1 }
    if (FILENAME ~ /^replica\/net\// && t ~ /^replica\/(core|run)|^wire|^ledger/) { print FILENAME ":" FNR ": net knows no protocol: " t; bad = 1 }
    if (FILENAME ~ /^ledger\// && t ~ /^(replica|viewchange)/) { print FILENAME ":" FNR ": the ledger knows no views or sockets: " t; bad = 1 }
}
/^[ \t]*#[ \t]*include[ \t]*</ && FILENAME ~ /^(replica\/core|wire|viewchange)\// {
    if ($0 ~ /<(ev|lmdb|sodium|time|stdio|errno|pthread|unistd|sys\/.*)\.?h?>/) { print FILENAME ":" FNR ": not in this room: " $0; bad = 1 }
}
END { exit bad }
' $(find base crypto wire keys ledger viewchange replica client bench tests -name '*.[ch]' -o -name '*.def') && echo "ok - every include goes to the left" || { echo "not ok - every include goes to the left"; exit 1; }

#!/bin/sh
# deps.sh build|check - sees that Debian's packages are there; installs the missing ones when it may (as root, or with
# sudo that asks for no password), otherwise prints the exact line to run and ends with 1.
set -u
build="gcc make libc6-dev libsodium-dev libev-dev liblmdb-dev libgnutls28-dev libjansson-dev libinih-dev libbsd-dev nettle-dev libmicrohttpd-dev"
check="$build libcmocka-dev openssl clang libclang-rt-14-dev clang-tidy clang-format valgrind lcov gnuplot-nox"
case "${1:-}" in
build) wanted=$build ;;
check) wanted=$check ;;
*) echo "usage: deps.sh build|check" >&2; exit 2 ;;
esac
missing=
for p in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "packages are missing; as root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >/dev/null || true
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing >/dev/null || {
    echo "could not install; as root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
}

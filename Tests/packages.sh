#!/bin/sh
# Installs those of the named Debian packages that are missing.
set -eu

missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word per package
install() { $as_root apt-get -qq -y --no-install-recommends install $missing >/dev/null; }
# The lists may be absent, or name versions that the archive no longer has.
install 2>/dev/null || { $as_root apt-get -qq update && install; }

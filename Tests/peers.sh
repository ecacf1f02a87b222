#!/bin/sh
# Fetches the servers and clients that the tests talk to and unpacks them below .build/peers.
#
# They are Debian's packages, but none is installed: nobody's machine gets a second mail server from a
# test run, and Postfix, Exim and OpenSMTPD exclude each other as packages. Each group has a root of its
# own, because they ship files of the same name. Libraries that the machine lacks are unpacked with them.
#
# Needs no privileges, except for `apt-get update` where the machine has no package lists. Does nothing
# when what lies there is what would be fetched. Two runs at once wait for each other.
set -eu

cd "$(dirname "$0")/.."
peers=$PWD/.build/peers
current=$peers/current # touched when all groups were found to be current
lists=/var/lib/apt/lists

die() {
    echo "peers.sh: $*" >&2
    exit 1
}

# The packages of a group.
packages() {
    case $1 in
    # With what its server logs clients in by.
    postfix) echo postfix postfix-pcre postfix-lmdb sasl2-bin libsasl2-modules libsasl2-modules-db ;;
    exim) echo exim4-daemon-light exim4-base ;;
    opensmtpd) echo opensmtpd ;;
    dns) echo nsd unbound ldnsutils ;;
    swaks) echo swaks libnet-ssleay-perl ;;
    postgrey) echo postgrey ;;
    postgresql) echo postgresql-15 postgresql-client-15 ;;
    # For promtool, which says what it thinks of figures and alerts.
    prometheus) echo prometheus ;;
    # A real journal, to search.
    journal) echo systemd systemd-journal-remote ;;
    # What Ansible makes of templates.
    templates) echo python3-jinja2 python3-markupsafe python3-yaml ;;
    # Without postfix-policyd-spf-python, whose code is in python3-spf-engine: it would bring a Postfix. And
    # dbconfig-no-thanks, so that opendmarc brings no data base.
    authentication)
        echo opendkim opendkim-tools opendmarc dbconfig-no-thanks spfquery python3-dkim python3-nacl python3-dnspython
        echo python3-spf python3-spf-engine python3-authres python3-lxml
        ;;
    esac
}

has_lists() {
    [ -n "$(find "$lists" -maxdepth 1 -name '*_Packages*' -print -quit 2>/dev/null)" ]
}

update_lists() {
    if [ "$(id -u)" -eq 0 ]; then
        apt-get -qq update
    else
        sudo -n apt-get -qq update 2>/dev/null
    fi
}

# `name=version` of the packages of a group and of what they need that the machine lacks.
wanted() {
    # shellcheck disable=SC2046 # one word per package
    set -- $(packages "$1")
    plan=$(apt-get -s -qq --no-install-recommends --reinstall install "$@") || return 1
    # Inst NAME [INSTALLED] (VERSION ARCHIVE [ARCHITECTURE])
    echo "$plan" | sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/\1=\3/p' | sort >"$work/plan"
    for name in "$@"; do
        # A package that is installed and whose archive is gone is not reinstalled.
        grep -q "^$name=" "$work/plan" || apt-cache show --no-all-versions "$name" |
            sed -n "s/^Version: /$name=/p" >>"$work/plan"
        grep -q "^$name=" "$work/plan" || return 1
    done
    cat "$work/plan"
}

fetch() {
    group=$1
    wanted "$group" >"$work/wanted" || return 1
    if [ -d "$peers/$group" ] && cmp -s "$work/wanted" "$peers/$group.versions"; then
        return 0
    fi
    echo "peers.sh: fetching $(tr '\n' ' ' <"$work/wanted")"
    rm -rf "$work/debs" "$work/root"
    # Packages of Debian 12 may still ship files in /lib, which is /usr/lib.
    mkdir -p "$work/debs" "$work/root/usr/bin" "$work/root/usr/sbin" "$work/root/usr/lib"
    for folder in bin sbin lib; do ln -s "usr/$folder" "$work/root/$folder"; done
    # As root, apt-get would fetch as a user who cannot write here, and say so.
    # shellcheck disable=SC2046 # one word per package
    (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download $(cat "$work/wanted")) || return 1
    for archive in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -x --no-same-owner --keep-directory-symlink -C "$work/root" || return 1
    done
    rm -rf "${peers:?}/$group" "$peers/$group.versions"
    mv "$work/root" "$peers/$group"
    mv "$work/wanted" "$peers/$group.versions"
}

for tool in apt-get apt-cache dpkg-deb flock tar; do
    command -v "$tool" >/dev/null || die "$tool not found: the peers are Debian's packages"
done
mkdir -p "$peers"
exec 9>"$peers/lock"
flock 9

if [ -e "$current" ] && [ -z "$(find "$0" "$lists" /var/lib/dpkg/status -maxdepth 1 -newer "$current" -print -quit)" ]; then
    exit 0
fi
has_lists || update_lists || die "there are no package lists: run 'apt-get update' as root"
work=$(mktemp -d "$peers/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
touch "$work/begin"
for group in postfix exim opensmtpd dns swaks postgrey postgresql authentication prometheus templates journal; do
    # Old lists name versions that the archive no longer has.
    fetch "$group" || { update_lists && fetch "$group"; } || die "cannot fetch $(packages "$group")"
done
touch -r "$work/begin" "$current"

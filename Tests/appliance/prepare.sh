#!/bin/sh
# Makes what the machines of the appliance are made of, in the folder that is named: `base`, a Debian 12 as one gets it
# from a provider, and `repository`, the packages that the role and the tests install, so that the machines need no
# network but their own. Does nothing if both are there.
#
#   prepare.sh FOLDER
set -eu

folder=$1
# What a fresh machine has.
fresh=systemd,systemd-sysv,systemd-timesyncd,dbus,python3,python3-apt,iproute2,openssh-server,ca-certificates,procps
# What is installed while the tests run: by the role, by the package, and on the primary.
wanted="unbound dns-root-data nftables unattended-upgrades needrestart certbot openssl publicsuffix adduser acl rsync
    systemd-timesyncd liblmdb0 libpcre2-8-0 libpq5 libspf2-2 libssl3 libunbound8 zlib1g libstdc++6
    postfix postgresql"

# What is there was made by this version of the script.
if cmp -s "$0" "$folder/prepared"; then exit 0; fi
rm -rf "$folder/base" "$folder/repository" "$folder/prepared"
mkdir -p "$folder/repository"
debootstrap --variant=minbase --include="$fresh" bookworm "$folder/base" >"$folder/debootstrap.log" 2>&1 || {
    tail -5 "$folder/debootstrap.log" >&2
    exit 1
}
base=$folder/base
cp /etc/resolv.conf "$base/etc/resolv.conf"
# shellcheck disable=SC2086 # one word per package
chroot "$base" sh -c "apt-get -qq update && apt-get -qq -y install --download-only $(echo $wanted)" \
    >"$folder/download.log" 2>&1 || {
    tail -5 "$folder/download.log" >&2
    exit 1
}
mv "$base"/var/cache/apt/archives/*.deb "$folder/repository/"
(cd "$folder/repository" && dpkg-scanpackages --multiversion . 2>/dev/null >Packages)
rm -rf "$base"/var/lib/apt/lists/* "$base"/etc/apt/sources.list.d
touch -d 2020-01-01 "$base/var/lib/apt/lists" # so that Ansible does not take it for fetched just now
echo 'deb [trusted=yes] file:/srv/repository ./' >"$base/etc/apt/sources.list"
# Locale and the like would be asked for on a console; the network is made from outside.
for unit in systemd-firstboot systemd-networkd systemd-resolved console-getty; do
    ln -sf /dev/null "$base/etc/systemd/system/$unit.service"
done
rm -f "$base/etc/machine-id" "$base/etc/hostname"
cp "$0" "$folder/prepared"

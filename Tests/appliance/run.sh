#!/bin/sh
# The appliance as an administrator has it: Debian 12 machines with systemd, the package, the Ansible role, a primary,
# and a DNS with signed zones. `run.sh [life] [drill]`; needs root, and nothing of it is left when it ends.
set -eu

cd "$(dirname "$0")/../.."
folder=$PWD/.build/appliance
[ "$(id -u)" -eq 0 ] || { echo "the appliance needs root: it boots machines" >&2; exit 1; }
mkdir -p "$folder"
Tests/appliance/prepare.sh "$folder"
Tests/peers.sh
# Namespaces of its own for mounts, network and processes: what runs in them ends with them.
exec unshare --mount --net --pid --fork --kill-child --mount-proc \
    python3 Tests/appliance/appliance.py --folder "$folder" "$@"

#!/bin/sh
# Measures SPF and DKIM against policyd-spf, libspf2, OpenDKIM and dkimpy: README.md explains the figures.
#
# Builds the release of authbench; the peers are those that Tests/peers.sh unpacks. REPEAT: runs of each figure, of
# which the best counts (3).
set -eu
cd "$(dirname "$0")/../.."
Tests/peers.sh
POSTERN_BENCH_TARGETS=1 swift build -c release --scratch-path .build/bench --product authbench
exec python3 Tests/bench/auth.py .build/bench/release/authbench "$PWD/.build/peers/authentication"

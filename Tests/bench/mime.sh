#!/bin/sh
# Measures how fast messages are examined for attachments: README.md explains the figures.
#
# Needs the release build (make build). FOLDER: where messages of 200 MB are written (/var/tmp).
set -eu
cd "$(dirname "$0")/../.."
exec python3 Tests/bench/mime.py .build/release/postern "${FOLDER:-/var/tmp}"

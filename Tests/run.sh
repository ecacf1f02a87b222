#!/bin/sh
# Builds and runs every test, and ends with the line `N passed, N failed`.
#
# Arguments go to `swift test`: Tests/run.sh --filter QueueTests
set -eu
cd "$(dirname "$0")/.."

Tests/peers.sh && swift build --build-tests || {
    echo "0 passed, 1 failed" # there is nothing to run
    exit 1
}
report=.build/tests.xml
results=.build/tests-swift-testing.xml # the name that `swift test` makes of it
rm -f "$results"
status=0
# A test that hangs has a watchdog of its own; this one is for whatever escapes it.
timeout --kill-after=30 3000 swift test --skip-build --xunit-output "$report" "$@" || status=$?

# Tests that were cut off by a crash are in no report: it fails as a whole then.
counts=$(sed -n 's/.*<testsuite .*errors="\([0-9]*\)".* tests="\([0-9]*\)" failures="\([0-9]*\)".*/\1 \2 \3/p' "$results" 2>/dev/null || true)
# shellcheck disable=SC2086 # three numbers
set -- ${counts:-0 0 0}
failed=$(($1 + $3))
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
passed=$(($2 - $1 - $3))
[ "$passed" -ge 0 ] || passed=0
[ "$passed" -gt 0 ] || status=1
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]

#!/bin/sh
# Runs the tests with a sanitizer: sanitize.sh [address|thread] [ARGUMENTS of swift test], both sanitizers by default.
#
# The thread sanitizer does not know that a Mutex of Synchronization orders what it guards, since that is a futex
# without pthreads, and reports every one of them. Tests/tsan.suppressions names what is known, with reasons.
set -eu
cd "$(dirname "$0")/.."
Tests/peers.sh

run() {
    kind=$1
    shift
    scratch=.build/$kind
    swift build --build-tests --sanitize "$kind" --scratch-path "$scratch"
    # Processes of the tests are sanitized as well: what they report goes to files, and makes the run fail.
    rm -f "$scratch"/report.*
    status=0
    POSTERN_SANITIZER=$kind ASAN_OPTIONS="suppressions=$PWD/Tests/asan.suppressions:detect_leaks=0:log_path=$PWD/$scratch/report" \
        TSAN_OPTIONS="suppressions=$PWD/Tests/tsan.suppressions:log_path=$PWD/$scratch/report" \
        SWIFT_BACKTRACE=enable=no \
        swift test --skip-build --sanitize "$kind" --scratch-path "$scratch" "$@" || status=$?
    for report in "$scratch"/report.*; do
        [ -s "$report" ] || continue
        head -40 "$report"
        status=1
    done
    return $status
}

case ${1:-} in
address | thread) run "$@" ;;
*)
    run address "$@"
    run thread "$@"
    ;;
esac

#!/bin/sh
# Builds and runs every test, and ends with the line `N passed, N failed`.
#
# Arguments go to `swift test`: Tests/run.sh --filter QueueTests
#
# Without any, those that wait for other programs come first and by themselves, and then those that compute for long:
# they hold on to the threads that tasks share, and tasks of the others, which reckon in seconds, would come too late.
# Those of the daemon wait for sockets and go by themselves as well.
set -eu
cd "$(dirname "$0")/.."

Tests/peers.sh && swift build --build-tests || {
    echo "0 passed, 1 failed" # there is nothing to run
    exit 1
}
report=.build/tests.xml
log=.build/tests.log
ended=.build/tests-ended # with this status, if not with 0
failures=.build/tests-failed.txt
: >"$failures"
results=.build/tests-swift-testing.xml # the name that `swift test` makes of it
passed=0
failed=0

run() {
    arguments=$*
    rm -f "$results" "$ended"
    status=0
    # A test that hangs has a watchdog of its own; this one is for whatever escapes it.
    # As many tests at once as keep two cores busy. Begun all at once they come to each of their steps half a minute late,
    # and the servers that they wait for have given them up.
    {
        timeout --kill-after=30 2000 swift test --skip-build --xunit-output "$report" \
            --experimental-maximum-parallelization-width 8 "$@" 2>&1 || echo $? >"$ended"
    } | tee "$log"
    [ ! -e "$ended" ] || status=$(cat "$ended")
    # Tests that were cut off by a crash are in no report: it fails as a whole then.
    counts=$(sed -n 's/.*<testsuite .*errors="\([0-9]*\)".* tests="\([0-9]*\)" failures="\([0-9]*\)".*/\1 \2 \3/p' "$results" 2>/dev/null || true)
    # shellcheck disable=SC2086 # three numbers
    set -- ${counts:-0 0 0}
    bad=$(($1 + $3))
    good=$(($2 - bad))
    # What ended badly and says nothing of it, or ran nothing, has failed.
    [ "$status" -eq 0 ] && [ "$good" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$good" -gt 0 ] || good=0
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] || python3 Tests/failures.py "$log" "$arguments" >>"$failures"
}

programs='^(PeerTests|CommandTests|HarnessTests|TLSTests|MTASTSTests)\.'
computing='^(AuthenticationTests|FuzzTests|MailLogTests|PostfixImportTests|ReportsTests)\.'
daemon='^DaemonTests\.'
if [ $# -gt 0 ]; then
    run "$@"
else
    run --filter "$programs"
    run --filter "$computing"
    run --filter "$daemon"
    run --skip "$programs" --skip "$computing" --skip "$daemon"
    if Tests/ansible.sh .build/debug/postern; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "Tests/ansible.sh" >>"$failures"
    fi
fi
cat "$failures" # once more, where whoever reads only the end finds them
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

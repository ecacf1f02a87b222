#!/bin/sh
# Fuzzes the parsers.
#
#   Tests/fuzz.sh                      every target for a minute
#   Tests/fuzz.sh TARGET [SECONDS]     one of them, or all of them with the name `all`
#   Tests/fuzz.sh merge [TARGET]       takes into Tests/Fuzz/Corpus what runs before have found, if it reaches new code
#
# A target is a case of FuzzTarget (Tests/Fuzz/Targets). It begins with the inputs that are kept in Tests/Fuzz/Corpus
# and with those that earlier runs found, which are in .build/fuzz/corpus. An input that breaks something is left in
# .build/fuzz/artifacts, and the exit status is 1: repair it, and put the input into the corpus under a name that says
# what it is about.
set -eu

cd "$(dirname "$0")/.."
work=$PWD/.build/fuzz
kept=Tests/Fuzz/Corpus

# A build of its own, because instrumentation is for everything that is linked: release, for ten times the executions.
build() {
    POSTERN_FUZZ=1 swift build --configuration release --product fuzz --sanitize=fuzzer --sanitize=address \
        --scratch-path "$work" >"$work/build.log" 2>&1 || {
        cat "$work/build.log" >&2
        exit 2
    }
}

# Swift's own report of a crash would hang below libFuzzer. Swift keeps objects to the end that LeakSanitizer takes
# for lost.
fuzz() {
    target=$1
    shift
    FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 \
        "$work/release/fuzz" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$work/artifacts/$target-" "$@"
}

# The longest input that is worth while; FuzzTarget.maximumBytes, for the tests, says the same.
length() {
    case $1 in
    command | configuration | control | log | logline | pattern | pgsql | cases | restrictions) echo 2048 ;;
    address | xtext | ip | timestamp | options | route | dnsbl | pass | inline | greylist | spfmacro | rua |\
        stsrecord | tlsrpt | scram) echo 512 ;;
    *) echo 4096 ;;
    esac
}

run() {
    mkdir -p "$work/corpus/$1"
    log=$work/$1.log
    dictionary=Tests/Fuzz/Dictionaries/$1
    status=ok
    fuzz "$1" -max_total_time="$2" -max_len="$(length "$1")" -print_final_stats=1 -print_funcs=0 -reload=0 \
        $([ ! -e "$dictionary" ] || echo "-dict=$dictionary") \
        "$work/corpus/$1" "$kept/$1" >"$log" 2>&1 </dev/null || status=failed
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    added=$(sed -n 's/^stat::new_units_added: *//p' "$log" | tail -1)
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    printf '%-14s %-7s %10s executions %6s edges %6s new inputs\n' \
        "$1" "$status" "${executions:-?}" "${coverage:-?}" "${added:-?}"
    [ $status = ok ] || {
        sed -n '/Fatal error:/p;/^SUMMARY:/p;/Test unit written to/p' "$log"
        return 1
    }
}

# Adds as few files as have the coverage of all that was found.
merge() {
    fuzz "$1" -set_cover_merge=1 -max_len="$(length "$1")" "$kept/$1" "$work/corpus/$1" >"$work/$1.merge.log" 2>&1
    printf '%-14s %5s files %7s octets\n' "$1" "$(find "$kept/$1" -type f | wc -l)" "$(cat "$kept/$1"/* | wc -c)"
}

targets() {
    if [ "${1:-all}" = all ]; then ls "$kept"; else echo "$1"; fi
}

mkdir -p "$work/artifacts"
build
if [ "${1:-}" = merge ]; then
    for target in $(targets "${2:-all}"); do merge "$target"; done
    exit
fi
failed=0
for target in $(targets "${1:-all}"); do run "$target" "${2:-60}" || failed=1; done
exit $failed

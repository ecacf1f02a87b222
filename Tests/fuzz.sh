#!/bin/sh
# Looks for inputs that break a parser: fuzz.sh [TARGET [SECONDS]], all targets for 60 seconds each by default.
#
# Begins with the corpus in Tests/Fuzz/Corpus. What breaks a parser is kept in .build/fuzz/found; put it into the corpus
# with the fix, and `make test` looks at it for ever.
set -eu
cd "$(dirname "$0")/.."
scratch=$PWD/.build/fuzz
seconds=${2:-60}
corpus=$PWD/Tests/Fuzz/Corpus

# libFuzzer brings its own main.
export POSTERN_FUZZ=1
swift build --scratch-path "$scratch" --product fuzzer --sanitize=fuzzer --sanitize=address

status=0
for folder in "$corpus/${1:-}"*/; do
    target=$(basename "$folder")
    mkdir -p "$scratch/corpus/$target" "$scratch/found"
    log=$scratch/$target.log
    # The machine's own backtrace would wait for a terminal.
    SWIFT_BACKTRACE=enable=no POSTERN_FUZZ_TARGET=$target "$scratch/debug/fuzzer" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$scratch/found/$target-" "$scratch/corpus/$target" "$folder" >"$log" 2>&1 || {
        status=1
        echo "$target: BROKEN, see $log"
        continue
    }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    new=$(sed -n 's/^stat::new_units_added: *//p' "$log")
    echo "$target: $runs inputs, $new of them reached something new"
done
exit $status

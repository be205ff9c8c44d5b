#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]: runs each fuzz target so long over a copy of its corpus; stops at the first finding.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
seconds=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
for program in build/fuzz/bin/*_fuzz; do
    name=$(basename "$program" _fuzz)
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    mkdir -p "$work/$name"
    echo "== fuzz $name, $seconds s" >&2
    if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$PWD/fuzz-" "$work/$name" "tests/fuzz/corpus/$name" >"$work/$name.log" 2>&1; then
        tail -50 "$work/$name.log" >&2
        echo "$passed passed, 1 failed"
        exit 1
    fi
    passed=$((passed + 1))
done
echo "$passed passed, 0 failed"
[ "$passed" -gt 0 ]

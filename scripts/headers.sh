#!/usr/bin/env bash
# headers.sh [BUILD [HEADER...]]: every header, or those named, compiles alone, in the way BUILD (default build/dev) compiles. Says which do not; exit 1.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
build=${1:-build/dev}
[ -f "$build/compile_commands.json" ] || { echo "headers.sh: $build is not configured: cmake --preset dev" >&2; exit 2; }
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
shift || true
if [ $# -gt 0 ]; then headers=$(printf '%s\n' "$@"); else headers=$(git ls-files 'common/*.hpp' 'server_sim/*.hpp' 'client_sim/*.hpp' 'encoder_sim/*.hpp' 'lab/*.hpp'); fi
one() {
    if printf '#include "%s"\n' "$2" | "$1" -std=c++20 -fsyntax-only -I. -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -Wall -Wextra -x c++ - 2> "$3/log.$$"; then
        return 0
    fi
    echo "$2 does not compile alone:"
    head -n 5 "$3/log.$$"
    return 1
}
export -f one
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
# Each header by itself: several together would hide what one of them forgot.
echo "$headers" | xargs -P "$(nproc)" -I{} bash -c 'one "$@"' - "$compiler" {} "$work" || failed=1
count=$(echo "$headers" | wc -l)
[ "$failed" = 0 ] && echo "$count headers compile alone"
exit "$failed"

#!/usr/bin/env bash
# style.sh [--fix] [BASE]: clang-format (and, where build/dev is configured, clang-tidy) over the C++ files that differ from BASE (default: the commit
# before the last merge or, without one, HEAD~1). `--all` instead of BASE: every file, clang-format only.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
fix=
if [ "${1:-}" = --fix ]; then fix=yes; shift; fi
base=${1:-}
if [ "$base" = --all ]; then
    mapfile -t files < <(git ls-files '*.cpp' '*.hpp')
else
    [ -n "$base" ] || base=$(git rev-parse -q --verify 'HEAD^1' || git hash-object -t tree /dev/null)
    mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- '*.cpp' '*.hpp')
fi
[ ${#files[@]} -gt 0 ] || { echo "no C++ file differs from $base"; exit 0; }
if [ -n "$fix" ]; then clang-format -i "${files[@]}"; exit; fi
failed=0
clang-format --dry-run --Werror "${files[@]}" || { echo "style.sh: run scripts/style.sh --fix"; failed=1; }
if [ "$base" != --all ] && [ -f build/dev/compile_commands.json ] && command -v clang-tidy > /dev/null; then
    mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep '\.cpp$' | grep -v '^tests/fuzz/' || true)
    [ ${#sources[@]} = 0 ] || printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -n 1 clang-tidy -p build/dev --quiet --warnings-as-errors='*' || failed=1
fi
[ "$failed" = 0 ] && echo "${#files[@]} files keep the style"
exit "$failed"

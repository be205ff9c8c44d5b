#!/usr/bin/env bash
# style.sh [--fix | --tidy] [BASE]: clang-format over the lines of C++ that differ from BASE (default: the commit before the last merge, or else HEAD~1); seconds.
# `--fix` writes what it would have. `--tidy` also runs clang-tidy over the files with such lines; build/dev must be configured. Lines that nobody touched stay.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
what=
case ${1:-} in --fix|--tidy) what=$1; shift ;; esac
base=${1:-HEAD^1}
format=$(command -v clang-format-diff || command -v clang-format-diff-14 || true)
[ -n "$format" ] || { echo "style.sh: clang-format is not installed, the style was not checked"; exit 0; }
git rev-parse -q --verify "$base^{commit}" > /dev/null || { echo "style.sh: no commit $base here, the style was not checked"; exit 0; }
mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- '*.cpp' '*.hpp')
[ ${#files[@]} -gt 0 ] || { echo "no C++ file differs from $base"; exit 0; }
changed() { git diff -U0 --no-color "$base" -- "${files[@]}"; }
if [ "$what" = --fix ]; then changed | "$format" -p1 -i; exit; fi
wrong=$(changed | "$format" -p1)
if [ -n "$wrong" ]; then
    printf '%s\n' "$wrong"
    echo "style.sh: $(grep -c '^@@' <<< "$wrong") places are not as .clang-format has them: scripts/style.sh --fix $base"
    exit 1
fi
if [ "$what" = --tidy ]; then
    [ -f build/dev/compile_commands.json ] || { echo "style.sh: build/dev is not configured: cmake --preset dev" >&2; exit 2; }
    mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep '\.cpp$' | grep -v '^tests/fuzz/' || true)
    [ ${#sources[@]} = 0 ] || printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -n 1 clang-tidy -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*'
fi
echo "what differs from $base in ${#files[@]} files keeps the style"

#!/usr/bin/env bash
# nightly.sh [BASE]: what keeps the code in order and takes too long for every change: clang-format and clang-tidy over what differs from BASE, every header by
# itself, and a build in which every source is compiled by itself, since a unity build hides an include that is missing. Needs clang-format and clang-tidy.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
failed=()
cmake --preset dev > /dev/null
scripts/style.sh --tidy "${1:-HEAD^1}" || failed+=(style)
scripts/headers.sh || failed+=(headers)
cmake --preset dev -B build/plain -DCMAKE_UNITY_BUILD=OFF > /dev/null
cmake --build build/plain -j "$(nproc)" || failed+=("the build without unity")
[ ${#failed[@]} = 0 ] && { echo "all in order"; exit; }
printf 'not in order: %s\n' "${failed[@]}"
exit 1

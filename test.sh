#!/usr/bin/env bash
# Installs what is missing (apt), builds, and runs all tests. `./test.sh asan`: the same under the address and undefined-behaviour
# sanitizers (ASAN_PART=peers: only what reads what strangers send: protocols, simulators, scenarios, journals, rulesets).
# `./test.sh fuzz`: each fuzz target for a few seconds over its corpus (FUZZ_SECONDS, default 5).
# WMLAB_WITHOUT_DOCKER=1 leaves out what needs a Docker engine or a bare Debian.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
. scripts/common.sh

PATH=$PATH:/usr/sbin:/sbin  # an ordinary user's lacks them; tests run nft, squid and others
preset=${1:-release}
case $preset in
    release|asan|dev|tsan)
        need build run test
        if [ "$preset" = release ] && [ -z "${WMLAB_WITHOUT_DOCKER:-}" ]; then need compose; fi
        configure "$preset" ON
        # What scripts drive from outside runs the same programs as the other tests: sanitizers find nothing more there.
        leave_out=() targets=()
        if [ "$preset" = asan ]; then leave_out=(-E '^(where|docs|chain|lab|commands): |every program with every content'); fi
        if [ "${ASAN_PART:-}" = peers ] && [ "$preset" = asan ]; then
            targets=({server,client,encoder}_sim libmms_dump {asf,bytes,mms,msb,msbd,url,wmsp,rpc,scenario,evidence,net,process,serving,rules,judge}_tests
                     {server,client,encoder}_sim_tests)
            leave_out=(-E '^(where|docs|chain|package|lab|commands|report|explain|logs|verdict)(:|_tests)|schema agrees|every program with every content|headers in a lab')
        fi
        build "$preset" "${targets[@]}"
        # two more than there are cores: tests wait more than they compute
        open_to_all ctest --preset "$preset" -j$(($(nproc) + 2)) --timeout 300 --output-junit "$PWD/build/$preset/tests.xml" "${leave_out[@]}" || {
            result=$?
            scripts/failed_tests.py "build/$preset/tests.xml"
            exit $result
        } ;;
    fuzz)
        need build fuzz
        configure fuzz OFF
        build fuzz fuzz_targets
        scripts/fuzz.sh "${FUZZ_SECONDS:-5}" ;;
    *)  echo "test.sh: unknown preset '$preset': release (default), asan, tsan, dev or fuzz" >&2; exit 2 ;;
esac

#!/bin/bash
# By hand: every simulator is started on its own machine with a journal of its own, then `wmlab judge` reads them
# (docs/how-to/separate-machines.md).   by_hand.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
scenario=$source/tests/where/scenario.yaml
rulesets "$source/scenarios/rules/kb189416.nft"
ip link set lo up

play() { # play DIRECTORY: every host its programs, until the clients have done
    mkdir -p "$1"
    local host servers=() clients=()
    for host in media player studio edge; do
        nsenter --target "${pid[$host]}" --net -- "$bin/server_sim" --scenario "$scenario" --host $host --journal "$1/$host.server.jsonl" 2>> "$work/log" &
        servers+=($!)
    done
    for host in media player studio edge; do
        until grep -qs '"event":"ready"' "$1/$host.server.jsonl"; do
            [ "$(jobs -r | wc -l)" -ge 1 ] && ! grep -qs '"event":"fatal"' "$1/$host.server.jsonl" || { cat "$work/log" "$1"/*; exit 1; }
            sleep 0.05
        done
    done
    for host in player studio media edge; do
        nsenter --target "${pid[$host]}" --net -- "$bin/client_sim" --scenario "$scenario" --host $host --journal "$1/$host.client.jsonl" 2>> "$work/log" &
        clients+=($!)
    done
    wait "${clients[@]}" || true
    kill -TERM "${servers[@]}"
    wait "${servers[@]}" || true
}

judge() { "$bin/wmlab" judge "$scenario" "$work/$1" --control "$work/open" --no-color --report text --report "json:$work/$1.json"; }

trial() { # trial open|RULESET; open: the positive control
    hosts_and_firewall
    [ "$1" = open ] || load_ruleset "$work/$1.nft"
    play "$work/$1"
}
in_parallel trial open right no-media wrong-port reject-media

for ruleset in right no-media wrong-port reject-media; do
    got=0
    judge $ruleset > "$work/output" 2>&1 || got=$?
    want=0
    [ $ruleset = right ] || want=1
    check "$ruleset: exit code" $want $got
    [ $want = $got ] || cat "$work/output" "$work/log"
    check "$ruleset: verdicts" "$(cat "$source/tests/where/expected/$ruleset.txt")" "$(verdicts "$work/$ruleset.json")"
done

# Missing evidence is never a verdict about the firewall.
rm "$work/no-media/media.server.jsonl"
judge no-media > "$work/output" 2>&1 || true
case $(verdicts "$work/no-media.json") in
    *blocked*) failed=1; echo "WRONG a journal is missing, and a flow is called blocked"; cat "$work/output" ;;
    *) echo "ok    a journal is missing: nothing is called blocked" ;;
esac
exit $failed

#!/bin/sh
# One host of lab/compose.yaml. The simulators of all hosts run at the same time, wave after wave: first with the
# firewall open (the positive control), then with the ruleset.
#   host.sh SCENARIO HOST NETWORK GATEWAY
set -eu
. /usr/local/lib/wmlab/turns.sh
scenario=/scenarios/$1 host=$2

if [ "${WMLAB_ROUTED:-}" = "" ]; then
    ip route del default 2>/dev/null || true
    ip route replace "$3" via "$4"
    export WMLAB_ROUTED=yes
    exec setpriv --bounding-set -net_admin --inh-caps -net_admin "$0" "$@"
fi

ready() { # ready PID JOURNAL: until it serves, or is gone
    until grep -qs '"event":"ready"' "$2"; do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
}

wmlab list "$scenario" --waves > /tmp/waves
for phase in control run; do
    journals=/reports/journals
    if [ $phase = control ]; then journals=$journals/control; else wait_for ruleset-loaded; fi
    mkdir -p $journals
    wave=0
    while read -r flows <&3; do
        wave=$((wave + 1))
        set -f # an id like station[media->edge] is no pattern
        pids=
        for program in server_sim encoder_sim; do
            journal=$journals/$host.$program.$wave.jsonl
            "$program" --scenario "$scenario" --host "$host" --journal "$journal" $flows &
            pids="$pids $!"
            ready $! "$journal"
        done
        say "ready-$phase-$wave.$host"
        all_said "ready-$phase-$wave" || true
        client_sim --scenario "$scenario" --host "$host" --journal "$journals/$host.client_sim.$wave.jsonl" $flows || true
        say "done-$phase-$wave.$host"
        all_said "done-$phase-$wave" || true
        for pid in $pids; do kill -TERM "$pid" 2>/dev/null || true; done
        for pid in $pids; do wait "$pid" || true; done
        say "stopped-$phase-$wave.$host"
        [ $phase$wave = "control$(wc -l < /tmp/waves)" ] || wait_for "next-$phase-$wave" || true
    done 3< /tmp/waves
done
say "finished.$host"
stay

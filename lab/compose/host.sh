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

# The simulators are told what to do on standard input, as wmlab does it: the scenario, `start` when those of every host
# are ready, `stop` when the flows of every host have ended (docs/architecture.md).
run() { # run PROGRAM JOURNAL FLOWS...: its input is a pipe that the open descriptors 4, 5 and 6 keep open
    program=$1 journal=$2
    shift 2
    "$program" --scenario - --base "$(dirname "$scenario")" --host "$host" --journal "$journal" "$@" < "/tmp/$program" 3<&- 4>&- 5>&- 6>&- &
    pids="$pids $!"
}
tell() { for out in 4 5 6; do eval "printf '%s\n' \"\$1\" >&$out" || true; done; }
gone() { left=0; for pid in $pids; do kill -0 "$pid" 2>/dev/null || left=$((left + 1)); done; echo $left; }
lines_with() { set +f; cat $journals/$host.*.$wave.jsonl 2>/dev/null | grep -c "\"event\":\"$1\"" || true; } # called in $( ): the pattern is its own

wmlab list "$scenario" --waves $without > /tmp/waves
wmlab list "$scenario" --waves $without --opened-by "$host" > /tmp/opened
for phase in control run; do
    journals=/reports/journals
    if [ $phase = control ]; then journals=$journals/control; else wait_for ruleset-loaded; fi
    mkdir -p $journals
    wave=0
    while read -r flows <&3; do
        wave=$((wave + 1))
        set -f # an id like station[media->edge] is no pattern
        ours=$(sed -n "${wave}p" /tmp/opened | grep -o -e --flow | wc -l)
        pids=
        for program in server_sim encoder_sim client_sim; do
            rm -f "/tmp/$program"
            mkfifo "/tmp/$program"
        done
        exec 4<> /tmp/server_sim 5<> /tmp/encoder_sim 6<> /tmp/client_sim
        for program in server_sim encoder_sim client_sim; do
            run $program "$journals/$host.$program.$wave.jsonl" $flows
        done
        { cat "$scenario"; echo; echo ...; } | tee /tmp/server_sim /tmp/encoder_sim > /tmp/client_sim
        until [ $(($(lines_with ready) + $(gone))) -ge 3 ]; do sleep 0.1; done
        say "ready-$phase-$wave.$host"
        all_said "ready-$phase-$wave" || true
        # Where a port is random the listener's journal says it: the other end is told.
        endpoints=$(set +f; cat $journals/*.$wave.jsonl | sed -n 's/.*"host":"\([^"]*\)".*"flow":"\([^"]*\)","leg":"msbd","event":"listening","local":"[^"]*:\([0-9]*\)".*/endpoint \2 \1:\3/p' | grep -v " $host:" || true)
        [ -z "$endpoints" ] || tell "$endpoints"
        tell start
        waited=0
        until [ "$(lines_with flow-ended)" -ge "$ours" ] || [ "$(gone)" = 3 ] || [ $waited -ge $((WAIT_SECONDS * 10)) ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
        say "done-$phase-$wave.$host"
        all_said "done-$phase-$wave" || true
        tell stop
        for pid in $pids; do wait "$pid" || true; done
        say "stopped-$phase-$wave.$host"
        [ $phase$wave = "control$(wc -l < /tmp/waves)" ] || wait_for "next-$phase-$wave" || true
    done 3< /tmp/waves
done
say "finished.$host"
stay

#!/bin/sh
# The judge of lab/compose.yaml: waits until every host has finished, then judges the journals. A host that does not
# finish makes flows inconclusive, never blocked.
#   judge.sh SCENARIO
set -eu
. /usr/local/lib/wmlab/turns.sh
waited=0
for host in $HOSTS; do
    until [ -e "$turns/finished.$host" ]; do
        if [ -e "$turns/refused" ]; then
            echo "judge: the firewall refuses the ruleset; its log says why" >&2
            exit 2
        fi
        waited=$((waited + 1))
        [ $waited -lt $((WAIT_SECONDS * 40)) ] || { echo "judge: $host has not finished" >&2; break; }
        sleep 0.1
    done
done
[ -e "$turns/decisions-written" ] || wait_for decisions-written || true
exec wmlab judge "/scenarios/$1" $without /reports/journals --control /reports/journals/control --ruleset "$RULESET" --report text \
    --report json:/reports/report.json --report junit:/reports/junit.xml --report markdown:/reports/report.md

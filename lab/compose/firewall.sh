#!/bin/sh
# The firewall of lab/compose.yaml: names its interfaces as the ruleset under test does. At first it is open, for the
# positive control; then it loads the ruleset, unmodified, and records which rule decides what. Connection tracking is emptied between the waves.
#   firewall.sh SCENARIO INTERFACE=ADDRESS...
set -eu
. /usr/local/lib/wmlab/turns.sh
scenario=/scenarios/$1
shift
rm -rf /reports/journals
mkdir -p "$turns"
for pair; do
    name=${pair%%=*} address=${pair#*=}
    device=$(ip -o -4 addr show to "$address" | sed -n 's/^[0-9]*: \([^ ]*\) .*/\1/p')
    [ -n "$device" ] || { echo "firewall: no interface has the address $address" >&2; exit 1; }
    [ "$device" = "$name" ] && continue
    ip link set "$device" down
    ip link set "$device" name "$name"
    ip link set "$name" up
done
ip route del default 2>/dev/null || true

# Where the scenario has multicast the firewall is a multicast router, with a static route for each sender and group: between
# the networks of an engine nobody asks for memberships, and a report may be on its way.
multicast_routes() {
    wmlab list --json "$scenario" | sed 's/{"id"/\n&/g' |
        sed -n 's/.*"type": *"multicast".*"name": *"media".*"source": *{[^}]*"address": *"\([0-9.]*\)".*"destination": *{[^}]*"address": *"\([0-9.]*\)".*/\1 \2/p' |
        sort -u | while read -r sender group; do
        from=$(ip -o route get "$sender" | sed -n 's/.* dev \([^ ]*\) .*/\1/p')
        to=$(for pair; do echo "${pair%%=*}"; done | grep -v -x "$from" | xargs)
        echo "mroute from $from source $sender group $group to $to"
    done
}
multicast_routes "$@" > /tmp/mroutes
if [ -s /tmp/mroutes ]; then
    { for pair; do echo "phyint ${pair%%=*} enable"; done; cat /tmp/mroutes; } > /tmp/smcroute.conf
    smcrouted -N -n -f /tmp/smcroute.conf &
fi
waves=$(wmlab list "$scenario" --waves $without | wc -l)
echo "firewall: open, for the positive control"
say firewall-up

# Loads the ruleset and watches which rule decides what, until it is told to stop: the judge waits for what it writes.
watcher=
watch() {
    mkfifo /tmp/watcher
    wmlab firewall /ruleset --called "$RULESET" --journal /reports/journals < /dev/null > /tmp/watcher &
    watcher=$!
    read -r word < /tmp/watcher && [ "$word" = ready ]
}
over() {
    [ -z "$watcher" ] || { kill -TERM "$watcher" && wait "$watcher" || echo "firewall: no rule will be named" >&2; }
    say decisions-written
    stay
}

for phase in control run; do
    if [ $phase = run ]; then
        watch || { say refused; stay; }
        echo "firewall: the ruleset is loaded"
        say ruleset-loaded
    fi
    wave=0
    while [ $wave -lt "$waves" ]; do
        wave=$((wave + 1))
        all_said "stopped-$phase-$wave" || over
        conntrack -F 2>/dev/null || echo "firewall: connection tracking is not emptied: waves may influence each other" >&2
        [ $phase$wave = "control$waves" ] || say "next-$phase-$wave"
    done
done
over

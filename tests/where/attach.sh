#!/bin/bash
# --attach: the device under test is a namespace, the cables are two veth pairs.   attach.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
scenario=$source/tests/where/scenario.yaml
run() { timeout 120 "$bin/wmlab" run "$scenario" --no-color "$@" 2>&1; }
attached="--attach inside=eth1 --attach outside=eth2"
rulesets "$source/scenarios/rules/kb189416.nft"

ip link set lo up
place firewall
cable here eth1 firewall inside
cable here eth2 firewall outside

device_up() {
    at firewall ip addr add 10.10.0.1/24 dev inside
    at firewall ip addr add 10.20.0.1/24 dev outside
    forwarding firewall
}

refused() { # refused WHAT CODE PART ARGUMENTS...
    local what=$1 code=$2 part=$3 output got=0
    shift 3
    output=$(run "$@") || got=$?
    check "$what: exit code" "$code" "$got"
    contains "$what" "$output" "$part"
}
refused "a zone that the scenario does not have" 2 "no zone \`dmz\`" $attached --attach dmz=eth3
refused "one card for two zones" 2 "cannot be in zone" --attach inside=eth1 --attach outside=eth1
refused "a zone without a card" 2 "attach a second zone" --attach inside=eth1
refused "a card that is not there" 3 "no such interface" --attach inside=eth1 --attach outside=eth9
refused "a device that does not answer" 3 "nobody answers for the address 10.10.0.1" $attached

device_up
ip addr add 192.0.2.1/24 dev eth1
refused "a card that is in use" 3 "it has the address 192.0.2.1" $attached
load_ruleset "$work/right.nft"
refused "a card that is in use, forced" 0 "(forced)" $attached --attach-force
ip addr del 192.0.2.1/24 dev eth1

trial() { # trial RULESET
    local got=0 want=1
    place machine
    place firewall
    cable machine eth1 firewall inside
    cable machine eth2 firewall outside
    device_up
    load_ruleset "$work/$1.nft"
    at machine timeout 120 "$bin/wmlab" run "$scenario" --no-color $attached --report "json:$work/$1.json" --pcap "$work/pcap-$1" > "$work/$1.output" 2>&1 || got=$?
    [ $1 != right ] || want=0
    check "$1: exit code" $want $got
    [ $want = $got ] || cat "$work/$1.output"
    check "$1: verdicts" "$(cat "$source/tests/where/expected/$1.txt")" "$(verdicts "$work/$1.json")"
}
in_parallel trial right no-media wrong-port reject-media
check "captures of an attached device: hosts only" "edge.pcapng media.pcapng player.pcapng studio.pcapng" "$(cd "$work/pcap-right" && echo *)"

# A host's server is killed in the middle.
with_others "$scenario" "$work/right.nft" | sed 's/play: 1s/play: 6s/' > "$work/others.yaml"
load_ruleset "$work/right.nft"
got=0
timeout 60 "$bin/wmlab" run "$work/others.yaml" --no-color $attached --journal "$work/killed" --report "json:$work/killed.json" > "$work/output" 2>&1 &
until grep -qs ViewerToMacReadBlock "$work/killed/"media.server_sim*.jsonl; do sleep 0.05; done
pkill -KILL -f 'server_sim .*--host media'
wait $! || got=$?
check "a server killed in the middle: exit code" 4 $got
for verdict in "unicast-udp inconclusive" "unicast-tcp inconclusive" "others pass"; do
    contains "a server killed in the middle: $verdict" "$(verdicts "$work/killed.json")" "$verdict"
done

# Mixed: the hosts inside sit on this machine's card, those outside are other machines.
mixed() { # mixed RULESET
    local host launched=() got=0 want=1
    place machine
    hosts_and_firewall
    at media ip link set eth0 down
    at booth ip link set eth0 down
    nsenter --target "${pid[machine]}" --net ip link add eth1 type veth peer name portX netns "${pid[switch-inside]}"
    at machine ip link set eth1 up
    at switch-inside ip link set portX master switch
    at switch-inside ip link set portX up
    load_ruleset "$work/${1#mixed-}.nft"
    for host in player studio edge; do # prefixes run beside the lab, which does not see our processes
        touch "$work/$1-$host"
        mount --bind "/proc/${pid[$host]}/ns/net" "$work/$1-$host"
        launched+=(--launch "$host=nsenter --net=$work/$1-$host env PATH=$bin:$PATH")
    done
    at machine timeout 60 "$bin/wmlab" run "$scenario" --no-color --attach inside=eth1 "${launched[@]}" --report "json:$work/$1.json" > "$work/$1.output" 2>&1 || got=$?
    [ $1 != mixed-right ] || want=0
    check "$1: exit code" $want $got
    [ $want = $got ] || cat "$work/$1.output"
    umount "$work/$1"-{player,studio,edge}
    check "$1: verdicts" "$(cat "$source/tests/where/expected/${1#mixed-}.txt")" "$(verdicts "$work/$1.json")"
}
in_parallel mixed mixed-right mixed-no-media mixed-wrong-port mixed-reject-media

# Around the device: its two ports are one switch.
at firewall ip link add name oops type bridge forward_delay 0
at firewall ip link set oops up
at firewall ip link set inside master oops
at firewall ip link set outside master oops
at firewall ip addr add 10.10.0.1/24 dev oops
at firewall ip addr add 10.20.0.1/24 dev oops
refused "a way around the device" 3 "without passing the device" $attached

ip link add name bridge0 type bridge
# The kernel takes the last lab's macvlans down in its own time.
until ip link set eth1 master bridge0 2> /dev/null; do sleep 0.05; done
refused "a card in a bridge" 3 "belongs to bridge0" $attached
ip link set eth1 nomaster
ip link add eth5 type veth peer name eth6
refused "the two ends of one cable" 3 "two ends of one cable" --attach inside=eth5 --attach outside=eth6
exit $failed

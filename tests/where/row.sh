#!/bin/bash
# Several firewalls that are machines in a row: each is joined by its own prefix, or its log is read; the same firewall and line
# as the built-in lab.   [ROW=all] row.sh BIN SOURCE
set -eu
. "$(dirname "$0")/../real_root.sh"
real_root "$@"
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1
ip link set lo up

# The player (office) - branch - core - datacentre - the server (servers).
addressed() { at "$1" ip addr add "$3/24" dev "$2"; }
gateways() {
    local box
    for box in branch core datacentre; do place $box; done
    cable branch eth1 core ens1
    cable core ens2 datacentre lan0
    addressed branch eth1 10.91.0.1
    addressed core ens1 10.91.0.2
    addressed core ens2 10.92.0.1
    addressed datacentre lan0 10.92.0.2
    at branch ip route add default via 10.91.0.2
    at core ip route add 10.20.0.0/24 via 10.91.0.1
    at core ip route add 10.10.0.0/24 via 10.92.0.2
    at datacentre ip route add default via 10.92.0.1
}
forwarding_all() {
    local box
    for box in branch core datacentre; do
        forwarding $box
        at $box nft -f "$1/$box.nft"
    done
}
machines() { # machines RULES
    gateways
    place player
    place media
    cable branch eth0 player eth0
    cable datacentre lan1 media eth0
    addressed branch eth0 10.20.0.1
    addressed datacentre lan1 10.10.0.1
    addressed player eth0 10.20.0.10
    addressed media eth0 10.10.0.10
    at player ip route add default via 10.20.0.1
    at media ip route add default via 10.10.0.1
    forwarding_all "$1"
}
over() { echo "nsenter --target ${pid[$1]} --net env PATH=$bin:$PATH"; }

rules() { # rules BOX CHANGE: what each lets through, in one of them changed by sed
    local box
    for box in branch core datacentre; do
        sed "$([ "$1" != $box ] || echo "$2")" > "$box.nft" << 'RULES'
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip daddr 10.10.0.10 tcp dport { 80, 1755 } accept
    ip daddr 10.10.0.10 udp dport 1755 accept
    ip saddr 10.10.0.10 udp dport 1024-5000 accept
    ip daddr 10.10.0.10 udp dport 9000 accept
  }
}
RULES
    done
}
scenario() { # scenario BOX'S-FURTHER-KEYS: a function that prints them
    cat << SCENARIO
version: 1
zones:
  office:   { subnet: 10.20.0.0/24 }
  wan:      { subnet: 10.91.0.0/24 }
  backbone: { subnet: 10.92.0.0/24 }
  servers:  { subnet: 10.10.0.0/24 }
hosts:
  player: { zone: office,  address: 10.20.0.10 }
  media:  { zone: servers, address: 10.10.0.10 }
firewalls:
  - { name: branch,     ruleset: branch.nft,     zones: { office: eth0, wan: eth1 }$($1 branch) }
  - { name: core,       ruleset: core.nft,       zones: { wan: ens1, backbone: ens2 }$($1 core) }
  - { name: datacentre, ruleset: datacentre.nft, zones: { backbone: lan0, servers: lan1 }$($1 datacentre) }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 2s, play: 500ms, content: lecture }
flows:
  - { id: udp, type: mms-udp, from: player, to: media }
  - { id: tcp, type: mms-tcp, from: player, to: media }
  - { id: web, type: http, from: player, to: media }
  - { id: probe, type: probe, from: player, to: media, protocol: udp, ports: 9000 }
SCENARIO
}
all_rules() { for box in branch core datacentre; do at $box nft --stateless list ruleset; done; }
nothing() { :; }
joined_by() { echo ", launch: \"$(over "$1")\""; }
# Which firewall and line decided about each leg.
named() { python3 -c '
import json, sys, os
for flow in json.load(open(sys.argv[1]))["flows"]:
    for leg in flow["legs"]:
        rule = leg.get("rule") or {}
        print(flow["id"], leg["name"], leg["verdict"], rule.get("box", "-"), os.path.basename(rule.get("file", "-")), rule.get("line", "-"))' "$1"; }
notes() { python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1])).get("notes", [])))' "$1"; }

trial() { # trial NAME
    local name=$1 want=1 got=0 before
    mkdir "$work/$name"
    cd "$work/$name"
    case $name in
    right) rules none; want=0 ;;
    branch) rules branch 's/{ 80, 1755 }/{ 80, 1756 }/' ;;
    core) rules core 's/1024-5000 accept/1024-5000 reject/' ;;
    datacentre) rules datacentre 's/dport 9000 accept/dport 9000 drop/' ;;
    esac
    machines .
    scenario joined_by > machines.yaml
    scenario nothing > built-in.yaml
    before=$(all_rules)
    timeout 120 "$bin/wmlab" run machines.yaml --no-color --launch "player=$(over player)" --launch "media=$(over media)" --journal journals \
        --report json:machines.json > output 2>&1 || got=$?
    check "$name: exit code" $want $got
    [ $want = $got ] || cat output
    timeout 120 "$bin/wmlab" run built-in.yaml --no-color --report json:built-in.json > /dev/null 2>&1 || true
    check "$name: the firewalls and lines of the built-in lab" "$(named built-in.json)" "$(named machines.json)"
    check "$name: nothing of the rules has changed" "$before" "$(all_rules)"
}
# All of it is for the hand.
in_parallel trial $([ "${ROW:-}" = all ] && echo right branch datacentre) core

# The hosts on this machine's cards, three firewalls between the cards.
attached() { # attached BOX CHANGE
    local got=0 box
    mkdir "$work/attached-$1"
    cd "$work/attached-$1"
    rules "$1" "$2"
    gateways
    place machine
    cable machine card1 branch eth0
    cable machine card2 datacentre lan1
    addressed branch eth0 10.20.0.1
    addressed datacentre lan1 10.10.0.1
    forwarding_all .
    for box in branch core datacentre; do # the lab does not see our processes
        touch $box.ns
        mount --bind "/proc/${pid[$box]}/ns/net" $box.ns
    done
    by_name() { echo ", launch: \"nsenter --net=$PWD/$1.ns env PATH=$bin:$PATH\""; }
    scenario by_name > attached.yaml
    scenario nothing > built-in.yaml
    timeout 120 nsenter --target "${pid[machine]}" --net "$bin/wmlab" run attached.yaml --no-color --attach office=card1 --attach servers=card2 --report json:attached.json > output 2>&1 || got=$?
    umount ./*.ns
    check "attached, $1: exit code" 1 $got
    [ 1 = $got ] || cat output
    timeout 120 "$bin/wmlab" run built-in.yaml --no-color --report json:built-in.json > /dev/null 2>&1 || true
    check "attached, $1: the firewalls and lines of the built-in lab" "$(named built-in.json)" "$(named attached.json)"
}
far_attached() { attached core 's/dport 1755 accept/dport 1756 accept/'; }
# One of them cannot be joined, or lets nobody trace: that costs its rules and no others', and no verdict.
holes() {
    local got=0
    mkdir "$work/holes"
    cd "$work/holes"
    rules core 's/{ 80, 1755 }/{ 80 }/'
    sed -i 's/1024-5000 accept/1024-5000 drop/; s/dport 9000 accept/dport 9000 drop/' datacentre.nft
    machines .
    in_part() {
        case $1 in
        branch) echo ", launch: \"$(over branch) nobody-there\"" ;;
        core) echo ", launch: \"$(over core)\"" ;;
        datacentre) : ;;
        esac
    }
    scenario in_part > holes.yaml
    timeout 120 "$bin/wmlab" run holes.yaml --no-color --launch "player=$(over player)" --launch "media=$(over media)" --report json:holes.json > output 2>&1 || got=$?
    check "holes: exit code" 1 $got
    contains "holes: of the one that is joined" "$(named holes.json)" "tcp control blocked core core.nft 3"
    contains "holes: of the one that is not" "$(named holes.json)" "probe probe blocked - - -"
    contains "holes: why" "$(notes holes.json)" "nobody-there"
    scenario joined_by > untraced.yaml
    timeout 120 "$bin/wmlab" run untraced.yaml --no-color --no-trace --launch "player=$(over player)" --launch "media=$(over media)" --report json:untraced.json > output 2>&1 || true
    contains "no trace: by the rules and their counters" "$(named untraced.json)" "tcp control blocked core core.nft 3"
    contains "no trace: another's" "$(named untraced.json)" "probe probe blocked datacentre datacentre.nft 8"
}
# Devices that write logs, each with a clock of its own: what one says, what two say of the same packets, and text that is no friend.
logs() {
    mkdir "$work/logs"
    cd "$work/logs"
    rules core 's/{ 80, 1755 }/{ 80 }/'
    machines .
    scenario nothing > plain.yaml
    timeout 120 "$bin/wmlab" run plain.yaml --no-color --launch "player=$(over player)" --launch "media=$(over media)" --journal journals --report json:plain.json > output 2>&1 || true
    cat > asa.py << 'PY'
import datetime, glob, json, sys
times = {}
for name in glob.glob("journals/*.jsonl"):
    for line in open(name):
        event = json.loads(line)
        if event.get("flow"):
            times.setdefault(event["flow"], event["time"])
stops, hours, box = sys.argv[1] == "stops", float(sys.argv[2]), sys.argv[3]
for flow in json.load(open("plain.json"))["flows"]:
    stamp = (datetime.datetime.fromisoformat(times[flow["id"]][:19]) + datetime.timedelta(hours=hours)).strftime("%b %d %Y %H:%M:%S")
    for leg in flow["legs"]:
        if ":" not in leg["source"] or ":" not in leg["destination"]:
            continue
        source, destination = (leg[end].replace(":", "/") for end in ("source", "destination"))
        if leg["verdict"] == "blocked" and stops:
            print(f'{stamp} fw : %ASA-4-106023: Deny {leg["protocol"]} src a:{source} dst b:{destination} by access-group "{box}_{flow["id"]}" [0x0, 0x0]')
        else:
            print(f'{stamp} fw : %ASA-6-302013: Built inbound {leg["protocol"].upper()} connection 1 for a:{source} ({source}) to b:{destination} ({destination})')
PY
    logged() { echo ", log: { format: asa, from: $1.log }"; }
    scenario logged > logged.yaml
    judged() { "$bin/wmlab" judge logged.yaml journals --no-color --report json:judged.json --report html:judged.html --report text:judged.txt > output 2>&1 || true; }
    python3 asa.py passes 0 branch > branch.log
    python3 asa.py stops 7 core > core.log
    : > datacentre.log
    judged
    check "logs: verdicts" "$(verdicts plain.json)" "$(verdicts judged.json)"
    contains "logs: the one that stopped it" "$(named judged.json)" "tcp control blocked core core.log 2"
    contains "logs: its clock" "$(notes judged.json)" " s ahead of this machine's"
    contains "logs: advice of that device" "$(cat judged.json)" "extended permit tcp host 10.20.0.10 host 10.10.0.10 eq 1755"
    python3 asa.py stops -3 branch > branch.log
    judged
    check "two stopped the same packets: verdicts" "$(verdicts plain.json)" "$(verdicts judged.json)"
    contains "two stopped the same packets: none is named" "$(named judged.json)" "tcp control blocked - - -"
    contains "two stopped the same packets: told" "$(cat judged.json)" "The logs of firewalls branch and core both say that they stopped these packets: none is named."
    : > branch.log
    python3 - << 'PY'
lines = open("core.log").read()
with open("core.log", "wb") as out:
    out.write(b"A" * 3_000_000 + b"\n" + b"%ASA-4-106023: Deny " + b"src " * 100_000 + b"\n" + bytes(range(256)) * 1000 + b"\n")
    out.write(lines.replace("core_", "<img src=x>\x1b[31m\x07").encode())
PY
    judged
    check "hostile text: verdicts" "$(verdicts plain.json)" "$(verdicts judged.json)"
    contains "hostile text: the line is found" "$(named judged.json)" "tcp control blocked core core.log"
    check "hostile text: no page and no terminal is led astray" "0 0" "$(grep -c '<img src=x' judged.html || true) $(grep -c $'\x1b\\|\x07' judged.txt || true)"
}
in_parallel eval $([ "${ROW:-}" = all ] && echo far_attached) holes logs
exit $failed

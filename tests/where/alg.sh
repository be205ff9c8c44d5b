#!/bin/bash
# wmlab alg with hosts on other machines: the inspector of tests/lab/alg on a firewall between them, right and with faults, has the same said of
# each announcement as in the built-in lab; and what a machine can get wrong is told in words.
#   alg.sh BIN SOURCE                a few announcements and faults
#   alg.sh BIN SOURCE all [CASE...]  all announcements, all faults of the inspector (some ten minutes), or these
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2 whole=${3:-}
ip link set lo up
python=/usr/bin/python3
inspector=$source/tests/lab/alg/inspector.py
only=(--only correct --only split-2 --only retransmitted --only another-player --only mapper-correct --only mapper-unasked)
cases=(right nothing any-source no-reassembly mapper-unasked)
few=(--only correct --only mapper-correct) # where nothing opens each is waited for in vain
if [ "$whole" = all ]; then
    few=(--protocol mms --protocol mapper)
    only=(--protocol mms --protocol mapper --protocol mapper-udp --protocol msbd)
    cases=(right nothing $($python "$inspector" names))
    [ $# -lt 4 ] || cases=("${@:4}")
fi

scenario() { cat <<SCENARIO
version: 1
name: inspected
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
$1
content: { one: { synthetic: audio } }
flows:
  - { id: one, type: mms-udp, from: player, to: media, content: one }
SCENARIO
}
scenario "  booth:  { zone: inside,  address: 10.10.0.11 }
  studio: { zone: outside, address: 10.20.0.11 }" > "$work/s.yaml"
scenario "" > "$work/two.yaml"
scenario "  booth:  { zone: inside,  address: 10.10.0.11 }" > "$work/mixed.yaml"
cat > "$work/rules.nft" <<'RULES'
flush ruleset
table inet filter {
    set mms { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    set mapper { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    set mapper_udp { type ipv4_addr . ipv4_addr . inet_service; flags interval, timeout; }
    chain forward { type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "outside" oifname "inside" tcp dport { 80, 135, 1755, 7007 } accept
        iifname "outside" oifname "inside" udp dport 135 accept
        ip saddr . ip daddr . udp dport @mms accept
        ip saddr . ip daddr . tcp dport @mapper accept
        ip saddr . ip daddr . udp dport @mapper_udp accept
    }
}
RULES

over() { echo "nsenter --target ${pid[$1]} --net env PATH=$bin:$PATH"; }
machines() { # machines CASE: hosts, and the firewall with the inspector
    local host
    hosts_and_firewall
    load_ruleset "$work/rules.nft"
    launched=()
    for host in media booth player studio; do launched+=(--launch "$host=$(over $host)"); done
    [ "$1" != nothing ] || return 0
    at firewall $python "$inspector" outside inside $([ "$1" = right ] || echo "$1") > "$work/inspector-$1" 2>&1 &
    until grep -qs ready "$work/inspector-$1"; do sleep 0.02; done
}
alg() { timeout 400 "$bin/wmlab" alg "$@"; }
# A report in lines; of a run without one nothing.
said() { [ ! -s "$1" ] || $python -c '
import json, sys
report = json.load(open(sys.argv[1]))
print(report["verdict"])
for one in report["announcements"]: print(one["id"], one["verdict"], *sorted(one["through"]), sep="; ")' "$1"; }
whys() { [ ! -s "$1" ] || $python -c '
import json, sys
report = json.load(open(sys.argv[1]))
print(*report["notes"], *(line for one in report["announcements"] for line in [one.get("why", ""), *one["left_out"], *one["notes"]]), sep="\n")' "$1"; }
built_in() { # built_in CASE
    local faults=()
    [ "$1" = right ] || faults=("$1")
    [ "$1" = nothing ] || faults=(--inspector "$python $inspector outside inside ${faults[*]}")
    [ "$1" != nothing ] || faults=("${few[@]}")
    [ "$1" = nothing ] || faults+=("${only[@]}")
    alg "$work/s.yaml" --ruleset "$work/rules.nft" "${faults[@]}" --report "json:$work/built-in-$1.json"
}
trial() { # trial CASE
    local got=0 want=0 here these=("${only[@]}")
    [ "$1" != nothing ] || these=("${few[@]}")
    machines "$1"
    built_in "$1" > "$work/built-in-$1.output" 2>&1 &
    here=$!
    alg "$work/s.yaml" "${launched[@]}" "${these[@]}" --report "json:$work/$1.json" > "$work/$1.output" 2>&1 || got=$?
    wait $here || want=$?
    check "$1: exit code of the built-in lab" "$want" "$got"
    # The inspector itself opens and closes one range for all connections: which of them finds it open depends on the moment.
    if [ "$1" = whole-range ]; then
        check "$1: the same is said as in the built-in lab" "$(said "$work/built-in-$1.json" | sed 's/; udp.*//' | sed -n 1,2p)" "$(said "$work/$1.json" | sed 's/; udp.*//' | sed -n 1,2p)"
    else
        check "$1: the same is said as in the built-in lab" "$(said "$work/built-in-$1.json")" "$(said "$work/$1.json")"
    fi
    case $1 in
    right) check "$1: verdict" conforming "$(said "$work/$1.json" | sed -n 1p)" ;;
    nothing) check "$1: verdict" "does not help" "$(said "$work/$1.json" | sed -n 1p)" ;;
    *) check "$1: the fault is found" 1 "$got" ;;
    esac
}
# Of a pair of machines without others; one has no wmlab, and the other may send no packets of its own making.
pair() {
    local got=0
    machines right
    alg "$work/two.yaml" --launch "media=$(over media)" --only correct --only retransmitted --only another-player --protocol mms --report "json:$work/pair.json" \
        --launch "player=nsenter --target ${pid[player]} --net setpriv --bounding-set -net_raw --inh-caps -net_raw env TMPDIR=$work PATH=$PATH" > "$work/pair.output" 2>&1 || got=$?
    check "two machines: exit code" 4 $got
    [ $got = 4 ] || cat "$work/pair.output"
    check "two machines: what is said" "not tried
correct; partly tried
retransmitted; not tried
another-player; not tried" "$(said "$work/pair.json")"
    contains "no neighbours: told" "$(whys "$work/pair.json")" "zone outside has no host beside player, and none can be made on another machine"
    contains "no neighbours: what is left out" "$(whys "$work/pair.json")" "udp stranger:1755 -> player:2000 (there is no host in the place of stranger)"
    contains "no raw packets: told" "$(whys "$work/pair.json")" "player may not send packets of its own making: Operation not permitted"
    check "brought there: nothing is left" "" "$(find "$work" -maxdepth 1 -name 'tmp.*')"
}
# The player and what is made beside it on a network card of this machine, the server on another one.
mixed() {
    local got=0
    place machine
    place firewall
    place media
    cable machine eth1 firewall outside
    cable media eth0 firewall inside
    at firewall ip addr add 10.10.0.1/24 dev inside
    at firewall ip addr add 10.20.0.1/24 dev outside
    at media ip addr add 10.10.0.10/24 dev eth0
    at media ip addr add 10.10.0.11/24 dev eth0 # of booth, too: a neighbour by a second address
    at media ip route add default via 10.10.0.1
    forwarding firewall
    load_ruleset "$work/rules.nft"
    at firewall $python "$inspector" outside inside any-source > "$work/inspector-mixed" 2>&1 &
    until grep -qs ready "$work/inspector-mixed"; do sleep 0.02; done
    touch "$work/media" # the lab does not see our processes
    mount --bind "/proc/${pid[media]}/ns/net" "$work/media"
    at machine timeout 100 "$bin/wmlab" alg "$work/mixed.yaml" --attach outside=eth1 --launch "media=nsenter --net=$work/media env PATH=$bin:$PATH" \
        --launch "booth=nsenter --net=$work/media env PATH=$bin:$PATH" --only retransmitted --only another-player --protocol mms --report "json:$work/mixed.json" > "$work/mixed.output" 2>&1 || got=$?
    umount "$work/media"
    check "a card here, a machine there: exit code" 1 $got
    [ $got = 1 ] || cat "$work/mixed.output"
    check "a card here, a machine there: what is said" "opens too much
retransmitted; opens too much; udp booth:1755 -> player:2040
another-player; conforming" "$(said "$work/mixed.json")"
}
# What can be wrong with a machine: the rest of the announcements are not waited for.
machine() { # machine CASE PART PREFIX [HOST]: of player, and HOST is what is told about
    local got=0
    alg "$work/two.yaml" --launch "media=$(over media)" --launch "player=$3" --only 'split-*' --protocol mms --report "json:$work/$1.json" > "$work/$1.output" 2>&1 || got=$?
    check "$1: exit code" 4 $got
    contains "$1: told" "$(whys "$work/$1.json")$(cat "$work/$1.output")" "$2"
    contains "$1: the prefix is named" "$(whys "$work/$1.json")" "${4:-player}, by \`${3%% *}"
    check "$1: not tried" "not tried
split-2; not tried
split-3; not tried" "$(said "$work/$1.json")"
}
wrong_machines() {
    local enter dying got=0
    machines right
    enter="nsenter --target ${pid[player]} --net"
    machine "an address that is not there" "that machine does not have the address 10.20.0.10; it has 127.0.0.1, 10.20.0.11" "$(over studio)"
    at media ip addr add 10.20.0.10/32 dev lo
    machine "one machine for both" "it is the machine of player, too" "$(over media)" media
    at media ip addr del 10.20.0.10/32 dev lo
    mkdir "$work/old" "$work/kind"
    printf '#!/bin/sh\n[ "$1" = alg ] || { wmlab_version=$(%s --version); echo "$wmlab_version"; exit; }\necho "{\\"hand\\":\\"hello\\",\\"protocol\\":1,\\"version\\":\\"0.0.1\\"}"\ncat > /dev/null\n' "$bin/wmlab" > "$work/old/wmlab"
    printf '#!/bin/sh\necho sparc64\n' > "$work/kind/uname"
    chmod +x "$work/old/wmlab" "$work/kind/uname"
    machine "another version" "wmlab is another version there, \`0.0.1\`" "$enter env PATH=$work/old:$PATH"
    machine "a machine of another kind" "a machine of another kind (sparc64" "$enter env PATH=$work/kind:$PATH"
    machine "no such program" "No such file" "$work/nowhere"
    machine "a prefix that refuses" "it ended with exit status 1: keys, please" "$work/refuses"
    # Killed in the middle, as by an administrator of that machine.
    alg "$work/two.yaml" --launch "media=$(over media)" --launch "player=$work/mortal $(over player)" --protocol mms --report "json:$work/dies.json" > "$work/dies.output" 2>&1 &
    dying=$!
    while kill -0 $dying && ! at firewall nft list set inet filter mms | grep -q elements; do sleep 0.02; done
    kill -KILL "$(cat "$work/mortal.pid")"
    wait $dying || got=$?
    check "killed in the middle: exit code" 4 $got
    contains "killed in the middle: told" "$(whys "$work/dies.json")" "player, by \`$work/mortal $(over player)\`: it ended with signal 9 (Killed)"
    contains "killed in the middle: the rest is not tried" "$(said "$work/dies.json")" "after-close; not tried"
}
printf '#!/bin/sh\necho keys, please >&2\nexit 1\n' > "$work/refuses"
printf '#!/bin/sh\necho $$ > %s/mortal.pid\nexec "$@"\n' "$work" > "$work/mortal"
chmod +x "$work/refuses" "$work/mortal"

if [ "$whole" = all ]; then
    while [ ${#cases[@]} -gt 0 ]; do
        in_parallel trial "${cases[@]:0:3}"
        cases=("${cases[@]:3}")
    done
fi
in_parallel trial "${cases[@]}" &
trials=$!
(failed=0; pair; exit $failed) > "$work/pair.log" 2>&1 &
pairs=$!
(failed=0; mixed; exit $failed) > "$work/mixed.log" 2>&1 &
mixes=$!
wrong_machines
wait $trials || failed=1
wait $pairs || failed=1
wait $mixes || failed=1
cat "$work/pair.log" "$work/mixed.log"
exit $failed

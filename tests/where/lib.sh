# A network in namespaces, for the tests of every setting but the built-in one: hosts media (inside), player, studio and
# edge (outside), booth (inside) and proxy (outside), and a firewall with a ruleset between them. Read by the other scripts; needs root (or `unshare -Ur`).
#   fresh_world "$@"            runs the calling script again in namespaces of its own, where everything ends with it
#   place NAME                  a namespace, as the process id in ${pid[NAME]}
#   at NAME COMMAND...          runs there
#   hosts_and_firewall          all of it, forwarding; load_ruleset FILE then loads rules into the firewall
declare -A pid
work=$(mktemp -d /tmp/wmlab-where-XXXXXX)
trap 'rm -rf "$work"' EXIT

fresh_world() {
    [ -z "${WMLAB_WORLD:-}" ] || return 0
    local user=()
    [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
    rm -rf "$work"
    exec env WMLAB_WORLD=yes unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
}

place() {
    unshare --net sleep 100000 &
    pid[$1]=$!
    until [ "$(readlink "/proc/${pid[$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    at "$1" ip link set lo up
    # no neighbour discovery in the captures
    at "$1" sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
        echo 0 > /proc/sys/net/ipv4/icmp_ratelimit' 2>/dev/null || true
}

at() {
    local name=$1
    shift
    nsenter --target "${pid[$name]}" --net -- "$@"
}

cable() { # cable A INTERFACE B INTERFACE; `here` is the calling namespace
    local a=${pid[$1]:-$$} b=${pid[$3]:-$$}
    nsenter --target "$a" --net ip link add "$2" type veth peer name "$4" netns "$b"
    nsenter --target "$a" --net ip link set "$2" up
    nsenter --target "$b" --net ip link set "$4" up
}

forwarding() {
    at "$1" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done'
}

hosts_and_firewall() {
    local name zone address number=0
    place firewall
    for zone in inside outside; do
        place "switch-$zone"
        at "switch-$zone" ip link add name switch type bridge forward_delay 0 mcast_snooping 0
        at "switch-$zone" ip link set switch up
        cable firewall "$zone" "switch-$zone" port0
        at "switch-$zone" ip link set port0 master switch
    done
    at firewall ip addr add 10.10.0.1/24 dev inside
    at firewall ip addr add 10.20.0.1/24 dev outside
    forwarding firewall
    while read -r name zone address; do
        number=$((number + 1))
        place "$name"
        cable "$name" eth0 "switch-$zone" "port$number"
        at "switch-$zone" ip link set "port$number" master switch
        at "$name" ip addr add "$address/24" dev eth0
        at "$name" ip route add default via "${address%.*}.1"
    done <<HOSTS
media inside 10.10.0.10
player outside 10.20.0.10
studio outside 10.20.0.11
edge outside 10.20.0.12
booth inside 10.10.0.11
proxy outside 10.20.0.13
HOSTS
}

load_ruleset() { at firewall nft -f "$1"; at firewall conntrack -F 2>/dev/null; }

# A correct ruleset and three wrong ones, as the last word of their file names says.
rulesets() { # rulesets KB189416.NFT
    cp "$1" "$work/right.nft"
    sed '/comment "MMS over UDP: media, server to player"/d' "$1" > "$work/no-media.nft"
    sed 's/tcp dport 1755 accept/tcp dport 1756 accept/' "$1" > "$work/wrong-port.nft"
    sed 's/udp dport 1024-5000 accept/udp dport 1024-5000 reject/' "$1" > "$work/reject-media.nft"
    for file in "$work"/{no-media,wrong-port,reject-media}.nft; do
        ! cmp -s "$1" "$file" || { echo "$file is not different"; exit 1; }
    done
}

# The scenario with one more flow, between hosts that have nothing to do with the others, and the rulesets' own names.
with_others() { # with_others SCENARIO RULESET
    sed "s|^  edge:.*|&\n  booth:  { zone: inside, address: 10.10.0.11 }|; s|ruleset:.*|ruleset: $2|
        \$a\\  - { id: others, type: msbd, from: edge, to: booth, source: encoder }" "$1"
}

in_parallel() { # in_parallel FUNCTION WORD...: FUNCTION WORD for each, at the same time, each in a network of its own
    local function=$1 word children=()
    shift
    for word; do
        (failed=0; "$function" "$word"; exit $failed) > "$work/$word.log" 2>&1 &
        children+=($!)
    done
    for word; do
        if wait "${children[0]}"; then
            cat "$work/$word.log"
        else
            failed=1
            echo "WRONG $word; what was right is left out:"
            grep -v '^ok ' "$work/$word.log"
        fi
        children=("${children[@]:1}")
    done
}

# The verdicts of a JSON report, a line for each flow.
verdicts() { python3 -c '
import json, sys
for flow in json.load(open(sys.argv[1]))["flows"]:
    print(flow["id"], flow["verdict"], flow["leg"] or "-", flow["cause"] or flow.get("reason") or "-")' "$1"; }

failed=0
check() { # check WHAT EXPECTED GOT
    if [ "$2" = "$3" ]; then echo "ok    $1"; return; fi
    failed=1
    printf 'WRONG %s\n  expected %s\n  got      %s\n' "$1" "$2" "$3"
}
contains() { # contains WHAT TEXT PART
    case $2 in *"$3"*) echo "ok    $1" ;; *) failed=1; printf 'WRONG %s\n  expected %s\n  in       %s\n' "$1" "$3" "$2" ;; esac
}

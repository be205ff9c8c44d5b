#!/bin/bash
# --firewall: the firewall is a Linux machine that a command reaches. The same rule lines as the built-in lab, and nothing of
# the user's is touched.   join.sh BIN SOURCE
set -eu
. "$(dirname "$0")/../real_root.sh"
real_root "$@"
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
scenario=$source/tests/where/scenario.yaml
rulesets "$source/scenarios/rules/kb189416.nft"
ip link set lo up
gateway() { echo "nsenter --target ${pid[firewall]} --net env PATH=$bin:$PATH"; }
over() { echo "nsenter --target ${pid[$1]} --net env PATH=$bin:$PATH"; }
# Which rule decided about each flow, a line for each leg.
named() { python3 -c '
import json, sys, os
for flow in json.load(open(sys.argv[1]))["flows"]:
    for leg in flow["legs"]:
        rule = leg.get("rule") or {}
        print(flow["id"], leg["name"], leg["verdict"], os.path.basename(rule.get("file", "-")), rule.get("line", "-"))' "$1"; }
notes() { python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1])).get("notes", [])))' "$1"; }
# Counters say nothing, and our own table is no business of the user's.
rules_there() { at firewall nft --stateless list ruleset; }
launched=()
machines() {
    local host
    hosts_and_firewall
    launched=()
    for host in media player studio edge; do launched+=(--launch "$host=$(over $host)"); done
}
joined() { # joined NAME ARGUMENTS...: the run's exit code
    local name=$1 got=0
    shift
    timeout 120 "$bin/wmlab" run "$scenario" --no-color "${launched[@]}" "$@" --report "json:$work/$name.json" \
        > "$work/$name.output" 2>&1 || got=$?
    echo $got
}
# The lines that the built-in lab names for a ruleset.
built_in() {
    timeout 120 "$bin/wmlab" run "$scenario" --no-color --ruleset "$1" --report "json:$work/$2.built-in.json" > /dev/null 2>&1 || true
    named "$work/$2.built-in.json"
}

trial() { # trial KIND/RULESET: the file RULESET.nft or RULESET.save, loaded by KIND
    local kind=${1%/*} name=${1#*/} file got want=1 before expected
    machines
    file=$work/$name.nft
    case $kind in
    nft) load_ruleset "$file" ;;
    iptables) file=$work/$name.save; at firewall iptables-nft-restore "$file" ;;
    ufw) file=$work/ufw-$name.save; at firewall iptables-nft-restore "$file" ;;
    esac
    before=$(rules_there)
    [ $name != right ] || want=0
    got=$(joined "$kind-$name" --firewall "$(gateway)" --ruleset "$file")
    check "$1: exit code" $want $got
    [ $want = $got ] || cat "$work/$kind-$name.output"
    expected=$(built_in "$file" "$kind-$name")
    check "$1: the rules of the built-in lab" "$expected" "$(named "$work/$kind-$name.json")"
    check "$1: nothing of the rules has changed" "$before" "$(rules_there)"
}

# The same rules in iptables' words, as written and as ufw writes them: a user chain behind a jump.
save() { # save NAME MEDIA CONTROL-PORT MEDIA-VERDICT
    local media="-A $2FORWARD -s 10.10.0.10/32 -d 10.20.0.10/32 -p udp -m udp --dport 1024:5000 -j $4"
    echo "*filter"
    echo ":INPUT ACCEPT [0:0]"
    echo ":FORWARD DROP [0:0]"
    echo ":OUTPUT ACCEPT [0:0]"
    [ -z "$2" ] || printf ':%sFORWARD - [0:0]\n-A FORWARD -j %sFORWARD\n' "$2" "$2"
    echo "-A $2FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    echo "-A $2FORWARD -d 10.10.0.10/32 -p tcp -m tcp --dport $3 -j ACCEPT"
    echo "-A $2FORWARD -d 10.10.0.10/32 -p udp -m udp --dport 1755 -j ACCEPT"
    [ "$4" = - ] || echo "$media"
    echo "-A $2FORWARD -d 10.10.0.10/32 -p tcp -m multiport --dports 135,3001:3010 -j ACCEPT"
    echo COMMIT
}
for chain in "" ufw-user-; do
    prefix=${chain:+ufw-}
    save right "$chain" 1755 ACCEPT > "$work/${prefix}right.save"
    save no-media "$chain" 1755 - > "$work/${prefix}no-media.save"
    save wrong-port "$chain" 1756 ACCEPT > "$work/${prefix}wrong-port.save"
    save reject-media "$chain" 1755 REJECT > "$work/${prefix}reject-media.save"
done

trials=()
for kind in nft iptables ufw; do
    for name in right no-media wrong-port reject-media; do
        mkdir -p "$work/$kind"
        trials+=("$kind/$name")
    done
done
in_parallel trial "${trials[@]:0:4}"
in_parallel trial "${trials[@]:4:4}"
in_parallel trial "${trials[@]:8:4}"

# The hosts on this machine's cards, the firewall between them.
attached() { # attached RULESET
    local got=0 want=1
    place machine
    place firewall
    cable machine eth1 firewall inside
    cable machine eth2 firewall outside
    at firewall ip addr add 10.10.0.1/24 dev inside
    at firewall ip addr add 10.20.0.1/24 dev outside
    forwarding firewall
    load_ruleset "$work/$1.nft"
    touch "$work/gateway-$1" # the lab does not see our processes
    mount --bind "/proc/${pid[firewall]}/ns/net" "$work/gateway-$1"
    [ $1 != right ] || want=0
    at machine timeout 120 "$bin/wmlab" run "$scenario" --no-color --attach inside=eth1 --attach outside=eth2 --ruleset "$work/$1.nft" \
        --firewall "nsenter --net=$work/gateway-$1 env PATH=$bin:$PATH" --report "json:$work/attached-$1.json" > "$work/attached-$1.output" 2>&1 || got=$?
    umount "$work/gateway-$1"
    check "attached, $1: exit code" $want $got
    [ $want = $got ] || cat "$work/attached-$1.output"
    check "attached, $1: the rules of the built-in lab" "$(built_in "$work/$1.nft" "attached-$1")" "$(named "$work/attached-$1.json")"
}
in_parallel attached right no-media wrong-port reject-media

# Without the file: lines of what the firewall prints. wmlab is brought there where it is not installed.
machines
load_ruleset "$work/wrong-port.nft"
got=$(joined carried --firewall "nsenter --target ${pid[firewall]} --net env TMPDIR=$work" --journal "$work/carried-journals")
check "brought there: exit code" 1 "$got"
contains "brought there: lines of the running rules" "$(named "$work/carried.json")" "nft-list-ruleset"
line=$(named "$work/carried.json" | sed -n 's/^dcom-range .*nft-list-ruleset //p' | head -1)
contains "the line is the rule's" "$(sed -n "${line}p" "$work/carried-journals/gateway/nft-list-ruleset")" "3001"
check "brought there: nothing is left" "" "$(find "$work" -maxdepth 1 -name 'tmp.*')"

# Another file than the rules that run is told.
got=$(joined other --firewall "$(gateway)" --ruleset "$work/right.nft")
contains "a file that is not what runs is told" "$(notes "$work/other.json")" "are not what the firewall"

# The trace is refused: what was stopped is still named where the rules leave no doubt.
untraced() { # untraced RULESET
    machines
    load_ruleset "$work/$1.nft"
    joined "untraced-$1" --no-trace --firewall "$(gateway)" --ruleset "$work/$1.nft" > /dev/null
    contains "no trace, $1: it is told" "$(notes "$work/untraced-$1.json")" "does not let its packets be traced"
    check "no trace, $1: verdicts" "$(cat "$source/tests/where/expected/$1.txt")" "$(verdicts "$work/untraced-$1.json")"
    check "no trace, $1: what stopped is named as in the built-in lab" \
        "$(built_in "$work/$1.nft" "untraced-$1" | grep ' blocked ')" "$(named "$work/untraced-$1.json" | grep ' blocked ')"
}
# Media that the port of a resend answers may be of a known connection: without the trace nothing is named there (no-media).
in_parallel untraced right wrong-port reject-media
machines
load_ruleset "$work/reject-media.nft"

# A gateway that cannot be joined costs the rules, not the verdicts.
refused() { # refused WHAT PART PREFIX
    local name=refused got
    got=$(joined $name --firewall "$3")
    check "$1: verdicts" "$(cat "$source/tests/where/expected/reject-media.txt")" "$(verdicts "$work/$name.json")"
    contains "$1: told" "$(notes "$work/$name.json")" "no rule can be named, because"
    contains "$1: why" "$(notes "$work/$name.json")" "$2"
}
refused "nobody there" "No such file" "nsenter --net=$work/nowhere"
refused "no privilege" "Operation not permitted" "nsenter --target ${pid[firewall]} --net setpriv --bounding-set -net_admin --inh-caps -net_admin env PATH=$bin:$PATH"
refused "it prints something else" "it ended with exit status 0" "echo hello"

# It goes away while the streams play, as when it boots.
machines
load_ruleset "$work/reject-media.nft"
cat > "$work/gone" << GONE
#!/bin/sh
exec 3<&0
$(gateway) "\$@" <&3 3<&- &
exec 3<&-
while [ ! -e "$work/playing" ]; do sleep 0.05; done
kill -KILL \$!
GONE
chmod +x "$work/gone"
playing() { until grep -qs '"connected"\|"connecting"' "$work/gone-journals/"player.client_sim.jsonl; do sleep 0.05; done; touch "$work/playing"; }
playing &
got=$(joined gone --firewall "$work/gone" --journal "$work/gone-journals")
wait $! || true
check "it goes away in the run: verdicts" "$(cat "$source/tests/where/expected/reject-media.txt")" "$(verdicts "$work/gone.json")"
contains "it goes away in the run: told" "$(notes "$work/gone.json")" "broke off during the run"

# Killed at many moments: the kernel takes the table, whatever the moment.
before=$(rules_there)
clean=0
for number in $(seq 50); do
    coproc JOIN { exec nsenter --target "${pid[firewall]}" --net "$bin/wmlab" firewall --join 2> /dev/null; }
    join=$JOIN_PID
    case $((number % 3)) in
    0) ;;                                     # while it starts or reads the rules
    1) read -r -u "${JOIN[0]}" running || true ;; # when it waits for the job
    2)
        read -r -u "${JOIN[0]}" running || true
        echo '{"addresses":["10.10.0.10","10.20.0.10"],"source":{"chains":[],"files":[],"lines":0,"iptables":false}}' >&"${JOIN[1]}"
        [ $((number % 2)) = 0 ] || read -r -u "${JOIN[0]}" ready || true
        ;;
    esac
    kill -KILL "$join"
    wait "$join" 2> /dev/null || true
    [ "$(rules_there)" != "$before" ] || clean=$((clean + 1))
done
check "killed at 50 moments: clean" 50 $clean
exit $failed

#!/bin/bash
# Hosts as pods: `kubectl exec -i POD --`, with a stand-in for kubectl that enters namespaces.   kubectl.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
rulesets "$source/scenarios/rules/kb189416.nft"
ip link set lo up
hosts_and_firewall
mkdir "$work/bin"
{
    echo '#!/bin/bash'
    echo '[ "$1 $2 $4" = "exec -i --" ] || { echo "error: unknown command" >&2; exit 1; }'
    echo "case \$3 in"
    for host in media player studio edge; do echo "$host) target=${pid[$host]} ;;"; done
    echo "*) echo \"Error from server (NotFound): pods \\\"\$3\\\" not found\" >&2; exit 1 ;;"
    echo esac
    echo 'shift 4'
    echo "exec nsenter --target \$target --net env PATH=$bin:\$PATH \"\$@\""
} > "$work/bin/kubectl"
chmod +x "$work/bin/kubectl"
export PATH=$work/bin:$PATH
sed "s|^hosts:|launch: [kubectl, exec, -i, \"{host}\", --]\nhosts:|; s|\.\./\.\./scenarios|$source/scenarios|" "$source/tests/where/scenario.yaml" > "$work/pods.yaml"
for name in right wrong-port; do
    load_ruleset "$work/$name.nft"
    got=0 want=1
    [ $name != right ] || want=0
    timeout 120 "$bin/wmlab" run "$work/pods.yaml" --no-color --report "json:$work/$name.json" > "$work/output" 2>&1 || got=$?
    check "$name: exit code" $want $got
    [ $want = $got ] || cat "$work/output"
    check "$name: verdicts" "$(cat "$source/tests/where/expected/$name.txt")" "$(verdicts "$work/$name.json")"
done
# Pods' addresses are known when they run: each is asked.
sed 's/address: 10[.0-9]*/address: auto/' "$work/pods.yaml" > "$work/auto.yaml"
grep -c "address: auto" "$work/auto.yaml" | { read -r number; check "all hosts are asked" 4 "$number"; }
at media ip addr add 172.17.0.1/16 dev lo # of another network
auto() { # auto NAME EXIT-CODE
    local got=0
    timeout 120 "$bin/wmlab" run "$work/auto.yaml" --no-color --report "json:$work/$1.json" --journal "$work/$1.journals" --bundle "$work/$1.zip" > "$work/output" 2>&1 || got=$?
    check "$1: exit code" "$2" $got
    [ "$2" = $got ] || cat "$work/output"
}
auto asked 1
check "asked for their addresses: verdicts" "$(cat "$source/tests/where/expected/wrong-port.txt")" "$(verdicts "$work/asked.json")"
got=0
"$bin/wmlab" judge "$work/auto.yaml" "$work/asked.journals" --no-color --report "json:$work/judged.json" > "$work/output" 2>&1 || got=$?
check "judged by its journals: verdicts" "$(verdicts "$work/asked.json")" "$(verdicts "$work/judged.json")"
got=0
"$bin/wmlab" replay "$work/asked.zip" > "$work/output" 2>&1 || got=$?
check "judged again from its bundle" 1 $got
[ $got = 1 ] || cat "$work/output"
check "exec knows them" "10.20.0.10" "$("$bin/wmlab" exec "$work/auto.yaml" player -- ip -4 -o addr show dev eth0 2> "$work/output" | sed 's/.*inet \([0-9.]*\).*/\1/')"
# One that has two addresses in the zone sends from one of them; one that has none there takes no part.
at player ip addr add 10.20.0.77/24 dev eth0
at studio ip addr flush dev eth0
at studio ip addr add 10.99.0.3/24 dev eth0
load_ruleset "$work/right.nft"
auto partly 4
check "one of two addresses, and one that is none" "unicast-tcp pass dcom-range inconclusive" \
    "$(verdicts "$work/partly.json" | awk '$1 ~ /unicast-tcp|dcom-range/ { printf "%s%s %s", s, $1, $2; s = " " }')"
contains "none: which it has" "$(cat "$work/partly.json")" "none of its addresses is in zone outside, 10.20.0.0/24: it has 10.99.0.3 (eth0)"
at studio ip addr flush dev eth0
at studio ip addr add 10.20.0.10/24 dev eth0
auto twice 4
contains "two machines with one address" "$(cat "$work/twice.json")" "its address 10.20.0.10 is that of host player, too"
refused() { # refused WHAT WORDS COMMAND...
    local got=0
    "${@:3}" > "$work/output" 2>&1 || got=$?
    check "$1: exit code" 2 $got
    contains "$1" "$(cat "$work/output")" "$2"
}
refused "rules cannot ask" 'rules: host media has `address: auto`' "$bin/wmlab" rules "$work/auto.yaml"
refused "audit cannot ask" 'audit: host media has `address: auto`' "$bin/wmlab" audit "$work/auto.yaml"
sed '/^launch:/d' "$work/auto.yaml" > "$work/here.yaml"
refused "nobody to ask" 'host media has `address: auto`, which is asked of its machine' "$bin/wmlab" run "$work/here.yaml"
refused "by hand nobody asks" 'has `address: auto`' "$bin/client_sim" --scenario "$work/auto.yaml" --host player
got=0
"$bin/wmlab" check "$work/auto.yaml" > "$work/output" 2>&1 || got=$?
check "check reads it" 0 $got
contains "list" "$("$bin/wmlab" list "$work/auto.yaml")" "media auto"
at player ip addr del 10.20.0.77/24 dev eth0
at studio ip addr flush dev eth0
at studio ip addr add 10.20.0.11/24 dev eth0
at studio ip route add default via 10.20.0.1

# A pod that is not there.
sed 's/^  studio:/  gone:/; s/from: studio/from: gone/' "$work/pods.yaml" > "$work/gone.yaml"
load_ruleset "$work/right.nft"
got=0
timeout 120 "$bin/wmlab" run "$work/gone.yaml" --no-color --report "json:$work/gone.json" > "$work/output" 2>&1 || got=$?
check "a pod that is not there: exit code" 4 $got
contains "a pod that is not there: its words" "$(cat "$work/gone.json")" "NotFound"
contains "a pod that is not there: the others" "$(verdicts "$work/gone.json")" "unicast-tcp pass"
python3 - "$source/docs/how-to/kubernetes.yaml" <<'PY' || failed=1
import sys
try:
    import yaml
except ImportError:
    sys.exit(0)
kinds = [part["kind"] for part in yaml.safe_load_all(open(sys.argv[1]))]
assert kinds == ["ServiceAccount", "Role", "RoleBinding", "Pod", "Pod", "Job"], kinds
print("ok    the manifest is YAML")
PY
exit $failed

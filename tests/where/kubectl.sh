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

#!/bin/bash
# The built-in lab, as root and as an ordinary user: what the other settings are compared with.   built_in.sh BIN SOURCE
set -eu
. "$(dirname "$0")/lib.sh"
bin=$1 source=$2
rulesets "$source/scenarios/rules/kb189416.nft"
chmod 755 "$work"

trial() { # trial USER-RULESET
    local ruleset=${1#*-} as=() got=0 want=1
    if [ "${1%%-*}" = nobody ] && [ "$(id -u)" = 0 ]; then as=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/); fi
    "${as[@]}" "$bin/wmlab" run "$source/tests/where/scenario.yaml" --ruleset "$work/$ruleset.nft" --no-color --report json > "$work/$1.json" 2> "$work/$1.output" || got=$?
    [ $ruleset != right ] || want=0
    check "${1%%-*}, $ruleset: exit code" $want $got
    [ $want = $got ] || cat "$work/$1.output"
    check "${1%%-*}, $ruleset: verdicts" "$(cat "$source/tests/where/expected/$ruleset.txt")" "$(verdicts "$work/$1.json")"
}
users=root
if [ "$(id -u)" != 0 ] || setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$bin/wmlab" -a -r "$source/tests/where/scenario.yaml"; then users="root nobody"; fi
[ "$users" != root ] || echo "not as an ordinary user, who may not read $bin or $source"
in_parallel trial $(for user in $users; do for ruleset in right no-media wrong-port reject-media; do echo $user-$ruleset; done; done)
exit $failed

#!/bin/bash
# --launch: every host is reached by ssh, over a real sshd on loopback; the command then enters the host's namespace.
#   launch.sh BIN SOURCE
set -eu
. "$(dirname "$0")/../real_root.sh"
real_root "$@"
. "$(dirname "$0")/lib.sh"
fresh_world "$@"
bin=$1 source=$2
scenario=$source/tests/where/scenario.yaml
run() { timeout 120 "$bin/wmlab" run "$scenario" --no-color "$@" 2>&1; }
rulesets "$source/scenarios/rules/kb189416.nft"
ip link set lo up

# What machines call each other; the proxy asks.
printf '%s\n' "127.0.0.1 localhost" "10.10.0.10 media" "10.10.0.11 booth" "10.20.0.10 player" > "$work/hosts"
mount --bind "$work/hosts" /etc/hosts

# An sshd of our own: keys, configuration and port are the test's.
mount -t tmpfs none /run
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
cp "$work/key.pub" "$work/authorized"
chmod 755 "$work"
cat > "$work/sshd_config" <<CONF
ListenAddress 127.0.0.1:2222
HostKey $work/host_key
AuthorizedKeysFile $work/authorized
PidFile none
StrictModes no
PermitRootLogin yes
UsePAM no
MaxStartups 100
CONF
sed "s/^/[127.0.0.1]:2222 /" "$work/host_key.pub" > "$work/known_hosts"
/usr/sbin/sshd -D -e -f "$work/sshd_config" 2> "$work/sshd.log" &
until grep -q 'listening on' "$work/sshd.log"; do sleep 0.05; done

ssh="ssh -F none -p 2222 -i $work/key -o UserKnownHostsFile=$work/known_hosts root@127.0.0.1"
over() { echo "$ssh nsenter --target ${pid[$1]} --net env PATH=$bin:$PATH"; }
trial() { # trial RULESET
    local host launched=() got=0 want=1
    hosts_and_firewall
    load_ruleset "$work/$1.nft"
    for host in media player studio edge; do launched+=(--launch "$host=$(over $host)"); done
    run "${launched[@]}" --report "json:$work/$1.json" --journal "$work/journals-$1" > "$work/$1.output" || got=$?
    [ $1 != right ] || want=0
    check "$1: exit code" $want $got
    [ $want = $got ] || cat "$work/$1.output" "$work/sshd.log"
    check "$1: verdicts" "$(cat "$source/tests/where/expected/$1.txt")" "$(verdicts "$work/$1.json")"
}
# All of kb189416.yaml: its web proxy is brought to its machine, with its file. Nothing routes multicast here.
whole() {
    local host launched=() got=0
    hosts_and_firewall
    load_ruleset "$work/right.nft"
    for host in media booth player studio edge proxy; do launched+=(--launch "$host=$(over $host)"); done
    timeout 120 "$bin/wmlab" run "$source/scenarios/kb189416.yaml" --without multicast --no-color "${launched[@]}" > "$work/whole" 2>&1 || got=$?
    check "kb189416.yaml, with a proxy on a machine of its own: exit code" 0 $got
    [ $got = 0 ] || cat "$work/whole"
    check "kb189416.yaml: nothing of the proxy is left" "" "$(pgrep -f "tinyproxy -d" || true)"
    # The proxy ends in the middle of its flow: killed, as by an administrator of that machine.
    got=0
    kill_proxy &
    timeout 60 "$bin/wmlab" run "$work/long-proxied.yaml" --no-color "${launched[@]}" --report "json:$work/proxy.json" > "$work/whole" 2>&1 || got=$?
    check "a proxy killed in the middle: exit code" 4 $got
    contains "a proxy killed in the middle" "$(verdicts "$work/proxy.json")" "web-proxied inconclusive"
    got=0
    timeout 60 "$bin/wmlab" run "$source/scenarios/kb189416.yaml" --only web-proxied --no-color "${launched[@]}" --launch "proxy=$ssh-nowhere" > "$work/whole" 2>&1 || got=$?
    check "a proxy's machine that is not reached: exit code" 3 $got
    contains "a proxy's machine that is not reached" "$(cat "$work/whole")" "cannot start tinyproxy on proxy by"
}
kill_proxy() {
    until grep -qs 'GET http://media/lecture' "$work/proxy.log"; do sleep 0.05; done
    pkill -KILL -f "tinyproxy -d"
}
mkdir "$work/proxies"
sed "s|^LogLevel.*|LogLevel Connect\nLogFile \"$work/proxy.log\"|" "$source/scenarios/proxies/tinyproxy.conf" > "$work/proxies/tinyproxy.conf"
sed "s|ruleset:.*|ruleset: right.nft|; s|play: 1s|play: 8s|; /^flows:/,\$ { /^flows:/b; /web-proxied/b; d }" "$source/scenarios/kb189416.yaml" > "$work/long-proxied.yaml"

in_parallel trial right no-media wrong-port reject-media &
trials=$!
in_parallel whole "kb189416.yaml" || true
wait $trials || failed=1
contains "clocks are measured" "$(cat "$work/journals-right/wmlab.jsonl")" '"event":"clock"'

hosts_and_firewall
load_ruleset "$work/no-media.nft"
# A machine whose monotonic clock is a day ahead: the verdict is the same, the day is measured.
ahead="$ssh nsenter --target ${pid[media]} --net unshare --time --monotonic 86400 --fork env PATH=$bin:$PATH"
# The prefixes in the scenario itself, one as a list, the others as text.
sed "s|^  media:.*|  media: { zone: inside, address: 10.10.0.10, launch: [$(over media | sed 's/ /, /g')] }|
    $(for host in player studio edge; do echo "s|^  $host:\\(.*\\) }|  $host:\\1, launch: $(over $host) }|"; done)
    s|\.\./\.\./scenarios|$source/scenarios|" "$scenario" > "$work/launched.yaml"
got=0
timeout 120 "$bin/wmlab" run "$work/launched.yaml" --only unicast-tcp --no-color > "$work/output" 2>&1 || got=$?
check "prefixes in the scenario: exit code" 0 $got
[ $got = 0 ] || cat "$work/output" "$work/launched.yaml"

others=(--launch "player=$(over player)" --launch "studio=$(over studio)" --launch "edge=$(over edge)")
got=0
run "${others[@]}" --launch "media=$ahead" --only unicast-tcp --journal "$work/ahead" > "$work/output" || got=$?
check "a clock that is a day ahead: exit code" 0 $got
[ $got = 0 ] || cat "$work/output"
check "a clock that is a day ahead is measured" 86400 "$(grep '"event":"clock"' "$work/ahead/wmlab.jsonl" | grep '"host":"media"' |
    python3 -c 'import json, sys; print(round(json.loads(sys.stdin.readline())["monotonic_ahead"] / 1e9))')"

refused() { # refused WHAT PART PREFIX: for media
    local output got=0
    output=$(run "${others[@]}" --launch "media=$3") || got=$?
    check "$1: exit code" 3 $got
    contains "$1" "$output" "$2"
    contains "$1: the prefix is named" "$output" "on media by \`${3%% *}"
}
rm -f "$work/wrong"*
ssh-keygen -q -t ed25519 -N '' -f "$work/wrong"
refused "ssh with a key that is not known does not ask for a password" "Permission denied" "${ssh/$work\/key/$work\/wrong} true"
refused "an unknown host key is not asked about" "Host key verification failed" "${ssh/known_hosts/nobody_known} true"
refused "nobody listens" "Connection refused" "${ssh/2222/2223} true"
refused "the simulators are not installed there" "server_sim" "$ssh env PATH=/bin"
mkdir "$work/old"
cat > "$work/old/server_sim" <<'OLD'
#!/bin/sh
echo '{"time":"2026-01-01T00:00:00.000000000Z","monotonic":1,"host":"media","process":"server_sim","event":"started","version":"0.0.1","pid":1,"flows":[]}'
echo '{"time":"2026-01-01T00:00:00.000000000Z","monotonic":1,"host":"media","process":"server_sim","event":"ready"}'
cat > /dev/null
OLD
chmod +x "$work/old/server_sim"
refused "another version" "it is version 0.0.1" "env PATH=$work/old:$PATH"

# The connection breaks in the middle: no verdict about the firewall.
cat > "$work/breaks" <<BREAKS
#!/bin/bash
while read -r line; do
    echo "\$line"
    case \$line in *ViewerToMacReadBlock*) kill \$!; exit 255 ;; esac
done < <(exec $(over media) "\$@")
BREAKS
chmod +x "$work/breaks"
got=0
run "${others[@]}" --launch "media=$work/breaks" --only unicast-udp --report "json:$work/lost.json" > "$work/output" || got=$?
check "a lost connection: exit code" 4 $got
contains "a lost connection is inconclusive, not blocked" "$(verdicts "$work/lost.json")" "unicast-udp inconclusive"

# A machine's server is killed in the middle. Whatever it did not take part in keeps its verdict.
with_others "$scenario" "$work/right.nft" | sed 's/play: 1s/play: 6s/' > "$work/others.yaml"
load_ruleset "$work/right.nft"
got=0
timeout 60 "$bin/wmlab" run "$work/others.yaml" --no-color "${others[@]}" --launch "booth=$(over booth)" --launch "media=$(over media)" \
    --journal "$work/killed" --report "json:$work/killed.json" > "$work/output" 2>&1 &
until grep -qs ViewerToMacReadBlock "$work/killed/"media.server_sim*.jsonl; do sleep 0.05; done
pkill -KILL -f 'server_sim .*--host media'
wait $! || got=$?
check "a server killed in the middle: exit code" 4 $got
contains "a server killed in the middle: inconclusive" "$(verdicts "$work/killed.json")" "unicast-udp inconclusive"
contains "a server killed in the middle: not blocked" "$(verdicts "$work/killed.json")" "unicast-tcp inconclusive"
contains "a server killed in the middle: others keep their verdict" "$(verdicts "$work/killed.json")" "others pass"
exit $failed

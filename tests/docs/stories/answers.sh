#!/bin/bash
# README, what it answers; docs/how-to/lab.md.
set -eu
. "$(dirname "$0")/../story.sh"
cp -r "$source/scenarios" .
rulesets "$source/scenarios/rules/kb189416.nft"
sed "s|ruleset:.*|ruleset: new.nft|" "$source/tests/where/scenario.yaml" > my-site.yaml
cp "$work/no-media.nft" old.nft
# What the stream needs and nothing else: the gate lets it pass.
sed 's|^ *ct state invalid drop|&\n        ip saddr 10.10.0.10 ip daddr 10.20.0.10 udp dport 1025-4999 accept|' old.nft > new.nft
ffplay_without_a_screen

# All at the same time.
number=0
at_once() { number=$((number + 1)); OUTPUT=$work/$number documented "$1" & }
at_once 'wmlab run scenarios/mms-blocked.yaml'
at_once 'wmlab run scenarios/dcom.yaml'
at_once 'wmlab run my-site.yaml --pcap captures/'
at_once 'wmlab explain dropped'
at_once 'wmlab list scenarios/kb189416.yaml'
at_once 'wmlab exec scenarios/kb189416.yaml player -- ffmpeg -t 3 -i mmst://media/lecture -f null -'
at_once 'wmlab doctor'
OUTPUT=$work/demo documented 'wmlab demo' &
at_once 'wmlab doctor --prove'
OUTPUT=$work/changed documented 'wmlab run my-site.yaml --baseline old.nft --ruleset new.nft' &
OUTPUT=$work/json documented 'wmlab run my-site.yaml --report json:-' &
(cd scenarios && OUTPUT=$work/ffplay documented 'wmlab exec kb189416.yaml player -- ffplay mmst://media/lecture') &
wait
check "the report for scripts is JSON" pass "$(python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))["flows"][0]["verdict"])' "$work/json")"
contains "what the change repairs" "$(cat "$work/changed")" "repaired: unicast-udp"
contains "the demo ends well" "$(cat "$work/demo")" "✓  over-udp: pass"
check "captures" 6 "$(ls captures/*.pcapng | wc -l)"

# What changes the whole machine is not typed here: it is what wmlab itself says where it is needed.
for remedy in 'sysctl -w user.max_user_namespaces=10000' 'sysctl -w kernel.unprivileged_userns_clone=1' \
    'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0' 'modprobe -a veth bridge' 'modprobe nf_tables' 'modprobe af_packet'; do
    elsewhere lab/host/remedy.cpp "$remedy" "$remedy"
done
the_end

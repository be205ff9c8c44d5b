#!/bin/bash
# docs/how-to/separate-machines.md. The machines are namespaces; ssh, docker and kubectl are stand-ins that enter them
# (tests/where/launch.sh has a real sshd, tests/compose/run.sh a real Docker engine).
set -eu
. "$(dirname "$0")/../story.sh"
hosts_and_firewall
sed "s|ruleset:.*|ruleset: rules.nft|" "$source/tests/where/scenario.yaml" > scenario.yaml
cp "$source/scenarios/rules/kb189416.nft" rules.nft
enter() { # enter PROGRAM NAME=HOST...
    local pair program=$1
    shift
    stand_in "$program" < <(echo '#!/bin/sh
[ "$1 $2" != "exec -i" ] || shift 2
name=$1
shift
[ "$1" != -- ] || shift
case $name in'
        for pair; do echo "${pair%%=*}) exec nsenter --target ${pid[${pair#*=}]} --net -- \"\$@\" ;;"; done
        echo 'esac
exit 255')
}
enter ssh lab@media=media lab@player=player root@gateway=firewall
enter docker studio=studio
enter kubectl edge=edge

# By hand: once with the firewall open, then with the rules. The servers go on until Ctrl-C.
by_hand() { # by_hand DIRECTORY
    mkdir "$1"
    rm -f *.jsonl
    at_host=media typed_server 'server_sim --scenario scenario.yaml --host media --journal media.server_sim.jsonl'
    at_host=media typed_server 'encoder_sim --scenario scenario.yaml --host media --journal media.encoder_sim.jsonl'
    typed 'client_sim --scenario scenario.yaml --host player --journal player.client_sim.jsonl'
    nsenter --target "${pid[player]}" --net -- timeout 60 client_sim --scenario scenario.yaml --host player --journal player.client_sim.jsonl > "$OUTPUT" 2>&1 || true
    nsenter --target "${pid[studio]}" --net -- timeout 60 client_sim --scenario scenario.yaml --host studio --journal studio.client_sim.jsonl > "$OUTPUT" 2>&1 || true
    stop
    mv *.jsonl "$1"
}
typed_server() {
    local number=$((${#servers[@]} + 1))
    rm -f "$work/out.$number"
    typed "$1"
    nsenter --target "${pid[$at_host]}" --net -- python3 "$here/foreground.py" "$1" > "$work/out.$number" 2> "$work/err.$number" &
    started "$1"
}
by_hand open
load_ruleset rules.nft
by_hand journals
documented 'wmlab judge scenario.yaml journals/ --control open/'
contains "as expected" "$(cat "$OUTPUT")" "4 as expected, 0 not"
documented 'wmlab judge scenario.yaml journals/'
documented 'wmlab list scenario.yaml --waves'
cp journals/media.server_sim.jsonl media.jsonl
cat journals/{player,studio}.client_sim.jsonl > player.jsonl
documented 'wmlab judge scenario.yaml media.jsonl player.jsonl'

# One command a site; the files are sent.
rm -f *.jsonl
at_host=media typed_server 'server_sim --scenario scenario.yaml --host media --journal media.jsonl'
typed 'client_sim --scenario scenario.yaml --host player --journal player.jsonl'
nsenter --target "${pid[player]}" --net -- timeout 60 client_sim --scenario scenario.yaml --host player --journal player.jsonl > "$OUTPUT" 2>&1 || true
stop
documented 4 'wmlab judge scenario.yaml *.jsonl'
contains "what is missing is inconclusive" "$(cat "$OUTPUT")" "studio"

documented "wmlab run scenario.yaml --launch media='ssh lab@media' --launch player='ssh lab@player' --launch studio='docker exec -i studio' --launch edge='kubectl exec -i edge --'"
mkdir staging
grep -v 'studio' scenario.yaml | grep -v 'edge' > staging/scenario.yaml
cp rules.nft staging
cp rules.nft staging/gateway.nft
cd staging
documented "wmlab run scenario.yaml --launch media='ssh lab@media' --launch player='ssh lab@player' --firewall 'ssh root@gateway' --ruleset gateway.nft"
contains "the staging firewall's rules" "$(cat "$OUTPUT")" "gateway.nft"
cd ..
documented 'sysctl net.ipv4.ip_unprivileged_port_start=0'
the_end

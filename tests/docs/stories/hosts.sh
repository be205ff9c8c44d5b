#!/bin/bash
# docs/how-to/use-the-simulators.md and separate-machines.md: several machines, started by hand and by wmlab.
set -eu
. "$(dirname "$0")/../story.sh"
hosts_and_firewall
names 10.10.0.10:media 10.20.0.10:player 10.20.0.11:studio 10.20.0.12:edge
load_ruleset "$source/scenarios/rules/kb189416.nft"
sound

at firewall nft flush ruleset
server_on studio 'encoder_sim --file lecture.wmv'
server_on media 'server_sim --pull event=msbd://studio --msbd-port 7007'
server_on edge 'server_sim --pull event=msbd://media'
documented_on player 'client_sim mmst://edge/event --duration 3'
stop
load_ruleset "$source/scenarios/rules/kb189416.nft"

cp -r "$source"/scenarios/* .
server_on media 'server_sim --scenario kb189416.yaml --host media --flow unicast-udp --journal media.jsonl'
until grep -qs '"event":"ready"' media.jsonl; do sleep 0.05; done
documented_on player 'client_sim --scenario kb189416.yaml --host player --flow unicast-udp --journal player.jsonl'
stop
typed 'anywhere$ wmlab judge kb189416.yaml media.jsonl player.jsonl'
the_end

#!/bin/bash
# docs/how-to/attached-device.md: the device is a namespace (tests/where/attach.sh has the rest).
set -eu
. "$(dirname "$0")/../story.sh"
cp -r "$source/scenarios" .
ip link set lo up
place firewall
cable here eth1 firewall inside
cable here eth2 firewall outside
at firewall ip addr add 10.10.0.1/24 dev inside
at firewall ip addr add 10.20.0.1/24 dev outside
forwarding firewall
load_ruleset "$source/scenarios/rules/kb189416.nft"
documented 'wmlab run scenarios/kb189416.yaml --without multicast --attach inside=eth1 --attach outside=eth2'
the_end
